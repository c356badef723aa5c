"""Messages against what OSSEC's csyslogd sent for the same alerts (vectors/outputs/alerts, syslog)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.alertstream import Record, RecordReader
from ossec.alertstream.filters import Filter
from ossec.csyslogd.formats import FORMATS, MAX_MESSAGE, cut
from ossec.csyslogd.links import one_line
from tests.fuzz.fuzz_csyslogd import fuzz_csyslogd

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "vectors" / "outputs"
HOST, FULL_HOST = b"ossec-server", b"ossec-server.example.com"


def load(name: str) -> list[dict[str, Any]]:
    path = SHARED / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


ALERTS = load("alerts/alerts.jsonl")
ROWS = [(case, kind) for case in ALERTS for kind in FORMATS if case["syslog"].get(kind) is not None]
SPOOFED = "a log does not set fields"
FILTER = "only (none) and unknown are left out"
QUOTES = "quotes in values are escaped"
UTF8 = "JSON is UTF-8"
LONG = "a long message loses the end of its log, properly"
DELIBERATE: dict[tuple[str, str], str] = {
    **{("hm-field-lines-inside-log", kind): SPOOFED for kind in FORMATS},
    **{("user-anna-field-filter", kind): FILTER for kind in ("default", "cef", "splunk")},
    **{("log-starting-with-Anna", kind): FILTER for kind in ("default", "cef", "splunk")},
    **{("hm-6kb-log", kind): LONG for kind in FORMATS},
    ("latin1-invalid-utf8", "json"): UTF8,
    ("utf8-quotes-cef-specials", "splunk"): QUOTES,
    ("web-attack", "splunk"): QUOTES,
    ("web-404", "splunk"): QUOTES,
    ("snort-fts", "splunk"): QUOTES,
}


def record_of(text: str) -> Record:
    reader = RecordReader()
    (parsed,) = reader.feed(text.encode("latin-1")) + reader.finish()
    return parsed.record


@pytest.mark.parametrize(("case", "kind"), ROWS, ids=lambda value: value["name"] if isinstance(value, dict) else value)
def test_each_alert_in_each_format(case: dict[str, Any], kind: str) -> None:
    message = FORMATS[kind](record_of(case["alert"]), HOST)
    expected = case["syslog"][kind].encode("latin-1")
    assert len(message) <= MAX_MESSAGE
    reason = DELIBERATE.get((case["name"], kind))
    if reason is None:
        assert message == expected
        return
    assert message != expected
    if reason is QUOTES:
        assert message.replace(b'\\"', b'"') == expected
    elif reason is UTF8:
        assert message.decode() == expected.decode("utf-8", "replace")
    elif reason is FILTER:
        assert b"anna" in message.lower()
    elif reason is LONG:
        if kind == "json":
            body = json.loads(message.partition(b"ossec: ")[2])
            assert body["truncated"] is True
            assert body["message"].startswith("01 abcdefghij")
        else:
            end = b'..."' if kind == "splunk" else b"..."
            assert message.endswith(end)
            assert message[:6100] == expected[:6100]
    else:
        assert b"100999" in message


@pytest.mark.skipif(not ALERTS, reason="needs ../shared/vectors")
def test_streams_and_filters_of_a_run() -> None:
    run = json.loads((SHARED / "syslog" / "transports.json").read_text())
    records = [record_of(case["alert"]) for case in ALERTS]
    differing = {name for name, kind in DELIBERATE if kind == "default"}
    names = [case["name"] for case in ALERTS]
    tcp = run["tcp_stream"].encode("latin-1").split(b"\n")[:-1]
    assert len(tcp) == len(records)
    for name, record, line in zip(names, records, tcp, strict=True):
        if name not in differing:
            assert one_line(FORMATS["default"](record, FULL_HOST)) == line
    tls = run["tls_stream"].encode("latin-1").split(b"\n")[:-1]
    wanted = [record for record in records if Filter(level=10).wants(record)]
    assert [one_line(FORMATS["json"](record, HOST)) for record in wanted] == tls
    chosen = Filter(6, (5710, 5712, 100101), "sshd|firewall", "web01|fw1")
    wanted = [record for record in records if chosen.wants(record)]
    ours = [FORMATS["default"](record, HOST).decode("latin-1") for record in wanted]
    assert ours == run["udp_filtered"]


def test_a_day_below_ten_has_a_blank() -> None:
    record = record_of("** Alert 1.1: - g,\n2026 Nov 02 03:51:40 h->f\nRule: 1 (level 2) -> 'c'\nlog\n\n")
    assert FORMATS["default"](record, b"h").startswith(b"<132>Nov  2 03:51:40 h ossec: Alert Level: 2;")


@given(st.text(max_size=30), st.integers(0, 40))
def test_a_cut_is_between_characters(text: str, length: int) -> None:
    data = text.encode("utf-8", "ignore")
    piece = cut(data, min(length, len(data)))
    piece.decode()
    assert data.startswith(piece)
    assert len(piece) >= min(length, len(data)) - 4


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_formatted(data: bytes) -> None:
    fuzz_csyslogd(data)
