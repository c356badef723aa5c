"""Records from any state of an alert file, against what OSSEC's reader makes of the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.alertstream import records
from ossec.alertstream.records import Parsed, Record, RecordReader
from ossec.messages import alert as alerts
from tests.fuzz.fuzz_alertstream import fuzz_alertstream

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "vectors" / "outputs" / "alerts"
NAMES = {
    "alertid": "id",
    "old_md5": "old_md5",
    "file_size": "size",
    "owner_chg": "owner",
    "group_chg": "group_owner",
    "perm_chg": "permissions",
    "log": "lines",
}
DELIBERATE = {  # name -> ids that ours returns, each with the reason
    "old-header-no-blank-after-colon": (["1149663466.1082", "2.2"], "the format of 0.8 is read"),
    "two-alerts-without-blank-line": (["1.1", "2.2"], "a header ends a record"),
    "empty-log-then-alert": (["1.1", "2.2"], "a header ends a record"),
    "no-final-blank-line-eof": (["1.1"], "a day that ends completes its last record"),
    "crlf-lines": (["1.1", "2.2"], "CR LF ends a line too"),
    "header-inside-log": (["1.1", "2.2"], "a line of a log that looks like a header is a line of the log"),
    "nonmail-right-after-mail-no-blank": (["1.1", "3.3", "2.2"], "a header ends a record"),
    "geoip-lines-in-build-without-geoip": (["1.1"], "places are fields: there is one build"),
}


def vectors(name: str) -> list[dict[str, Any]]:
    path = SHARED / name
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(data: bytes, piece: int = 1 << 20) -> list[Parsed]:
    reader = RecordReader()
    found: list[Parsed] = []
    for at in range(0, len(data), piece):
        found += reader.feed(data[at : at + piece])
    return found + reader.finish()


def shown(record: Record) -> dict[str, Any]:
    """As the vectors show one: absent and empty values left out, bytes as Latin-1."""
    values: dict[str, Any] = {}
    ours = {ours: theirs for theirs, ours in NAMES.items()}
    for name, value in record._asdict().items():
        if name == "mail" or not value:
            continue
        if name == "lines":
            value = [line.decode("latin-1") for line in record.shown]
        elif isinstance(value, bytes):
            value = value.decode("latin-1")
        values[ours.get(name, name)] = value
    return values


@pytest.mark.parametrize("case", vectors("parse_edge.jsonl"), ids=lambda case: case["name"])
@pytest.mark.parametrize("piece", [1 << 20, 1, 7])
def test_edges_of_the_format(case: dict[str, Any], piece: int) -> None:
    found = [parsed.record for parsed in read(case["input"].encode("latin-1"), piece)]
    if case["name"] in DELIBERATE:
        assert [record.id.decode() for record in found] == DELIBERATE[case["name"]][0]
        return
    assert [shown(record) for record in found] == case["all"]
    ids = [alert["alertid"] for alert in case["mail_only"]]
    assert [record.id.decode() for record in found if record.mail] == ids


@pytest.mark.parametrize("case", vectors("alerts.jsonl"), ids=lambda case: case["name"])
def test_recorded_alerts(case: dict[str, Any]) -> None:
    (parsed,) = read(case["alert"].encode("latin-1"))
    found = shown(parsed.record)
    if case["name"] == "hm-field-lines-inside-log":
        assert (parsed.record.rule, parsed.record.user, len(parsed.record.lines)) == (100999, None, 5)
        return
    expected = {key: value for key, value in case["parsed"].items() if value}
    assert found == expected


def test_a_stream_of_all_alerts_gives_each_once_with_its_place() -> None:
    path = SHARED / "all.log"
    if not path.exists():
        pytest.skip("needs ../shared/vectors")
    data = path.read_bytes()
    found = read(data, 100)
    assert len(found) == 48
    for parsed in found:
        assert data[: parsed.end].endswith(parsed.raw)


def test_a_record_written_in_two_steps_is_whole() -> None:
    reader = RecordReader()
    text = b"** Alert 1.1: - g,\n2026 Nov 22 03:51:40 h->f\nRule: 1 (level 2) -> 'c'\nlog\n\n"
    assert reader.feed(text[:30]) == []
    assert reader.offset == 0
    (parsed,) = reader.feed(text[30:])
    assert parsed.raw == text
    assert (parsed.end, reader.offset, reader.dropped) == (len(text), len(text), 0)


def test_junk_and_a_record_without_end_are_given_up_and_counted() -> None:
    reader = RecordReader()
    head = b"** Alert 1.1: - g,\n2026 Nov 22 03:51:40 h->f\nRule: 1 (level 2) -> 'c'\n"
    assert reader.feed(b"junk\nmore junk\n\n" + head + b"x" * (1 << 20)) == []
    assert len(reader.waiting) <= (1 << 20) + len(head) + 1
    (parsed,) = reader.feed(b"\n\n" + head + b"log\n\n")
    assert parsed.record.lines == (b"log",)
    assert reader.dropped >= 2


def test_a_log_that_is_one_field_line_is_the_log() -> None:
    text = b"** Alert 1.1: - g,\n2026 Nov 22 03:51:40 h->f\nRule: 1 (level 2) -> 'c'\nSrc IP: 192.0.2.1\nUser: x\n\n"
    reader = RecordReader()
    assert reader.feed(text) == []
    (parsed,) = reader.settle()
    assert (parsed.record.srcip, parsed.record.user) == (b"192.0.2.1", None)
    assert parsed.record.lines == (b"User: x",)


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/vectors")
def test_the_short_way_gives_what_the_long_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [case["input"] for case in vectors("parse_edge.jsonl")] + [
        (SHARED / "all.log").read_bytes().decode("latin-1")
    ]
    short = [read(text.encode("latin-1")) for text in texts]
    monkeypatch.setattr(records, "_usual", lambda found: None)
    assert [read(text.encode("latin-1")) for text in texts] == short


LINE = st.binary(max_size=40).map(lambda text: text.replace(b"\n", b" "))
FIELD = st.none() | LINE


@settings(max_examples=150)
@given(
    st.lists(
        st.builds(
            alerts.Alert,
            time=st.integers(0, 10**10),
            number=st.integers(0, 10**6),
            mail=st.booleans(),
            group=st.just(b"a,b,"),
            date=st.just(b"2023 Nov 14 22:13:23"),
            location=LINE,
            rule=st.integers(0, 10**6),
            level=st.integers(0, 16),
            comment=LINE,
            srcip=FIELD,
            srcport=st.none(),
            dstip=FIELD,
            dstport=st.none(),
            user=FIELD,
            lines=st.lists(LINE, min_size=1, max_size=5).map(lambda rest: (b"log of it", *rest)),
        ),
        max_size=4,
    ),
    st.integers(1, 300),
)
def test_what_analysisd_writes_is_read_in_any_pieces(written: list[alerts.Alert], piece: int) -> None:
    data = b"".join(alerts.format(alert) for alert in written)
    found = [parsed.record for parsed in read(data, piece)]
    assert [(r.id, r.mail, r.rule, r.level, r.comment, r.srcip, r.dstip, r.user) for r in found] == [
        (a.id, a.mail, a.rule, a.level, a.comment, a.srcip, a.dstip, a.user) for a in written
    ]


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes_are_read(data: bytes) -> None:
    fuzz_alertstream(data)
