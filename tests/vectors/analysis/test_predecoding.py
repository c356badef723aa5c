"""Predecoding against what OSSEC's logtest printed for 178 lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.analysisd.event import Event
from ossec.analysisd.predecode import clean, predecode

VECTORS = json.loads((Path(__file__).parent / "predecoding.json").read_text())


# Dates with a whole header behind them that OSSEC does not read; by default we do (docs/differences).
DIFFERENT = {
    92: ("host1", "app", "x"),
    94: ("host1", "app", "no fraction"),
    97: ("h", "a", "x"),
    99: ("host1", "sshd", "zulu zulu zulu"),
    107: ("host1", "sshd", "seven"),
    108: ("host1", "sshd", "zulu fraction"),
    109: ("ossecsrv", None, "2009-05-22T09:36:46.214Z host:1 sshd[1]: zulu fraction"),  # OSSEC begins amid the line
    110: ("host1", "sshd", "space"),
    111: ("host1", "sshd", "no colon in zone"),
}


def take_apart(line: bytes, *, compat: bool = False) -> tuple[str, str | None, str]:
    event = Event(b"1", VECTORS["location"].encode(), clean(line), 0.0)
    predecode(event, VECTORS["server_hostname"].encode(), compat)
    program = event.program_name
    return event.hostname.decode(), None if program is None else program.decode(), event.log.decode()


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: f"{case['n']}")
def test_the_line_is_taken_apart_as_recorded(case: dict[str, Any]) -> None:
    recorded = case["hostname"], case["program_name"], case["log"]
    line = case["input"].encode()
    assert take_apart(line, compat=True) == recorded
    expected = DIFFERENT.get(case["n"], recorded)
    assert take_apart(line) == expected
    assert (expected != recorded) == (case["n"] in DIFFERENT)


def test_an_agents_location_is_its_hostname() -> None:
    event = Event(b"1", b"(web01) 10.0.0.5->/var/log/auth.log", b"Nov 14 22:13:20 h1 app[7]: a", 0.0)
    predecode(event, b"me")
    assert (event.hostname, event.program_name, event.log) == (event.location, b"app", b"a")
