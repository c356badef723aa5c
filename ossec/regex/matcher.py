"""What a compiled pattern is to its users: `Matcher`, `Match`, `PatternError`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ossec.errors import ConfigError
from ossec.regex.bounded import BoundedPattern
from ossec.regex.translate import Kind

TOO_LONG = 3
SYNTAX = 6
EMPTY = 10


class PatternError(ConfigError):
    """A pattern that cannot be used; `.code` is OSSEC's error number (spec/regex.md §2), `.pattern` the text."""

    def __init__(self, pattern: bytes, code: int, reason: str = "") -> None:
        shown = pattern.decode("utf-8", "surrogateescape")
        super().__init__(f"Syntax error on regex: '{shown}': {code}." + (f" ({reason})" if reason else ""))
        self.pattern = pattern
        self.code = code
        self.reason = reason


class Match(NamedTuple):
    """Where a match ends (byte offset in the subject) and what its groups captured.

    Groups that took no part are left out, so that later ones move up; at most 64.  spec/regex.md §7.
    """

    end: int
    groups: tuple[bytes, ...]


class Test(Protocol):
    def __call__(self, subject: bytes, start: int = 0, /) -> bool: ...


class Search(Protocol):
    def __call__(self, subject: bytes, start: int = 0, /) -> Match | None: ...


@dataclass(slots=True, eq=False)
class Matcher:
    """One compiled pattern.

    `test(subject, start=0)` tells whether it is found from `start` on; `search(subject, start=0)` gives the match, its
    end counted from the beginning of the subject.  What stands before `start` does not exist for either: `^` matches
    there.

    `test_lower(lowered)` is `test` for a subject that is already lower-cased and was pure ASCII (for the kind `pcre2`
    it may be any bytes); None when the pattern minds case.  `literals`: lower-case ASCII strings of which every
    matching subject contains at least one (see `patternset.fold_subject`); None: unknown.  `always`: it matches every
    subject.  `exact`: finding one of `literals` in a subject of `test_lower` is already the match.  `fast_path`: OSSEC
    would not give this pattern to PCRE2 (and refuses it as a decoder's regex for want of a group, §7).  `groups`: the
    number of captures in the pattern.  `bounded`: the backtracking pattern behind it, if any; its `exceeded` counts
    the lines on which it gave up.
    """

    kind: Kind
    pattern: bytes
    test: Test
    search: Search
    test_lower: Callable[[bytes], bool] | None = None
    groups: int = 0
    literals: frozenset[bytes] | None = None
    always: bool = False
    exact: bool = False
    fast_path: bool = False
    bounded: BoundedPattern | None = None

    def __repr__(self) -> str:
        return f"<Matcher {self.kind} {self.pattern!r}>"
