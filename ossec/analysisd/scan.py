"""One pass over a log for everything that decoders and rules look for (`PatternSet`).

Decoders and rules register the patterns whose literals are worth looking for and get a place each; `scan` then tells,
as bits, which of them a log can match.  A pattern that must stand at the beginning also tells with which bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from ossec.regex import Matcher, PatternSet
from ossec.regex.beginnings import first_bytes

MIN_LITERAL = 3  # shorter literals are in too many lines to tell anything
MAX_KEPT = 8192  # choices remembered of one list; a stranger's lines only make us choose again
UNKNOWN = 256  # the "first byte" of an empty log, and of one that begins outside ASCII
EVERYTHING = -1  # the bits of a log of which nothing is known


class Scanner:
    """The patterns of one engine."""

    def __init__(self) -> None:
        self._patterns: list[Matcher] = []
        self._look: Callable[[bytes], tuple[int, int]] | None = None
        self.log: bytes | None = None  # the log of the last pass, and what it found
        self.found = 0  # the patterns that it can match, as bits
        self.number = -1  # in place of these bits, see `PatternSet`
        self.low = b""  # that log, lower-cased
        self.plain = False  # whether it is pure ASCII

    def register(self, matcher: Matcher) -> int:
        """The place of a pattern; -1 when its literals tell nothing."""
        if not selective(matcher):
            return -1
        self._patterns.append(matcher)
        return len(self._patterns) - 1

    def scan(self, log: bytes) -> int:
        """The patterns that a log can match, as bits; `low` is its lower-cased form afterwards."""
        if log is not self.log:
            if self._look is None:
                self._look = PatternSet(self._patterns).look
            self.low = low = log.lower()
            self.found, self.number = self._look(low)
            self.plain = log.isascii()
            self.log = log
        return self.found


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


HOLDS, LOWER, TEST, SEARCH, TEST_AFTER, SEARCH_AFTER = range(6)
"""How a candidate is tried: not at all (it is one for certain); by a test of the log lower-cased; by a test of the
log; by a search, whose end is asked for; by a test or a search from a place on that the one who tries knows."""


class Candidate:
    """What `Choice` chooses from: something with a pattern, or without, that is looked for in the log."""

    __slots__ = ("from_start", "needs_end", "pattern")

    def __init__(self, pattern: Matcher | None, *, from_start: bool, needs_end: bool) -> None:
        self.pattern = pattern
        self.from_start = from_start  # whether it is looked for in the whole log
        self.needs_end = needs_end  # whether anybody asks where the match ends

    def way(self, plain: bool, found: bool) -> tuple[int, Any]:
        """How to try it on a log that is `plain` ASCII or not, and the function for that.

        `found`: a literal of the pattern is in the log.
        """
        pattern = self.pattern
        if pattern is None:
            return HOLDS, None
        if not self.from_start:
            return (SEARCH_AFTER, pattern.search) if self.needs_end else (TEST_AFTER, pattern.test)
        if self.needs_end:
            return SEARCH, pattern.search
        if plain and found and pattern.exact:
            return HOLDS, None
        if plain and pattern.test_lower is not None:
            return LOWER, pattern.test_lower
        return TEST, pattern.test


T = TypeVar("T", bound=Candidate)
Step = tuple[int, Any, T]


class Row(NamedTuple, Generic[T]):
    """An item and what a log must have for it."""

    place: int  # of its pattern; -1: no literals
    beginning: int  # first bytes, as bits
    item: T


def row(item: T, scanner: Scanner) -> Row[T]:
    """Register an item's pattern, if it has one."""
    pattern = item.pattern
    if pattern is None:
        return Row(-1, EVERYTHING, item)
    beginning = first_bytes(pattern) if item.from_start else None
    return Row(scanner.register(pattern), EVERYTHING if beginning is None else beginning, item)


class Choice(Generic[T]):
    """Items in order, of which some can be left out for a log.

    `kept`: the steps for (number of what was found, first byte, plain), as `select` gave them.
    """

    __slots__ = ("_mask", "_rows", "_shared", "kept")

    def __init__(self, rows: Iterable[Row[T]]) -> None:
        self._rows = tuple(rows)
        self._mask = 0
        for one in self._rows:
            if one.place >= 0:
                self._mask |= 1 << one.place
        self.kept: dict[tuple[int, int, bool], tuple[Step[T], ...]] = {}
        self._shared: dict[tuple[int, int, bool], tuple[Step[T], ...]] = {}  # by the bits that matter here

    def select(self, scanner: Scanner, first: int) -> tuple[Step[T], ...]:
        """How to try the items that the scanner's log can match; it begins with the byte `first` (or UNKNOWN)."""
        found, plain = scanner.found, scanner.plain
        bits = found & self._mask
        steps = self._shared.get((bits, first, plain))
        if steps is None:
            bit = EVERYTHING if first == UNKNOWN else 1 << first
            steps = tuple(
                (*item.way(plain, place >= 0), item)
                for place, beginning, item in self._rows
                if (place < 0 or found >> place & 1) and (beginning == EVERYTHING or beginning & bit)
            )
            if len(self._shared) >= MAX_KEPT:
                self._shared.clear()
            self._shared[bits, first, plain] = steps
        if len(self.kept) >= MAX_KEPT:
            self.kept.clear()
        self.kept[scanner.number, first, plain] = steps
        return steps
