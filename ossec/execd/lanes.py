"""The policy's state for one key: the block, and what runs or waits."""

from __future__ import annotations

from collections import deque

from ossec.execd.effects import Run
from ossec.execd.journal import Entry, Key
from ossec.execd.words import alert_of


class Block:
    """A response that is to be undone."""

    __slots__ = (
        "alert",
        "cancelled",
        "expires",
        "failures",
        "fresh",
        "held",
        "id",
        "made",
        "name",
        "parked",
        "releasing",
        "retry_at",
        "spent",
        "started",
        "timeout",
        "timer",
        "touched",
        "words",
    )

    def __init__(
        self, number: int, name: bytes, words: tuple[bytes, ...], started: float, expires: float, timeout: int
    ) -> None:
        self.id = number
        self.name = name
        self.words = words
        self.started = started
        self.expires = expires
        self.timeout = timeout
        self.alert = alert_of(words)
        self.made = False  # an add has succeeded, now or before a restart
        self.held = False  # and its effect is there as far as we know
        self.fresh = True  # an add was asked for and has not started: it comes first even if its time is over already
        self.touched = False  # an add may have had an effect
        self.spent = False  # adding has failed for good
        self.releasing = False  # its time is over: what counts now is delete
        self.cancelled = False  # lifted before it was made
        self.parked = False  # stopping: delete has failed once, the next life tries again
        self.failures = 0
        self.retry_at = 0.0
        self.timer = 0.0  # the earliest entry on the heap; 0.0: none

    def entry(self, key: Key) -> Entry:
        return Entry(
            self.id, self.name, key.script, self.words, self.started, self.expires, self.alert, self.made, self.failures
        )


class Lane:
    """All that concerns one key."""

    __slots__ = ("block", "counted", "once", "queued", "running")

    def __init__(self) -> None:
        self.running: Run | None = None
        self.queued = False  # waits for one of the script's MAX_PARALLEL places
        self.counted = False  # in `waiting` for that; calls in `once` are counted one by one
        self.once: deque[Run] = deque()  # calls that are not undone
        self.block: Block | None = None
