"""Ten thousand alerts, the receiver stopped and started in the middle (`make soak`)."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.outputs import OutputHome, alert, free_port, make_certificate
from tests.support import wait_until

TOTAL = 10_000
RSYSLOG = """\
global(workDirectory="{folder}" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{folder}/ca.pem"
  defaultNetstreamDriverCertFile="{folder}/ca.pem" defaultNetstreamDriverKeyFile="{folder}/key.pem")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imtcp" address="127.0.0.1" port="{port}")
action(type="omfile" file="{folder}/received" template="raw")
"""
HAS_RSYSLOG = shutil.which("rsyslogd") and list(Path("/usr/lib").glob("**/rsyslog/lmnsd_gtls.so"))


def alerts(first: int, behind: int) -> bytes:
    return b"".join(alert(number) for number in range(first, behind))


def test_mail_misses_none(tmp_path: Path) -> None:
    pytest.importorskip("aiosmtpd")
    from tests.integration.test_maild import Sink, numbers, section

    sink = Sink()
    home = OutputHome(tmp_path / "home", "maild")
    try:
        sink.start()
        home.configure(section(sink.port))
        home.start()
        home.write(alerts(0, TOTAL // 2))
        wait_until(lambda: len(sink.mails) > 10, "some mails")
        sink.stop()
        home.stop(signal.SIGKILL)
        home.start()
        home.write(alerts(TOTAL // 2, TOTAL))
        sink.start()
        wait_until(lambda: len(set(numbers(sink))) >= TOTAL - 96, "nearly all alerts", 120)
        assert home.stop() == 0
        found = numbers(sink)
        identities = Counter(message["Message-ID"] for message in sink.parsed())
        doubled = sum(count - 1 for count in identities.values())
        print(f"mail: {len(identities)} mails, {TOTAL - len(found)} alerts missed, {doubled} mails doubled")
        assert len(found) == TOTAL
        assert doubled <= 6
        assert sum(found.values()) - TOTAL <= doubled * 96
    finally:
        sink.stop()
        home.end()


class Rsyslog:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        make_certificate(folder)
        (folder / "rsyslog.conf").write_text(RSYSLOG.format(folder=folder, port=self.port))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["rsyslogd", "-n", "-f", f"{self.folder}/rsyslog.conf", "-i", f"{self.folder}/pid"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None

    def numbers(self) -> Counter[int]:
        try:
            data = (self.folder / "received").read_bytes()
        except FileNotFoundError:
            data = b""
        return Counter(int(number) for number in re.findall(rb"alert number <(\d+)>", data))


@pytest.mark.skipif(not HAS_RSYSLOG, reason="needs rsyslog and rsyslog-gnutls")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_rsyslog_over_tls_misses_none(tmp_path: Path, number: int) -> None:
    server = Rsyslog(tmp_path)
    home = OutputHome(tmp_path / "home", "csyslogd")
    home.layout.readers_dir.mkdir(parents=True)
    try:
        server.start()
        home.configure(
            f"<syslog_output><server>127.0.0.1</server><port>{server.port}</port><tls>yes</tls>"
            f"<tls_ca>{tmp_path}/ca.pem</tls_ca></syslog_output>"
        )
        home.start()
        home.write(alerts(0, TOTAL))
        wait_until(lambda: len(server.numbers()) > TOTAL // 4, "some alerts", 60)
        server.stop(number)
        server.start()
        wait_until(lambda: len(server.numbers()) > TOTAL // 2, "more alerts", 60)
        home.stop(signal.SIGKILL)
        home.start()
        wait_until(lambda: len(server.numbers()) == TOTAL, "all alerts", 60)
        assert home.stop() == 0
        server.stop()
        found = server.numbers()
        doubled = sum(found.values()) - TOTAL
        print(f"rsyslog: {TOTAL - len(found)} alerts missed, {doubled} doubled")
        assert len(found) == TOTAL
        assert doubled * 200 < 2 * (128 * 1024 + 20_000)  # a window for each of the two cuts
    finally:
        server.stop(signal.SIGKILL)
        home.end()
