"""The real process: start, events, reload, responses, stop."""

from __future__ import annotations

import itertools
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.auth import create_certificates, load_certificate

from ossec.layout import Layout
from ossec.messages import execq
from ossec.messages.alert import Alert, AlertReader
from tests.support import make_bare_home, wait_until
from tests.unit.analysisd import mmdb

CHECKOUT = Path(__file__).resolve().parents[3]
WAITING = 8  # datagrams that any kernel's queue holds (net.unix.max_dgram_qlen is 10 at least)
DECODERS = """<decoder name="app"><program_name>^app</program_name></decoder>
<decoder name="app-login"><parent>app</parent><prematch>^login </prematch>
<regex offset="after_prematch">^(\\S+) from (\\S+)</regex><order>user,srcip</order></decoder>
<decoder name="other"><prematch>^OTHER </prematch></decoder>
"""
RULES = """<group name="syslog,">
<rule id="1" level="0" noalert="1"><category>syslog</category><description>base</description></rule>
</group>
<group name="t,">
<rule id="100100" level="0"><decoded_as>app</decoded_as><description>app</description></rule>
<rule id="100201" level="LEVEL"><if_sid>100100</if_sid><match>^login</match><description>a login</description></rule>
</group>
"""
CONFIGURATION = """<ossec_config>
<global><jsonout_output>yes</jsonout_output></global>
<rules><include>t.xml</include></rules>
<command><name>fw</name><executable>fw.sh</executable><expect>srcip</expect><timeout_allowed>yes</timeout_allowed></command>
<active-response><command>fw</command><location>local</location><rules_id>100201</rules_id><timeout>60</timeout>
</active-response>
</ossec_config>
"""


class Running:
    """An analysisd in a home of its own."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "ossec.analysisd", *arguments, "-D", str(self.layout.home)]

    def start(self) -> None:
        before = self.log().count("Started (pid:")
        self.process = subprocess.Popen(self.command("-f"), cwd=CHECKOUT, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.log().count("Started (pid:") > before, "the start")

    def send(self, *texts: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(20)
            out.connect(str(self.layout.event_queue))
            for text in texts:
                out.send(f"1:/var/log/m:Nov 14 22:13:20 h1 app[7]: {text}\0".encode())

    def alerts(self) -> list[Alert]:
        try:
            return AlertReader().feed(self.layout.alerts_log.read_bytes())
        except FileNotFoundError:
            return []

    def has_alerts(self, count: int) -> bool:
        return len(self.alerts()) == count

    def has_said(self, text: str, count: int) -> bool:
        return self.log().count(text) == count

    def log(self) -> str:
        try:
            return self.layout.ossec_log.read_text()
        except FileNotFoundError:
            return ""

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        status = self.process.wait(30)
        self.process = None
        return status

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def set_level(self, level: str) -> None:
        (self.layout.rules_dir / "t.xml").write_text(RULES.replace("LEVEL", level))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    layout = make_bare_home(tmp_path / "home")
    layout.decoder_xml.write_text(DECODERS)
    layout.ossec_conf.write_text(CONFIGURATION)
    layout.init_conf.write_text('TYPE="local"\n')
    running = Running(layout)
    running.set_level("5")
    yield running
    if running.process is not None:
        running.process.kill()
        running.process.wait()


def listen(layout: Layout) -> socket.socket:
    """An execd of ours: the bound queue."""
    layout.exec_queue.unlink(missing_ok=True)
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.bind(str(layout.exec_queue))
    inbox.settimeout(20)
    return inbox


def test_a_stop_empties_the_queue_in_order_and_numbers_go_on(daemon: Running) -> None:
    daemon.start()
    daemon.signal(signal.SIGSTOP)  # so that all of it waits in the queue when the stop comes
    daemon.send(*(f"login u{number} from 192.0.2.1" for number in range(WAITING)))
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGCONT)
    assert daemon.wait() == 0
    alerts = daemon.alerts()
    assert [alert.user for alert in alerts] == [b"u%d" % number for number in range(WAITING)]
    assert [alert.number for alert in alerts] == list(range(1, WAITING + 1))
    assert len(daemon.layout.alerts_json.read_bytes().splitlines()) == WAITING
    daemon.start()
    daemon.send("login again from 192.0.2.1")
    wait_until(lambda: len(daemon.alerts()) == WAITING + 1, "one alert more")
    assert daemon.alerts()[-1].number == WAITING + 1
    assert daemon.stop() == 0
    assert not list(daemon.layout.run_dir.glob("ossec-analysisd-*.pid"))


def test_a_kill_repeats_no_number(daemon: Running) -> None:
    daemon.start()
    daemon.send("login a from 192.0.2.1")
    wait_until(daemon.alerts, "an alert")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    daemon.start()
    daemon.send("login b from 192.0.2.1")
    wait_until(lambda: len(daemon.alerts()) == 2, "another alert")
    first, second = daemon.alerts()
    assert second.number > first.number


def test_reload_takes_new_rules_and_refuses_bad_ones(daemon: Running) -> None:
    daemon.start()
    daemon.set_level("9")
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "Configuration read again." in daemon.log(), "the reload")
    daemon.send("login a from 192.0.2.1")
    wait_until(daemon.alerts, "an alert")
    assert (daemon.alerts()[0].level, daemon.alerts()[0].mail) == (9, True)
    daemon.set_level('3" nosuch="1')
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "Reload refused" in daemon.log(), "the refusal")
    assert re.search(r"t\.xml:\d+: .*nosuch", daemon.log())
    daemon.send("login b from 192.0.2.1")
    wait_until(lambda: len(daemon.alerts()) == 2, "an alert by the old rules")
    assert daemon.alerts()[1].level == 9
    assert daemon.stop() == 0


def test_reload_takes_internal_options_too(daemon: Running) -> None:
    layout = daemon.layout
    (layout.home / "etc" / "geo.mmdb").write_bytes(mmdb.encode({"192.0.2.0/24": {"country": {"iso_code": "DE"}}}))
    layout.ossec_conf.write_text(CONFIGURATION.replace("<global>", "<global><geoipdb>etc/geo.mmdb</geoipdb>"))
    hourly = layout.stats_dir / "hourly-average"
    hourly.mkdir()
    for hour in range(24):
        (hourly / str(hour)).write_text("10")
    (hourly / "24").write_text("3")  # days learned
    layout.local_internal_options.write_text("analysisd.state_interval=0\n")
    daemon.start()
    daemon.send(*(f"login u{number} from 192.0.2.1" for number in range(30)))
    wait_until(lambda: len(daemon.alerts()) == 30, "the alerts: far from stats_mindiff")
    assert not layout.state_file("ossec-analysisd").exists()
    options = ["state_interval=1", "stats_mindiff=10", "stats_percent_diff=5", "geoip_jsonout=1"]
    layout.local_internal_options.write_text("".join(f"analysisd.{option}\n" for option in options))
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "Configuration read again." in daemon.log(), "the reload")
    wait_until(layout.state_file("ossec-analysisd").exists, "a state file")
    daemon.send("login again from 192.0.2.1")
    wait_until(lambda: len(daemon.alerts()) == 32, "the alert, and one about too many events")
    assert [alert.rule for alert in daemon.alerts()[30:]] == [11, 100201]
    wait_until(lambda: len(layout.alerts_json.read_text().splitlines()) == 32, "alerts.json, which is written second")
    first, *_, last = layout.alerts_json.read_text().splitlines()
    assert "srcgeoip" not in json.loads(first) and json.loads(last)["srcgeoip"] == "DE"
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: daemon.log().count("Configuration read again.") == 2, "another reload")
    daemon.send("login once more from 192.0.2.1")
    wait_until(lambda: len(daemon.alerts()) == 33, "the alert; the excess is told once an hour")
    assert daemon.stop() == 0
    assert [alert.rule for alert in daemon.alerts()[32:]] == [100201]


def test_a_reload_forgets_no_event_that_a_rule_counts(daemon: Running) -> None:
    path = daemon.layout.rules_dir / "t.xml"
    counting = """<rule id="100300" level="10" frequency="2" timeframe="3600"><if_matched_sid>100201</if_matched_sid>
<same_source_ip /><description>many logins</description></rule>
</group>"""
    path.write_text(path.read_text().rstrip().removesuffix("</group>") + counting)
    daemon.start()
    for number in range(3):
        daemon.send(f"login u{number} from 192.0.2.1")
        wait_until(partial(daemon.has_alerts, number + 1), "an alert")
        daemon.signal(signal.SIGHUP)
        wait_until(partial(daemon.has_said, "Configuration read again.", number + 1), "the reload")
    daemon.send("login u3 from 192.0.2.1")
    wait_until(lambda: len(daemon.alerts()) == 4, "the last")
    assert [alert.rule for alert in daemon.alerts()] == [100201] * 3 + [100300]
    assert daemon.stop() == 0


def test_reloads_in_a_storm_lose_nothing_and_keep_the_order(daemon: Running) -> None:
    daemon.start()
    count, reloads = 1500, 3
    for number in range(count):
        if number % (count // reloads) == 0:
            daemon.signal(signal.SIGHUP)
        daemon.send(f"login u{number} from 192.0.2.1")
    wait_until(lambda: len(daemon.alerts()) >= count, "all alerts")
    wait_until(lambda: "Configuration read again." in daemon.log(), "a reload")
    alerts = daemon.alerts()
    assert [alert.user for alert in alerts] == [b"u%d" % number for number in range(count)]
    assert [alert.number for alert in alerts] == list(range(1, count + 1))
    assert daemon.stop() == 0


def test_a_response_waits_for_execd_over_a_kill_and_finds_it_again(daemon: Running) -> None:
    daemon.start()
    daemon.send("login a from 192.0.2.1")
    wait_until(lambda: "(1210): ERROR: Queue '/queue/alerts/execq' not accessible" in daemon.log(), "1210")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    with listen(daemon.layout) as inbox:
        daemon.start()
        response = execq.decode(inbox.recv(4096))
        assert (response.name, response.address, response.words[3]) == (b"fw60", b"192.0.2.1", b"100201")
        assert response.words[2].endswith(b".1")
    with listen(daemon.layout) as inbox:  # execd was restarted
        daemon.send("login b from 192.0.2.2")
        addresses = [execq.decode(inbox.recv(4096)).address]
        if addresses == [b"192.0.2.1"]:  # it may have died with that one unread
            addresses.append(execq.decode(inbox.recv(4096)).address)
        assert addresses[-1] == b"192.0.2.2"
    assert daemon.stop() == 0
    assert not list(daemon.layout.alerts_queue_dir.glob(".*-waiting"))


def test_ar_conf_is_written_at_start_and_t_writes_nothing(daemon: Running) -> None:
    def everything() -> set[Path]:
        return set(daemon.layout.home.rglob("*"))

    before = everything()
    done = subprocess.run(daemon.command("-t"), cwd=CHECKOUT, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0
    assert [line for line in done.stderr.decode().splitlines() if "ERROR" in line or "WARN" in line] == []
    assert everything() == before
    daemon.start()
    assert daemon.layout.ar_conf.read_text().splitlines()[2:] == ["fw60 - fw.sh - 60"]
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("etc/ossec.conf", "<ossec_config>\n<global><nosuch>1</nosuch></global>\n</ossec_config>\n", "ossec.conf:2: "),
        ("rules/t.xml", RULES.replace("<match>", "<matsch>").replace("</match>", "</matsch>"), "t.xml:6: "),
        ("etc/decoder.xml", '<decoder name="x">\n<nosuch>1</nosuch></decoder>\n', "decoder.xml:2: "),
    ],
)
def test_a_mistake_is_named_by_file_and_line(daemon: Running, file: str, text: str, line: str) -> None:
    (daemon.layout.home / file).write_text(text)
    for arguments in (["-t"], ["-f"]):
        done = subprocess.run(daemon.command(*arguments), cwd=CHECKOUT, capture_output=True, timeout=30, check=False)
        assert done.returncode == 1
        assert line in done.stderr.decode()


def test_the_state_file_is_there_from_the_start(daemon: Running) -> None:
    daemon.start()
    values = dict(re.findall(r"(\w+)='(.*)'", daemon.layout.state_file("ossec-analysisd").read_text()))
    assert daemon.process is not None
    assert (values["pid"], values["events_received"], values["alerts_written"]) == (str(daemon.process.pid), "0", "0")


def test_a_memory_that_is_too_small_is_told(daemon: Running) -> None:
    path = daemon.layout.rules_dir / "t.xml"
    counting = """<rule id="100300" level="10" frequency="100" timeframe="3600"><if_matched_sid>100201</if_matched_sid>
<same_source_ip /><description>many logins</description></rule>
</group>"""
    path.write_text(path.read_text().rstrip().removesuffix("</group>") + counting)
    daemon.layout.ossec_conf.write_text(CONFIGURATION.replace("<global>", "<global><memory_size>2048</memory_size>"))
    daemon.start()
    daemon.send(*(f"login u from 10.1.{number >> 8}.{number & 255}" for number in range(2100)))
    wait_until(lambda: "raise <memory_size>" in daemon.log(), "the warning")
    assert daemon.stop() == 0


def test_a_list_that_changes_is_in_force_without_a_reload(daemon: Running) -> None:
    layout = daemon.layout
    text = layout.rules_dir / "t.xml"
    rule = (
        '<rule id="100300" level="8"><if_sid>100201</if_sid><list field="srcip">lists/bad</list>'
        "<description>listed</description></rule></group>"
    )
    text.write_text(text.read_text().rstrip().removesuffix("</group>") + rule)
    conf = layout.ossec_conf
    conf.write_text(conf.read_text().replace("</include>", "</include><list>lists/bad</list>"))
    source = layout.home / "lists" / "bad"
    source.parent.mkdir()
    source.write_text("192.0.2.1:\n")
    compile_lists = [sys.executable, "-c", "from ossec.cli.makelists import main; main()", "-D", str(layout.home)]
    subprocess.run(compile_lists, cwd=CHECKOUT, check=True, capture_output=True)
    daemon.start()
    daemon.send("login joe from 192.0.2.1", "login joe from 192.0.2.2")
    wait_until(lambda: len(daemon.alerts()) == 2, "both alerts")
    assert [alert.rule for alert in daemon.alerts()] == [100300, 100201]
    source.write_text("192.0.2.2:\n")
    subprocess.run([*compile_lists, "-F"], cwd=CHECKOUT, check=True, capture_output=True)
    wait_until(lambda: "The list lists/bad has changed and was read again." in daemon.log(), "the list")
    daemon.send("login ann from 192.0.2.1", "login ann from 192.0.2.2")
    wait_until(lambda: len(daemon.alerts()) == 4, "both alerts")
    assert [alert.rule for alert in daemon.alerts()] == [100300, 100201, 100201, 100300]
    assert daemon.stop() == 0


def test_the_state_file_tells_what_was_missed(daemon: Running) -> None:
    daemon.start()
    values = dict(re.findall(r"(\w+)='(.*)'", daemon.layout.state_file("ossec-analysisd").read_text()))
    assert [values[key] for key in ("stream_published", "stream_missed", "pattern_give_ups")] == ["0", "0", "0"]


def test_alerts_are_published_to_the_holder_of_the_certificate(daemon: Running, tmp_path: Path) -> None:
    layout = daemon.layout
    keys = {name: create_certificates(layout.home / "etc", name) for name in ("server", "client")}
    uri = f"ipc://{tmp_path}/alerts"
    stream = (
        f"<zeromq_output>yes</zeromq_output><zeromq_uri>{uri}</zeromq_uri>"
        "<zeromq_server_cert>etc/server.key_secret</zeromq_server_cert>"
        "<zeromq_client_cert>etc/client.key</zeromq_client_cert></global>"
    )
    conf = layout.ossec_conf.read_text()
    layout.ossec_conf.write_text(conf.replace("</global>", stream))
    daemon.start()
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.rcvtimeo = 0
        subscriber.subscribe(b"ossec.alerts")
        subscriber.curve_serverkey = load_certificate(keys["server"][0])[0]
        subscriber.curve_publickey, subscriber.curve_secretkey = load_certificate(keys["client"][1])
        subscriber.connect(uri)
        numbers = itertools.count()

        def heard() -> dict[str, Any] | None:
            daemon.send(f"login joe{next(numbers)} from 192.0.2.1")
            try:
                topic, text = subscriber.recv_multipart()
            except zmq.Again:
                return None
            assert topic == b"ossec.alerts"
            found: dict[str, Any] = json.loads(text)
            return found

        alert = wait_until(heard, "a published alert")
        assert alert is not None
        assert (alert["rule"]["sidid"], alert["srcip"]) == (100201, "192.0.2.1")
        layout.ossec_conf.write_text(layout.ossec_conf.read_text().replace("etc/server.key_secret", "etc/none"))
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: "etc/none" in daemon.log(), "the refusal")
        assert wait_until(heard, "an alert by the stream as it was") is not None
    assert daemon.stop() == 0
