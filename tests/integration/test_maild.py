"""The real ossec-maild against a real SMTP server."""

from __future__ import annotations

import email
import email.policy
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.integration.outputs import OutputHome, alert, free_port, make_certificate
from tests.support import wait_until

controller = pytest.importorskip("aiosmtpd.controller")
smtp = pytest.importorskip("aiosmtpd.smtp")

SINGLE = "maild.groupping=0\n"


class Sink:
    """What an SMTP server took.  `stop()` and `start()` keep the port."""

    def __init__(self, **options: Any) -> None:
        self.port = free_port()
        self.mails: list[tuple[list[str], bytes]] = []
        self.refuse = ""
        self.sessions: list[Any] = []
        self._options = options
        self._controller: Any = None
        self._lock = threading.Lock()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            return self.refuse
        with self._lock:
            self.mails.append((list(envelope.rcpt_tos), envelope.original_content))
            self.sessions.append(session)
        return "250 OK"

    def start(self) -> None:
        self._controller = controller.Controller(self, "127.0.0.1", self.port, **self._options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop(no_assert=True)
            self._controller = None

    def parsed(self) -> list[EmailMessage]:
        return [email.message_from_bytes(data, policy=email.policy.default) for _, data in self.mails]  # type: ignore[misc]

    def texts(self) -> list[str]:
        return [message.get_content() for message in self.parsed()]


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[OutputHome]:
    home = OutputHome(tmp_path / "home", "maild")
    yield home
    home.end()


def section(port: int, more: str = "", server: str = "127.0.0.1") -> str:
    return f"""<global><email_notification>yes</email_notification><email_to>admin@example.com</email_to>
<smtp_server>{server}</smtp_server><email_from>ossecm@example.com</email_from><smtp_port>{port}</smtp_port>
<email_maxperhour>9999</email_maxperhour>{more}</global>
"""


def numbers(sink: Sink) -> Counter[int]:
    return Counter(int(number) for text in sink.texts() for number in re.findall(r"alert number <(\d+)>", text))


def test_alerts_go_out_and_a_clean_stop_ends_it(home: OutputHome, sink: Sink) -> None:
    sink.start()
    home.configure(section(sink.port), SINGLE)
    home.start()
    home.write(alert(1) + alert(2, mail=False) + alert(3))
    wait_until(lambda: len(sink.mails) == 2, "two mails")
    assert home.stop() == 0
    assert sorted(numbers(sink)) == [1, 3]
    message = sink.parsed()[0]
    assert message["Subject"] == "OSSEC Alert - web1 - Level 9 - Hand made alert."
    assert message["To"] == "admin@example.com"
    assert message["Message-ID"]


def test_a_grouped_batch_is_sent_at_the_stop(home: OutputHome, sink: Sink) -> None:
    sink.start()
    home.configure(section(sink.port))
    home.start()
    home.write(b"".join(alert(number) for number in range(5)))
    wait_until(lambda: b'"sizes": [' in state(home) and state(home).count(b"** Alert") == 5, "five alerts in the state")
    assert home.stop() == 0
    assert len(sink.mails) == 1
    assert sorted(numbers(sink)) == list(range(5))


def state(home: OutputHome) -> bytes:
    return home.layout.mail_state.read_bytes()


def test_a_server_that_is_down_and_kills_in_between_lose_nothing(home: OutputHome, sink: Sink) -> None:
    home.configure(section(sink.port), SINGLE)
    home.start()
    total = 120
    home.write(b"".join(alert(number) for number in range(40)))
    wait_until(lambda: len(list(home.layout.mail_dir.glob("*.mail"))) == 40, "the spool")
    home.stop(signal.SIGKILL)
    home.write(b"".join(alert(number) for number in range(40, 80)))
    home.start()
    sink.start()
    wait_until(lambda: len(sink.mails) >= 20, "some mails")
    home.stop(signal.SIGKILL)
    sink.stop()
    home.start()
    home.write(b"".join(alert(number) for number in range(80, total)))
    sink.start()
    wait_until(lambda: set(numbers(sink)) == set(range(total)), "all alerts", 60)
    wait_until(lambda: not list(home.layout.mail_dir.glob("*.mail")), "an empty spool")
    assert home.stop() == 0
    doubled = {number for number, count in numbers(sink).items() if count > 1}
    assert len(doubled) <= 6  # the workers' mails in flight at the kill
    identities = {message["Message-ID"] for message in sink.parsed()}
    assert len(identities) == total
    assert "(1223): ERROR: Error Sending email to 127.0.0.1 (smtp server)" in home.log()


def test_a_refused_mail_is_kept_and_tried_at_the_next_start(home: OutputHome, sink: Sink) -> None:
    sink.refuse = "554 no"
    sink.start()
    home.configure(section(sink.port), SINGLE)
    home.start()
    home.write(alert(1))
    wait_until(lambda: list(home.layout.refused_mail_dir.glob("*.mail")), "the refused mail")
    assert home.stop() == 0
    assert "os_sendmail(1767): WARN: End of DATA not accepted by server" in home.log()
    sink.refuse = ""
    home.start()
    wait_until(lambda: sink.mails, "the mail")
    assert not list(home.layout.refused_mail_dir.glob("*.mail"))
    assert home.stop() == 0


def test_nothing_in_a_log_ends_a_mail_or_starts_a_command(home: OutputHome, sink: Sink) -> None:
    sink.start()
    home.configure(section(sink.port), SINGLE)
    home.start()
    log = b".\nQUIT\r\n.\r\nMAIL FROM:<evil@example.com>\r\n.\rRCPT TO:<victim@example.com>\n..\n"
    log += b".\r\x00\xff\x1b[31m alert number <7>"
    head = b"** Alert 1795319500.7: mail  - local,\n2026 Nov 22 03:51:40 x\rBcc: <victim@example.com>->/var/log\n"
    home.write(head + b"Rule: 9 (level 9) -> 'a\rSubject: b \xe6\x97\xa5'\n" + log + b"\n\n" + alert(8))
    wait_until(lambda: len(sink.mails) == 2, "two mails")
    assert home.stop() == 0
    assert sorted(numbers(sink)) == [7, 8]
    assert all(to == ["admin@example.com"] for to, _ in sink.mails)
    message = next(mail for mail in sink.parsed() if "<7>" in mail.get_content())
    assert message["Bcc"] is None
    assert message["Subject"] == "OSSEC Alert - x\\x0dBcc: <victim@example.com> - Level 9 - a\\x0dSubject: b 日"
    lines = message.get_content().splitlines()
    assert lines[lines.index(".") + 1] == "QUIT\\x0d"
    assert ".\\x0d\\x00\\xff\\x1b[31m alert number <7>" in lines


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    good = (data.login, data.password) == (b"u1", b"p1")
    return smtp.AuthResult(success=good)


AUTH = "<auth_smtp>yes</auth_smtp><smtp_user>u1</smtp_user><smtp_password>p1</smtp_password>"


@pytest.mark.parametrize("tls", [False, True], ids=["starttls", "tls"])
def test_tls_and_authentication(home: OutputHome, tmp_path: Path, tls: bool) -> None:
    context = make_certificate(tmp_path)
    options: dict[str, Any] = {"authenticator": authenticate, "auth_required": True}
    if tls:
        options |= {"ssl_context": context, "auth_require_tls": False}
    else:
        options |= {"tls_context": context, "require_starttls": True}
    sink = Sink(**options)
    try:
        sink.start()
        home.configure(section(sink.port, AUTH + ("<secure_smtp>yes</secure_smtp>" if tls else "")), SINGLE)
        home.start()
        home.write(alert(1))
        wait_until(lambda: "certificate verify failed" in home.log(), "the refusal of an unknown authority")
        assert not sink.mails
        assert home.stop() == 0
        home.environment = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        home.start()
        wait_until(lambda: sink.mails, "the mail")
        assert sink.sessions[0].authenticated
        assert home.stop() == 0
    finally:
        sink.stop()


def test_a_local_command_takes_the_mail_on_stdin(home: OutputHome, tmp_path: Path) -> None:
    script = tmp_path / "sendmail"
    out = tmp_path / "out"
    script.write_text(f"#!/bin/sh\n[ -e {tmp_path}/ok ] || exit 75\ncat > {out}.new && mv {out}.new {out}\n")
    script.chmod(0o755)
    home.configure(section(25, server=f"{script} -t"), SINGLE)
    home.start()
    home.write(alert(1, b"first\n.\nlast"))
    wait_until(lambda: "exit 75" in home.log(), "the failure")
    (tmp_path / "ok").touch()
    text = wait_until(lambda: out.exists() and out.read_bytes(), "the mail")
    assert b"\r\n.\r\n" not in text
    message = email.message_from_bytes(text, policy=email.policy.default)
    assert "first\n.\nlast\n" in message.get_content().replace("\r\n", "\n")
    assert home.stop() == 0


def test_without_mail_it_leaves(home: OutputHome) -> None:
    home.configure("<global><email_notification>no</email_notification></global>")
    done = home.run("-f")
    assert done.returncode == 0
    assert "ossec-maild: INFO: E-Mail notification disabled. Clean Exit." in done.stderr
    assert home.run("-t").stderr == ""


@pytest.mark.parametrize("missing", ["email_to", "smtp_server", "email_from"])
def test_what_is_missing_is_said_at_the_start(home: OutputHome, missing: str) -> None:
    text = re.sub(rf"<{missing}>.*?</{missing}>", "", section(25))
    home.configure(text)
    for words in (["-f"], ["-t"]):
        done = home.run(*words)
        assert done.returncode == 1
        assert f"<{missing}>" in done.stderr


def test_a_server_whose_name_does_not_resolve_is_waited_for(home: OutputHome) -> None:
    home.configure(section(25, server="no-such-host.invalid"), SINGLE)
    assert "(1501): ERROR: Invalid SMTP Server: no-such-host.invalid" in home.run("-t").stderr
    home.start()
    home.write(alert(1))
    wait_until(lambda: "Error Sending email to no-such-host.invalid (smtp server)" in home.log(), "the complaint")
    assert home.stop() == 0
    assert len(list(home.layout.mail_dir.glob("*.mail"))) == 1
