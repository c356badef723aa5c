"""Agents that fall silent, on a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ossec.messages import queue
from ossec.monitord.agents import STARTED, Seen, Watch, disconnected

SILENCE = 1830.0


def test_an_agent_that_falls_silent_is_told_once() -> None:
    watch = Watch(SILENCE)
    web = Seen("web01", "192.0.2.20", 1000.0)
    assert watch.look([web], 1000.0) == []
    assert watch.look([web], 1000.0 + SILENCE - 0.1) == []
    assert watch.look([web], 1000.0 + SILENCE) == [web]
    assert watch.look([web], 9000.0) == []
    back = web._replace(last=9000.0)
    assert watch.look([back], 9001.0) == []
    assert watch.look([back], 9000.0 + SILENCE) == [back]


def test_nobody_is_told_who_was_silent_before_or_never_came_or_was_removed() -> None:
    watch = Watch(SILENCE)
    old, never, removed = Seen("old", "192.0.2.1", 1.0), Seen("never", "192.0.2.2", None), Seen("x", "any", 9999.0)
    assert watch.look([old, never, removed], 10_000.0) == []
    assert watch.look([old, never], 20_000.0) == []


def test_the_event_is_ossecs() -> None:
    event = disconnected(Seen("web01", "192.0.2.20", None))
    assert event == b"1:web01-192.0.2.20->ossec-monitord:ossec: Agent disconnected: 'web01-192.0.2.20'.\0"
    assert STARTED == b"1:ossec-monitord:ossec: Ossec started.\0"


@given(
    name=st.from_regex(r"[A-Za-z0-9._-]{2,128}", fullmatch=True), address=st.sampled_from(["any", "10.9.0.1", "::1"])
)
def test_every_event_is_taken_apart_as_it_was_meant(name: str, address: str) -> None:
    message = queue.decode(disconnected(Seen(name, address, None)))
    assert message.location.endswith(b"->ossec-monitord")
    assert message.log == f"ossec: Agent disconnected: '{name}-{address}'.".encode()
