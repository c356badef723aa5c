"""Times of day and days of the week as rules and scans give them (spec/configuration.md, section 6).

`9:00-17:00`, `6 pm - 8:30 am`, `!9-17`; `monday,tue wed`, `weekdays`, `weekends`.  Times are numbers `HHMM` here.
Quirks kept: `am` converts nothing (12 am is 12:00), `pm` adds 12 except to 12, a range that ends before it begins is
the complement of the range turned round (its two ends excluded), whether a `!` stands before it or not.  Ours: `!`
before days works; `as_meant` reads 12 am as midnight, and the `!`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ossec.errors import ConfigError

_TIME = r"(?:([0-9]{1,2})(?::([0-9]{2}))?[ \t]*(am|pm)?)?"
_RANGE = re.compile(rf"(!?)[ \t]*{_TIME}[ \t]*-[ \t]*{_TIME}[ \t]*", re.IGNORECASE)
_SINGLE = re.compile(rf"[ \t]*{_TIME}[ \t]*", re.IGNORECASE)
_SEPARATORS = re.compile(r"[ \t,]+")
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_GROUPS = {"weekdays": frozenset(range(1, 6)), "weekends": frozenset((0, 6))}


class BadTime(ConfigError):
    """A text that is no time of day, range of times, or list of days; `code` is OSSEC's number for it."""

    def __init__(self, code: int, what: str, text: str) -> None:
        super().__init__(f"Invalid {what} format: '{text}'.")
        self.code = code


@dataclass(frozen=True, slots=True)
class TimeRange:
    """`start` to `end` (both included, `HHMM`), or all but that when `negated`."""

    start: int
    end: int
    negated: bool = False

    def contains(self, hour: int, minute: int) -> bool:
        """Whether a time of day is in the range."""
        return (self.start <= hour * 100 + minute <= self.end) is not self.negated

    def describe(self) -> str:
        """For people: `09:00 to 17:00`, `all but 01:00 to 12:00`."""
        return f"{'all but ' if self.negated else ''}{_clock(self.start)} to {_clock(self.end)}"

    def __str__(self) -> str:
        """OSSEC's normal form: `.HH:MMHH:MM`, `!` in front when negated."""
        return f"{'!' if self.negated else '.'}{_clock(self.start)}{_clock(self.end)}"


def _clock(time: int) -> str:
    return f"{time // 100:02d}:{time % 100:02d}"


def _time(hour: str | None, minute: str | None, half: str | None, *, as_meant: bool = False) -> int | None:
    """`HHMM`, None when there is no such time; nothing given is midnight."""
    hours, minutes = int(hour or 0), int(minute or 0)
    if half and half.lower() == "pm" and hours != 12:
        hours += 12
    elif as_meant and half and half.lower() == "am" and hours == 12:
        hours = 0
    if hours > 23 or minutes > 60:
        return None
    return hours * 100 + minutes


def parse_range(text: str, *, as_meant: bool = False) -> TimeRange:
    """`A - B`, `!` in front for the rest of the day; BadTime (1240).  `as_meant`: without OSSEC's slips."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise BadTime(1240, "time", text)
    start = _time(*match.group(2, 3, 4), as_meant=as_meant)
    end = _time(*match.group(5, 6, 7), as_meant=as_meant)
    if start is None or end is None or (match[2] is None and match[5] is None):
        raise BadTime(1240, "time", text)
    if start > end:
        return TimeRange(end, start, not (as_meant and match[1]))
    return TimeRange(start, end, bool(match[1]))


def parse_time(text: str) -> TimeRange:
    """One time of day as the range that holds only it; BadTime (1240)."""
    match = _SINGLE.fullmatch(text)
    time = _time(*match.groups()) if match else None
    if time is None:
        raise BadTime(1240, "time", f"{text}-{text}")  # OSSEC reads it as a range, and says so
    return TimeRange(time, time)


@dataclass(frozen=True, slots=True)
class Days:
    """Days of the week, 0 for Sunday to 6 for Saturday."""

    numbers: frozenset[int]
    negated: bool = False

    def contains(self, day: int) -> bool:
        """Whether a day (0: Sunday) is one of them."""
        return (day in self.numbers) is not self.negated

    def flags(self) -> list[int]:
        """OSSEC's form: seven flags from Sunday, then the sign."""
        return [int(day in self.numbers) for day in range(7)] + [int(self.negated)]


def parse_days(text: str) -> Days:
    """Names of days (three letters suffice), `weekdays`, `weekends`, separated by blanks or commas; BadTime (1241)."""
    negated = text.lstrip().startswith("!")
    body = text.lstrip()[1:] if negated else text
    numbers: set[int] = set()
    for word in _SEPARATORS.split(body.strip(" \t,").lower()):
        if word in _GROUPS:
            numbers |= _GROUPS[word]
            continue
        found = [number for number, name in enumerate(_DAYS) if len(word) >= 3 and name.startswith(word)]
        if not found:
            raise BadTime(1241, "day", text)
        numbers.update(found)
    return Days(frozenset(numbers), negated)
