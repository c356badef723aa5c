"""What the recorded runs do not show: counters, bounds, settings of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ossec.analysisd.names import NameWatch
from ossec.analysisd.numbers import BLOCK, AlertNumbers
from ossec.analysisd.pipeline import MAX_COMPLAINTS, normalise_action
from ossec.analysisd.responses import AllowList
from ossec.config.addresses import AddressList
from ossec.messages import alert_json
from ossec.messages.alert import AlertReader
from tests.vectors.analysis.daemon_support import Daemon

NOW = 1700000000
CASE: dict[str, Any] = {
    "decoder.xml": '<decoder name="app"><program_name>^app</program_name></decoder>'
    '<decoder name="json"><prematch>^{</prematch><plugin_decoder>JSON_Decoder</plugin_decoder></decoder>',
    "rules": {
        "t.xml": '<group name="syslog,"><rule id="1" level="3"><category>syslog</category>'
        "<description>all</description></rule></group>"
    },
    "events": [{"time": NOW, "alerts.json": ""}],
}


def make(tmp_path: Path, **options: int) -> Daemon:
    return Daemon(tmp_path / "home", CASE, **options)


def send(daemon: Daemon, *datagrams: bytes, now: int = NOW) -> None:
    daemon.analysis.receive(datagrams, now)
    daemon.analysis.outputs.flush()


def test_the_repeat_filter_can_be_off_or_per_location(tmp_path: Path) -> None:
    lines = [b"1:/a:same", b"1:/a:same", b"1:/b:same"]
    for mode, alerts in ((1, 1), (2, 2), (0, 3)):
        daemon = make(tmp_path / str(mode), repeat_filter=mode)
        send(daemon, *lines)
        assert (daemon.analysis.counters.alerts, daemon.analysis.counters.repeats) == (alerts, 3 - alerts)


def test_a_flood_of_malformed_messages_is_counted_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    daemon = make(tmp_path)
    send(daemon, *[b"1:x"] * (MAX_COMPLAINTS + 50))
    assert daemon.analysis.counters.malformed == MAX_COMPLAINTS + 50
    assert len(caplog.records) == MAX_COMPLAINTS
    daemon.analysis.roll(NOW + 3600)
    assert caplog.records[-1].getMessage() == "50 more malformed messages came in the last hour."


def test_an_alert_of_another_server_comes_by_syslog_or_from_its_alerts_log_only(tmp_path: Path) -> None:
    """`logger -t ossec` must not raise what it likes."""
    case = {
        **CASE,
        "decoder.xml": '<decoder name="fw"><prematch>Alert Level</prematch>'
        "<plugin_decoder>OSSECAlert_Decoder</plugin_decoder></decoder>",
        "rules": {
            "t.xml": '<group name="syslog,"><rule id="1" level="3"><category>syslog</category>'
            '<description>all</description></rule><rule id="2" level="10"><if_sid>1</if_sid><match>never</match>'
            "<description>high</description></rule></group>"
        },
    }
    text = b"ossec: Alert Level: 10; Rule: 2 - high; Location: web->/var/log/x; srcip: 192.0.2.1;  log"
    for number, (head, level) in enumerate(
        [
            (b"2:192.0.2.9:", 10),
            (b"1:(a1) 192.0.2.9->/var/ossec/logs/alerts/alerts.log:", 10),
            (b"1:(a1) 192.0.2.9->/var/log/auth.log:", 3),
            (b"1:/var/log/auth.log:", 3),
            (b"1:/var/log/my-alerts.log:", 3),
        ]
    ):
        daemon = Daemon(tmp_path / str(number), case)
        send(daemon, head + text)
        assert f"(level {level})" in daemon.layout.alerts_log.read_text(), head


def test_a_new_day_needs_no_event(tmp_path: Path) -> None:
    daemon = make(tmp_path)
    send(daemon, b"1:/a:x")
    before = daemon.layout.alerts_log.resolve().stat().st_ino
    daemon.analysis.roll(NOW + 86400)
    assert daemon.layout.alerts_log.stat().st_ino != before
    assert daemon.layout.alerts_log.stat().st_size == 0
    assert len(list(daemon.layout.stats_dir.glob("totals/*/*/*.log"))) == 1


def test_a_location_cannot_forge_an_alert(tmp_path: Path) -> None:
    daemon = make(tmp_path)
    forged = b"** Alert 1.1: - x\n2023 Nov 14 22.13.20 h->x\nRule: 1 (level 15) -> 'x'\nlog\n\n"
    send(daemon, b"1:/a\n\n" + forged.replace(b":", b"") + b":text")
    alerts = AlertReader().feed(daemon.layout.alerts_log.read_bytes())
    assert [alert.level for alert in alerts] == [3]


def test_what_is_ours_stands_at_the_end_of_the_json(tmp_path: Path) -> None:
    daemon = make(tmp_path)
    send(daemon, b"1:/a:x \xff y")
    line = daemon.layout.alerts_json.read_bytes()
    value = alert_json.parse(line)
    assert value["full_log"] == "x \ufffd y"
    assert list(value)[-1] == "full_log_b64"


def test_a_dynamic_field_cannot_take_the_place_of_a_key(tmp_path: Path) -> None:
    daemon = make(tmp_path)
    send(daemon, b'1:/a:{"rule": "x", "id": 7, "location": "y", "a": {"b": 1}}')
    value = alert_json.parse(daemon.layout.alerts_json.read_bytes())
    assert value["rule"]["level"] == 3
    assert (value["location"], value["field.location"], value["a.b"]) == ("/a", "y", "1")


def test_numbers_are_reserved_before_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "number"
    numbers = AlertNumbers(path)
    assert [numbers.next(), numbers.next()] == [1, 2]
    crashed = AlertNumbers(path)
    assert crashed.next() == BLOCK + 2
    crashed.close()
    assert AlertNumbers(path).next() == BLOCK + 3


@pytest.mark.parametrize("content", [b"", b"x", b"-5", b"9" * 30])
def test_a_broken_number_file_starts_at_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "number").write_bytes(content)
    assert AlertNumbers(tmp_path / "number").next() == 1


def test_allowed_names_are_looked_up_beside_the_engine() -> None:
    allow = AllowList(AddressList(), ["good.example.com", ".trusted.example"])

    def publish(addresses: frozenset[bytes]) -> None:
        allow.resolved = addresses

    watch = NameWatch(allow.names, publish, lambda name: frozenset([b"192.0.2.7"]))
    watch.start()
    watch.stop()
    assert allow.contains(b"192.0.2.7")
    assert allow.contains(b"a.trusted.example")
    assert not allow.contains(b"192.0.2.8")


@pytest.mark.parametrize(
    ("action", "name"),
    [(b"drop", b"DROP"), (b"Reject", b"DROP"), (b"pass", b"ALLOW"), (b"xdropx", b"DROP"), (b"", b"UNKNOWN")],
)
def test_actions_of_firewalls_have_four_names(action: bytes, name: bytes) -> None:
    assert normalise_action(action) == name
