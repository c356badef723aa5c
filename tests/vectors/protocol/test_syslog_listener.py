"""What a real server passed on of foreign syslog, against ours (spec/protocol.md, section 7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.config.addresses import AddressList
from ossec.messages import queue
from ossec.remoted.syslog import Stream, event, permitted

ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "syslog_listener.jsonl").read_text(encoding="utf-8").splitlines()
]
ALLOWED = AddressList(["10.9.0.0/24", "127.0.0.1", "2001:db8::/32"])  # the recording's configuration
DENIED = AddressList(["10.9.0.13"])

LONGEST = "a" * (queue.MAX_TEXT - len("2:10.9.0.11:"))  # what an event holds of a line that is too long

# What ours makes of streams where OSSEC's glues, delays or loses lines; docs/differences.md.
TCP = {
    "no_newline_then_close": ["Nov 22 04:00:01 fw01 sshd[77]: Failed password for root from 203.0.113.9 port 22 ssh2"],
    "two_lines_one_segment": ["line one", "line two"],
    "three_lines_one_segment": ["L1", "L2", "L3"],
    "empty_line": [],
    "octet_counted": ["abcd"],
    "octet_counted_nl": ["abcd"],
    "nul": ["ab"],
    "long_7000_one_write": [LONGEST, "after"],
    "long_no_newline_7000": [LONGEST, "after"],
}
MAX_UDP = 1024  # what OSSEC reads of a datagram; ours reads an event's full length


def of(proto: str) -> list[dict[str, Any]]:
    return [row for row in ROWS if row["proto"] == proto]


@pytest.mark.parametrize("row", of("udp"), ids=lambda row: row["case"])
def test_a_datagram(row: dict[str, Any]) -> None:
    assert permitted(row["src_ip"], ALLOWED, DENIED) == bool(row["to_analysisd"])
    if row["to_analysisd"]:
        sent = row["sent"].encode("latin-1")
        assert event(sent[:MAX_UDP], row["src_ip"]) == row["to_analysisd"][0].encode("latin-1") + b"\0"
        whole = sent.partition(b"\0")[0].partition(b">")[2] if len(sent) > MAX_UDP else b""
        assert event(sent, row["src_ip"]).endswith(whole + b"\0")


@pytest.mark.parametrize("row", of("tcp"), ids=lambda row: row["case"])
def test_a_stream(row: dict[str, Any]) -> None:
    stream = Stream()
    lines: list[bytes] = []
    for segment in row["segments"]:
        size = int(segment[4:]) if segment.startswith("len:") else 0
        data = b"a" * size if size else segment.encode("latin-1")
        if row["case"] in {"long_3000", "long_7000_one_write"} and size:
            data = data[:-1] + b"\n"
        lines += stream.feed(data)
    lines += stream.close()
    events = [queue.decode(event(line, "10.9.0.11")).log.decode("latin-1") for line in lines]
    if row["case"] in TCP:
        assert events == TCP[row["case"]]
        return
    recorded = [text for texts in row["to_analysisd_after_each_segment_then_close"] for text in texts]
    if row["case"] == "long_3000":
        assert [len(text) for text in events] == [3000]
    else:
        assert events == [text.split(":", 2)[2].removesuffix("\n") for text in recorded]


def test_all_rows_are_taken() -> None:
    assert (len(of("udp")), len(of("tcp"))) == (21, 17)
    assert TCP.keys() <= {row["case"] for row in of("tcp")}
