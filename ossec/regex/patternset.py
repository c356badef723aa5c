"""Many patterns in one pass: which of thousands can match a line at all.

Theory of operation.  Nearly every pattern has literals of which each match contains one (`Matcher.literals`).  One
Aho-Corasick automaton of all of them reads the line once, whatever their number; the literals it meets select the
patterns.  Lines of one kind meet the same literals, so the answer for a set of literals is kept.  Patterns without
literals are always selected.  Measured on a mixed stream with some 1,200 literals against RE2's and Hyperscan's sets:
the automaton is the fastest of the three from Python, where the cost is the calls, and grows least.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import ahocorasick_rs

from ossec.regex.matcher import Matcher

MAX_KEPT = 8192  # answers kept; a site sees some hundreds of kinds of lines, a stranger could make any number
LARGE = 4000  # literals above which the automaton is built compact: a full table would take seconds and 100s of MB

KELVIN = "\u212a".encode()
LONG_S = "\u017f".encode()


def fold_subject(subject: bytes) -> bytes:
    """Lower-case a subject so that the literals of every kind of pattern can be found in it.

    Two characters outside ASCII fold to ASCII letters in OS_Regex and OS_Match: the Kelvin sign and the long s.
    """
    lowered = subject.lower()
    if lowered.isascii():
        return lowered
    return lowered.replace(KELVIN, b"k").replace(LONG_S, b"s")


class PatternSet:
    """The patterns `matchers`, numbered by their place.

    `mask(lowered)` gives the patterns that can match as the set bits of an integer; a pattern whose bit is not set
    does not match.  `look(lowered)` gives a small number besides: what two subjects of one number have in them is the
    same, so that it can stand for the bits in the key of a table.  `exact`: patterns whose set bit is already the match
    if the subject is ASCII (or the pattern is of kind `pcre2`).  `unfiltered`: patterns without literals, whose bit is
    always set.
    """

    __slots__ = ("_bits", "_find", "_kept", "_numbers", "exact", "matchers", "unfiltered")

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self.matchers = tuple(matchers)
        self.exact = 0
        self.unfiltered = 0
        bits: dict[bytes, int] = {}
        for place, matcher in enumerate(self.matchers):
            if matcher.exact:
                self.exact |= 1 << place
            if matcher.literals is None:
                self.unfiltered |= 1 << place
                continue
            for literal in matcher.literals:
                bits[literal] = bits.get(literal, 0) | 1 << place
        self._bits = tuple(bits.values())
        self._numbers = count()
        self._kept: dict[frozenset[int], tuple[int, int]] = {frozenset(): (self.unfiltered, next(self._numbers))}
        shape = ahocorasick_rs.Implementation.ContiguousNFA if len(bits) > LARGE else ahocorasick_rs.Implementation.DFA
        automaton = ahocorasick_rs.BytesAhoCorasick(list(bits), implementation=shape) if bits else None
        self._find = automaton.find_matches_as_indexes if automaton is not None else None

    def mask(self, lowered: bytes) -> int:
        """The patterns that can match; `lowered`: the subject, lower-cased."""
        return self.look(lowered)[0]

    def look(self, lowered: bytes) -> tuple[int, int]:
        """`mask`, and the number of what was found."""
        if self._find is None:
            return self.unfiltered, 0
        if not lowered.isascii():
            lowered = lowered.replace(KELVIN, b"k").replace(LONG_S, b"s")
        found = frozenset([hit[0] for hit in self._find(lowered, overlapping=True)])
        answer = self._kept.get(found)
        if answer is None:
            mask = self.unfiltered
            for number in found:
                mask |= self._bits[number]
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            answer = self._kept[found] = mask, next(self._numbers)
        return answer

    def candidates(self, subject: bytes) -> set[int]:
        """The places of the patterns that can match `subject`; for tools, `mask` is the quick form."""
        mask = self.mask(subject.lower())
        return {place for place in range(len(self.matchers)) if mask >> place & 1}
