"""Control messages, merges and foreign syslog: any bytes are one of what the formats know."""

from __future__ import annotations

from ossec.messages import control, merged
from ossec.remoted.syslog import Stream, event


def fuzz_control_from_agent(data: bytes) -> None:
    control.parse_from_agent(data)
    control.parse_from_agent(control.HEAD + data)


def fuzz_control_from_server(data: bytes) -> None:
    control.parse_from_server(data)
    control.parse_from_server(control.FILE_HEAD + data)


def fuzz_merged(data: bytes) -> None:
    for name, _ in merged.parse_merged(data):
        merged.safe_name(name)
    assert b"".join(merged.chunks(data)) == data


def fuzz_syslog(data: bytes) -> None:
    stream = Stream()
    for start in range(0, len(data), 7):
        stream.feed(data[start : start + 7])
    stream.close()
    event(data, "192.0.2.1")
