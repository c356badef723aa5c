"""Who is active, silent, superseded: from agent-info alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.agents import status
from ossec.agents.keyfile import Row
from ossec.agents.maintenance import Marker
from ossec.agents.status import Agent, State

NOW = 1_800_000_000.0
SILENCE = status.silent_after()


def agent(identity: str, host: str, age: float | None, ip: str = "any") -> Agent:
    """An entry whose host last spoke `age` seconds ago."""
    info = f"Linux {host} 6.1.0 #1 SMP x86_64 - OSSEC HIDS v4.2.0\ncrypto_method:aes\n".encode()
    seen = None if age is None else NOW - age
    return status.judge(Row(identity, f"a{identity}", ip, "k"), None if age is None else info, seen, NOW, SILENCE)


def test_silence_begins_after_three_missed_keepalives_and_some() -> None:
    assert [agent("1", "h", age).state for age in (0, 1829, 1830, None)] == [
        State.ACTIVE,
        State.ACTIVE,
        State.DISCONNECTED,
        State.NEVER,
    ]
    assert status.silent_after(60) == 210


DAY = 86400
SUPERSEDED: list[tuple[str, list[Agent], list[str | None]]] = [
    ("moved to another network", [agent("1", "web", DAY), agent("2", "web", 5)], ["2", None]),
    ("twice", [agent("1", "web", 2 * DAY), agent("2", "web", DAY), agent("3", "WEB", 5)], ["3", "3", None]),
    ("still heard", [agent("1", "web", 600), agent("2", "web", 5)], [None, None]),
    ("another host", [agent("1", "web", DAY), agent("2", "db", 5)], [None, None]),
    ("the new one is silent too", [agent("1", "web", DAY), agent("2", "web", DAY / 2)], [None, None]),
    (
        "clones share a name, so it tells nothing",
        [agent("1", "web", DAY), agent("2", "web", 5), agent("3", "web", 5)],
        [None, None, None],
    ),
    ("nobody's name", [agent("1", "localhost", DAY), agent("2", "localhost", 5)], [None, None]),
    ("never came", [agent("1", "web", None), agent("2", "web", 5)], [None, None]),
]


@pytest.mark.parametrize(("agents", "expected"), [row[1:] for row in SUPERSEDED], ids=[row[0] for row in SUPERSEDED])
def test_an_entry_whose_host_moved_is_superseded(agents: list[Agent], expected: list[str | None]) -> None:
    assert [listed.superseded_by for listed in status.mark_superseded(agents)] == expected


def test_windows_names_no_host() -> None:
    info = b"Microsoft Windows Server 2019 Datacenter (Ver: 10.0.17763) - OSSEC HIDS v4.2.0\n"
    assert status.judge(Row("1", "a", "any", "k"), info, NOW, NOW, SILENCE).host is None


@given(st.binary(max_size=200), st.floats(0, 2e9))
def test_any_file_is_some_agents(info: bytes, seen: float) -> None:
    judged = status.judge(Row("1", "a", "10.0.0.0/8", "k"), info, seen, NOW, SILENCE)
    assert judged.state is not State.NEVER
    assert judged.network == "10.0.0.0/8"
    assert judged.host is None or judged.host == judged.host.lower()


@given(st.integers(0, 10**12), st.booleans(), st.integers(0, 10**12))
def test_markers_are_read_as_written(enabled: int, pending: bool, updates: int) -> None:
    marker = Marker(enabled, pending, updates)
    assert Marker.parse(marker.format(), 7) == marker
    assert Marker.parse("#!maint\n", 7) == Marker(7)


@given(st.text(max_size=200))
def test_any_marker_is_one(text: str) -> None:
    assert Marker.parse(text, 7).silent_updates >= 0
