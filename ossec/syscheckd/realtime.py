"""Which paths to look at, and when, after the kernel told of something: the core of real time (spec/syscheck.md, 4).

Events of one path are taken together: it is looked at when it has been quiet for QUIET seconds, at the latest LONGEST
seconds after its first event.  So a file that an editor replaces by renaming is a change and no deletion, several
writes are one change, and the message still comes within a second.
"""

from __future__ import annotations

import heapq

QUIET = 0.25  # seconds
LONGEST = 0.6  # seconds; with the time of a look still below one
MAX_PATHS = 100_000  # that wait; beyond it everything in real time is looked at instead


class Pending:
    """Paths that wait to be looked at.  `lost`: there were too many; the caller looks at all and sets it back."""

    def __init__(self) -> None:
        self._events: dict[bytes, tuple[float, float]] = {}  # path -> first and last event
        self._order: list[tuple[float, bytes]] = []  # when to look, or to see that it is later
        self.lost = False

    def __len__(self) -> int:
        return len(self._events)

    def add(self, path: bytes, now: float) -> None:
        known = self._events.get(path)
        if known is not None:
            self._events[path] = known[0], now
        elif len(self._events) >= MAX_PATHS:
            self.lost = True
        else:
            self._events[path] = now, now
            heapq.heappush(self._order, (now + QUIET, path))

    def next_time(self) -> float | None:
        """When something may be due."""
        return self._order[0][0] if self._order else None

    def take(self, now: float, limit: int) -> list[bytes]:
        """At most `limit` paths whose time has come."""
        due: list[bytes] = []
        while self._order and self._order[0][0] <= now and len(due) < limit:
            _, path = heapq.heappop(self._order)
            first, last = self._events[path]
            when = min(last + QUIET, first + LONGEST)
            if when > now:
                heapq.heappush(self._order, (when, path))
            else:
                del self._events[path]
                due.append(path)
        return due
