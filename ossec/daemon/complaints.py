"""Complaints about peers: the first at once, the same again at most once in an interval, with a count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_KINDS = 1024  # different complaints remembered; a flood with changing names falls into one


@dataclass(slots=True)
class _Held:
    since: float
    level: int
    code: int | None
    count: int = 0


class Complaints:
    """`note(level, code, text)` writes a line.  `interval` in seconds; 0 writes every one."""

    def __init__(self, note: Callable[[int, int | None, str], None], interval: float) -> None:
        self._note = note
        self._interval = interval
        self._held: dict[str, _Held] = {}
        self._others = 0

    def say(self, level: int, code: int | None, text: str, now: float) -> None:
        held = self._held.get(text)
        if held is not None and now - held.since < self._interval:
            held.count += 1
            return
        if held is None and len(self._held) >= MAX_KINDS:
            self._others += 1
            return
        self._note(level, code, self._with_count(text, held))
        if self._interval > 0:
            self._held[text] = _Held(now, level, code)

    def flush(self, now: float) -> None:
        """To be called now and then: says what was held back and forgets what is over."""
        for text, held in list(self._held.items()):
            if now - held.since >= self._interval:
                if held.count:
                    self._note(held.level, held.code, self._with_count(text, held))
                del self._held[text]
        if self._others:
            self._note(30, None, f"{self._others} more complaints about strangers, of other kinds, were not logged")
            self._others = 0

    @staticmethod
    def _with_count(text: str, held: _Held | None) -> str:
        return f"{text} ({held.count} more since)" if held is not None and held.count else text
