"""When a scan is due: `frequency`, `scan_time`, `scan_day` (spec/syscheck.md, 1 and 2).

With a time or a day a scan is due once on each day that fits, when the time has come, and `frequency` is a week.  A
day whose time had already passed at the start counts as done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ossec.config.times import Days, TimeRange

DEFAULT_FREQUENCY = 600  # seconds, where `<frequency>` is not given
WEEK = 604800


@dataclass(slots=True)
class Schedule:
    """`last_end` is when the last scan ended (or the daemon started), in seconds of the epoch."""

    frequency: int
    scan_time: TimeRange | None
    scan_day: Days | None
    last_end: float
    _done: int = field(default=-1, init=False)  # the day (of the year) that needs no scan any more
    _asked: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.scan_time is not None or self.scan_day is not None:
            self.frequency = WEEK
            local = time.localtime(self.last_end)
            if self._time_has_come(local):
                self._done = local.tm_yday

    def ask(self) -> None:
        """Somebody wants a scan now."""
        self._asked = True

    def due(self, now: float) -> bool:
        """Whether to begin a scan.  True is said once; then the scan's end is awaited."""
        if self._asked:
            self._asked = False
            return True
        if self.scan_time is not None or self.scan_day is not None:
            local = time.localtime(now)
            if local.tm_yday != self._done and self._time_has_come(local) and self._day_fits(local):
                self._done = local.tm_yday
                return True
        return now - self.last_end > self.frequency

    def ended(self, now: float) -> None:
        self.last_end = now

    def _time_has_come(self, local: time.struct_time) -> bool:
        if self.scan_time is None:
            return True
        return local.tm_hour * 100 + local.tm_min >= self.scan_time.start

    def _day_fits(self, local: time.struct_time) -> bool:
        return self.scan_day is None or self.scan_day.contains((local.tm_wday + 1) % 7)
