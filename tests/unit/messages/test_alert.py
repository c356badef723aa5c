"""Alert records in both directions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.messages import alert as alerts
from ossec.messages.alert import Alert, AlertReader, BadAlert
from tests.fuzz.fuzz_alert import fuzz_alert

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "vectors" / "outputs" / "alerts"


def example(**changes: object) -> Alert:
    base = Alert(
        time=1700000003,
        number=4,
        mail=True,
        group=b"t,authx,",
        date=b"2023 Nov 14 22:13:23",
        location=b"h1->/var/log/m",
        rule=100210,
        level=10,
        comment=b"r100210",
        srcip=b"1.1.1.1",
        srcport=b"1000",
        dstip=b"2.2.2.2",
        dstport=b"22",
        user=b"joe",
        lines=(b"LOG", b"CONTEXT LINE 1", b"CONTEXT LINE 2"),
    )
    return base._replace(**changes)  # type: ignore[arg-type]


def test_the_record_is_ossecs_to_the_byte() -> None:
    assert alerts.format(example()) == (
        b"** Alert 1700000003.4: mail  - t,authx,\n"
        b"2023 Nov 14 22:13:23 h1->/var/log/m\n"
        b"Rule: 100210 (level 10) -> 'r100210'\n"
        b"Src IP: 1.1.1.1\nSrc Port: 1000\nDst IP: 2.2.2.2\nDst Port: 22\nUser: joe\n"
        b"LOG\nCONTEXT LINE 1\nCONTEXT LINE 2\n\n"
    )


def test_without_mail_and_fields() -> None:
    bare = example(mail=False, srcip=None, srcport=None, dstip=None, dstport=None, user=None, lines=(b"x",))
    assert alerts.format(bare) == (
        b"** Alert 1700000003.4: - t,authx,\n2023 Nov 14 22:13:23 h1->/var/log/m\n"
        b"Rule: 100210 (level 10) -> 'r100210'\nx\n\n"
    )


def test_a_log_line_that_looks_like_a_field_stays_log() -> None:
    forged = example(user=None, lines=(b"plain", b"User: root", b"Src IP: 6.6.6.6"))
    assert alerts.parse(alerts.format(forged)) == forged
    only = example(user=None, lines=(b"User: root",))
    assert alerts.parse(alerts.format(only)) == only


def test_a_text_of_several_lines_cannot_forge_a_record() -> None:
    inner = alerts.format(example(number=666))
    record = alerts.format(example(lines=(b"What changed:\n" + inner + b"tail\n",)))
    read = AlertReader().feed(record)
    assert [alert.number for alert in read] == [4]
    assert read[0].lines[-1] == b""
    assert b" ** Alert" in b"\n".join(read[0].lines)


def test_a_newline_in_a_header_text_becomes_a_blank() -> None:
    read = AlertReader().feed(alerts.format(example(location=b"x\n\n** Alert 1.1: - g", user=b"a\nb", group=b"a,\nb,")))
    assert [(alert.location, alert.user, alert.group) for alert in read] == [
        (b"x  ** Alert 1.1: - g", b"a b", b"a, b,")
    ]


LINE = st.binary(max_size=40).map(lambda line: line.translate(None, b"\n"))
LOG = LINE.filter(lambda line: not line.startswith((b"Src ", b"Dst ", b"User: ", b"** Alert ")))
OPTIONAL = st.none() | LINE
ALERTS = st.builds(
    Alert,
    time=st.integers(0, 2**40),
    number=st.integers(0, 2**40),
    mail=st.booleans(),
    group=LINE.map(lambda line: line.lstrip(b" ")),
    date=st.just(b"2023 Nov 14 22:13:23"),
    location=LINE,
    rule=st.integers(0, 999999),
    level=st.integers(0, 9999),
    comment=LINE,
    srcip=OPTIONAL,
    srcport=OPTIONAL,
    dstip=OPTIONAL,
    dstport=OPTIONAL,
    user=OPTIONAL,
    lines=st.lists(LOG.filter(bool), min_size=1, max_size=4).map(tuple),
    src_location=OPTIONAL,
    dst_location=OPTIONAL,
)


@given(ALERTS)
def test_what_is_written_is_read(alert: Alert) -> None:
    assert alerts.parse(alerts.format(alert)) == alert


@settings(max_examples=30, deadline=None)
@given(st.lists(ALERTS, max_size=4), st.integers(1, 200))
def test_a_stream_in_pieces_gives_the_same_alerts(many: list[Alert], size: int) -> None:
    stream = b"".join(map(alerts.format, many))
    reader = AlertReader()
    read = [alert for start in range(0, len(stream), size) for alert in reader.feed(stream[start : start + size])]
    assert read == many
    assert reader.dropped == 0


def test_a_record_cut_short_costs_only_itself() -> None:
    reader = AlertReader()
    whole = alerts.format(example(number=2))
    assert [alert.number for alert in reader.feed(alerts.format(example())[:-20] + b"\n" + whole)] == [2]
    assert reader.dropped == 1


@pytest.mark.parametrize("record", [b"", b"** Alert 1.1: - x\n", b"junk\n\n"])
def test_what_is_no_record_is_refused(record: bytes) -> None:
    with pytest.raises(BadAlert):
        alerts.parse(record)


@given(st.binary(max_size=300))
def test_any_bytes_end_in_alerts_or_the_documented_error(data: bytes) -> None:
    fuzz_alert(data)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/vectors")
def test_the_recorded_alert_file_is_read_like_ossec_reads_it() -> None:
    rows = [json.loads(line) for line in (SHARED / "alerts.jsonl").read_text().splitlines()]
    read = AlertReader().feed((SHARED / "all.log").read_bytes())
    recorded = [row for row in rows if row["source"] == "analysisd"]
    by_id = {alert.id: alert for alert in read}
    for row in recorded:
        head = row["alert"].split(":", 1)[0].removeprefix("** Alert ").encode()
        alert, parsed = by_id[head], row["parsed"]
        assert (alert.rule, alert.level) == (parsed["rule"], parsed["level"])
        assert alert.comment == parsed["comment"].encode("latin-1")
        assert alert.location == parsed["location"].encode("latin-1")
        assert (alert.user or None) == (parsed["user"].encode("latin-1") if parsed.get("user") else None)
        assert (alert.srcip or None) == (parsed["srcip"].encode("latin-1") if parsed.get("srcip") else None)
