"""One pass over a log for everything that decoders and rules look for (`PatternSet`).

Decoders and rules register the patterns whose literals are worth looking for and get a place each; `scan` then tells,
as bits, which of them a log can match.  A pattern that must stand at the beginning also tells with which bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from ossec.regex import Matcher, PatternSet
from ossec.regex.beginnings import first_bytes

T = TypeVar("T")

MIN_LITERAL = 3  # shorter literals are in too many lines to tell anything
MAX_KEPT = 8192  # choices remembered of one list; a stranger's lines only make us choose again
UNKNOWN = 256  # the "first byte" of an empty log, and of one that begins outside ASCII
EVERYTHING = -1  # the bits of a log of which nothing is known


class Scanner:
    """The patterns of one engine."""

    def __init__(self) -> None:
        self._patterns: list[Matcher] = []
        self._mask: Callable[[bytes], int] | None = None
        self._log: bytes | None = None  # the log of the last pass, and what it found
        self._found = 0
        self.low = b""  # that log, lower-cased

    def register(self, matcher: Matcher) -> int:
        """The place of a pattern; -1 when its literals tell nothing."""
        if not selective(matcher):
            return -1
        self._patterns.append(matcher)
        return len(self._patterns) - 1

    def scan(self, log: bytes) -> int:
        """The patterns that a log can match, as bits; `low` is its lower-cased form afterwards."""
        if log is not self._log:
            if self._mask is None:
                self._mask = PatternSet(self._patterns).mask
            self.low = low = log.lower()
            self._found = self._mask(low)
            self._log = log
        return self._found


def selective(matcher: Matcher | None) -> bool:
    """Whether a pattern has literals that are worth looking for: not too short, and more than a number."""
    return (
        matcher is not None
        and bool(matcher.literals)
        and all(len(literal) >= MIN_LITERAL and not literal.isdigit() for literal in matcher.literals or ())
    )


def strength(matcher: Matcher) -> int:
    """How much the literals of a pattern tell: the length of the shortest."""
    return min(map(len, matcher.literals or (b"",)))


class Row(NamedTuple, Generic[T]):
    """An item and what a log must have for it."""

    place: int  # of its pattern; -1: no literals
    beginning: int  # first bytes, as bits
    item: T


def row(item: T, pattern: Matcher | None, whole: bool, scanner: Scanner) -> Row[T]:
    """Register an item's pattern, if it has one; `whole`: it looks at the log from its beginning on."""
    if pattern is None:
        return Row(-1, EVERYTHING, item)
    beginning = first_bytes(pattern) if whole else None
    return Row(scanner.register(pattern), EVERYTHING if beginning is None else beginning, item)


class Choice(Generic[T]):
    """Items in order, of which some can be left out for a log."""

    __slots__ = ("_kept", "_mask", "_rows")

    def __init__(self, rows: Iterable[Row[T]]) -> None:
        self._rows = tuple(rows)
        self._mask = 0
        for one in self._rows:
            if one.place >= 0:
                self._mask |= 1 << one.place
        self._kept: dict[tuple[int, int], tuple[T, ...]] = {}

    def select(self, found: int, first: int) -> tuple[T, ...]:
        """The items for a log with the patterns `found` that begins with the byte `first` (or UNKNOWN)."""
        key = (found & self._mask, first)
        kept = self._kept.get(key)
        if kept is None:
            bit = EVERYTHING if first == UNKNOWN else 1 << first
            kept = tuple(
                item
                for place, beginning, item in self._rows
                if (place < 0 or found >> place & 1) and (beginning == EVERYTHING or beginning & bit)
            )
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[key] = kept
        return kept
