"""Events per hour: totals files, averages that are learned, and the alert about an unusual hour (spec/analysis.md, 9).

State is plain numbers; what is to be written is returned as `path parts -> text`, what was learned is given at start.
Hours and days follow the events' own time, each event counted in its own hour (OSSEC counts the first of an hour in the
one before, and sees a new day only when the hour differs).
"""

from __future__ import annotations

import re
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field

RULE_ID = 11
DESCRIPTION = "Excessive number of events (above normal)."
GROUP = "stats,"
MIN_DAYS = 2  # alerts only when more days than this were learned
MAX_DAYS = 7  # weight of the past in an average
MAX_ALERTS = 3  # a day
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBER = re.compile(r"[0-9]{1,15}")
LEARNED = 24  # the file beside those of the hours: how many days are in them


@dataclass(slots=True)
class Averages:
    """One average per hour, and over how many days."""

    hours: list[int] = field(default_factory=lambda: [0] * 24)
    days: int = 0


@dataclass(slots=True)
class Learned:
    """What stats/ holds: `hourly`, and `weekly` by weekday (0 is Sunday)."""

    hourly: Averages = field(default_factory=Averages)
    weekly: list[Averages] = field(default_factory=lambda: [Averages() for _ in range(7)])


@dataclass(frozen=True, slots=True)
class Limits:
    """`analysisd.stats_*`."""

    maxdiff: int = 999000
    mindiff: int = 1250
    percent_diff: int = 150

    def over(self, average: int) -> int:
        """The number of events that is not yet unusual."""
        diff = average * self.percent_diff // 100 + 1
        return average + min(max(diff, self.mindiff), self.maxdiff)


class Hour:
    """Where a time lies in the calendar of this machine."""

    __slots__ = ("end", "hour", "key", "start", "weekday")

    def __init__(self, now: int) -> None:
        local = clock.localtime(now)
        self.start = now - local.tm_min * 60 - local.tm_sec
        self.end = self.start + 3600
        self.hour = local.tm_hour
        self.weekday = (local.tm_wday + 1) % 7
        self.key = (local.tm_year, local.tm_mon, local.tm_mday)


NEVER = 1 << 62


class Statistics:
    """Counts the events of the hour.  `rule_hits` of the hour come from the engine when the hour ends."""

    def __init__(self, learned: Learned, limits: Limits, now: int, *, enabled: bool = True) -> None:
        """`enabled`: whether rule 11 has a level (`<stats>` above 0)."""
        self.learned = learned
        self.limits = limits
        self.enabled = enabled
        self.hour = Hour(now)
        self.events = 0
        self.syscheck = 0
        self.firewall = 0
        self.today = [0] * 24
        self.alerts_today = 0
        self.limit = NEVER
        self._told = False  # that this hour is unusual
        self._set_limit()

    def change(self, limits: Limits, *, enabled: bool) -> None:
        """After a reload."""
        self.limits = limits
        self.enabled = enabled
        self._set_limit()

    def count(self) -> bool:
        """One more event; whether that is too many (`tell` says it, once an hour)."""
        self.events += 1
        return self.events > self.limit

    def roll(self, now: int, rule_hits: list[tuple[int, int, int]]) -> dict[tuple[str, ...], str]:
        """Begin the hour of `now`; what to append to (`totals`) or write over files below stats/.

        `rule_hits` are (rule id, level, firedtimes) of the hour that ended.
        """
        old, new = self.hour, Hour(now)
        self.today[old.hour] = self.events
        totals = self._format_totals(rule_hits)
        files: dict[tuple[str, ...], str] = {}
        if new.key != old.key:
            totals += self._format_day()
            files = self._learn()
            self.today = [0] * 24
            self.alerts_today = 0
        files[totals_path(old)] = totals
        self.hour = new
        self._told = False
        self.events = self.syscheck = self.firewall = 0
        self._set_limit()
        return files

    def _set_limit(self) -> None:
        """How many events this hour may have before somebody is told."""
        self.limit = NEVER
        if self._told or not self.enabled or self.alerts_today >= MAX_ALERTS:
            return
        for averages in (self.learned.hourly, self.learned.weekly[self.hour.weekday]):
            if averages.days > MIN_DAYS and averages.hours[self.hour.hour]:
                self.limit = min(self.limit, self.limits.over(averages.hours[self.hour.hour]))

    def tell(self) -> str:
        """The text of the alert about too many events; none more in this hour."""
        self.limit = NEVER
        self._told = True
        self.alerts_today += 1
        hour, weekly = self.hour.hour, self.learned.weekly[self.hour.weekday]
        hourly = self.learned.hourly
        average, day = weekly.hours[hour], f" on {DAYS[self.hour.weekday]}"
        if hourly.days > MIN_DAYS and hourly.hours[hour] and self.events > self.limits.over(hourly.hours[hour]):
            average, day = hourly.hours[hour], ""
        return (
            f"The average number of logs between {hour}:00 and {hour + 1}:00{day} is {average}. "
            f"We reached {self.events}."
        )

    def _format_totals(self, rule_hits: list[tuple[int, int, int]]) -> str:
        hour = self.hour.hour
        lines = [f"{hour}-{sid}-{level}-{fired}\n" for sid, level, fired in rule_hits]
        alerts = sum(fired for _, _, fired in rule_hits)
        lines.append(f"{hour}--{alerts}--{self.events}--{self.syscheck}--{self.firewall}\n\n")
        return "".join(lines)

    def _format_day(self) -> str:
        lines = [f"Hour totals - {hour}:{count}\n" for hour, count in enumerate(self.today)]
        return "".join(lines) + f"Total events for day:{sum(self.today)}\n"

    def _learn(self) -> dict[tuple[str, ...], str]:
        """Fold the day into the averages; the files that change."""
        files: dict[tuple[str, ...], str] = {}
        weekday = self.hour.weekday
        for where, averages in (
            (("hourly-average",), self.learned.hourly),
            (("weekly-average", str(weekday)), self.learned.weekly[weekday]),
        ):
            averages.days = min(averages.days + 1, MAX_DAYS)
            for hour, count in enumerate(self.today):
                if count:
                    averages.hours[hour] = self._next_average(averages.hours[hour], count, averages.days)
                    files[(*where, str(hour))] = str(averages.hours[hour])
            files[(*where, str(LEARNED))] = str(averages.days)
        return files

    def _next_average(self, average: int, count: int, days: int) -> int:
        if not average:
            return count + 20
        if self.alerts_today >= MAX_ALERTS:
            return (3 * count + days * average) // (days + 3) + 25
        return (count + days * average) // (days + 1) + 5


def totals_path(hour: Hour) -> tuple[str, ...]:
    year, month, day = hour.key
    return "totals", str(year), MONTHS[month - 1], f"ossec-totals-{day:02d}.log"


def learn(files: Mapping[tuple[str, ...], str]) -> Learned:
    """What files below stats/ say; anything that is no number counts as 0."""
    learned = Learned()
    for path, text in files.items():
        averages = None
        if path[0] == "hourly-average" and len(path) == 2:
            averages = learned.hourly
        elif path[0] == "weekly-average" and len(path) == 3 and path[1] in ("0", "1", "2", "3", "4", "5", "6"):
            averages = learned.weekly[int(path[1])]
        number = text.strip()
        if averages is None or not _NUMBER.fullmatch(path[-1]) or not _NUMBER.fullmatch(number):
            continue
        hour = int(path[-1])
        if hour < LEARNED:
            averages.hours[hour] = int(number)
        elif hour == LEARNED:
            averages.days = int(number)
    return learned
