"""Predecoding against what OSSEC's logtest printed for 178 lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.analysisd.event import Event
from ossec.analysisd.predecode import clean, predecode

VECTORS = json.loads((Path(__file__).parent / "predecoding.json").read_text())


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: f"{case['n']}")
def test_the_line_is_taken_apart_as_recorded(case: dict[str, Any]) -> None:
    event = Event(b"1", VECTORS["location"].encode(), clean(case["input"].encode()), 0.0)
    predecode(event, VECTORS["server_hostname"].encode())
    program = case["program_name"]
    assert (event.hostname, event.program_name, event.log) == (
        case["hostname"].encode(),
        None if program is None else program.encode(),
        case["log"].encode(),
    )


def test_an_agents_location_is_its_hostname() -> None:
    event = Event(b"1", b"(web01) 10.0.0.5->/var/log/auth.log", b"Nov 14 22:13:20 h1 app[7]: a", 0.0)
    predecode(event, b"me")
    assert (event.hostname, event.program_name, event.log) == (event.location, b"app", b"a")
