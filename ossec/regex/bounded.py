r"""PCRE2 itself, for the patterns that no linear-time engine can run, under a bound.

Look-around, back-references, possessive quantifiers and the like need a backtracking engine, and a log line can make
one run for years.  Here it first runs as machine code with a limit for each starting position; a match that exceeds it
(or the small stack of that code) is tried again by the interpreter with one limit for the whole line.  A line that
exceeds this as well counts as no match, is counted in `exceeded`, and is logged once per pattern: never in silence.
"""

from __future__ import annotations

import logging

import pcre2

log = logging.getLogger("ossec.regex")

LIMIT_PER_START = 10_000  # backtracking steps from one starting position; 6 KB of starts stay below 0.1 s
LIMIT_PER_LINE = 1_000_000  # steps of the interpreter for a whole line: some 20 ms


class BoundedPattern:
    """A compiled PCRE2 pattern, caseless, whose matches take bounded time; with `utf8` on valid UTF-8 only.

    Raises ValueError for a pattern that PCRE2 refuses.
    """

    __slots__ = ("_fast", "_mode", "_slow", "exceeded", "groups", "text")

    def __init__(self, text: bytes, *, utf8: bool = False) -> None:
        self.text = text
        self.exceeded = 0
        self._mode = b"(*UTF)" if utf8 else b""
        self._slow: pcre2.Pattern | None = None
        limited = b"%b(*LIMIT_MATCH=%d)%b" % (self._mode, LIMIT_PER_START, text)
        try:
            self._fast = pcre2.compile(limited, flags=pcre2.I, jit=True)
        except pcre2.PatternError as error:
            raise ValueError(str(error)) from None
        self.groups: int = self._fast.groups

    def search(self, subject: bytes) -> tuple[int, tuple[bytes, ...]] | None:
        """Search; give the end of the match and the groups that took part."""
        try:
            found = self._fast.search(subject)
        except pcre2.LibraryError:
            try:
                found = self._interpreter().search(subject)
            except pcre2.LibraryError as error:
                self._report(error)
                return None
        if found is None:
            return None
        return found.end(), tuple(group for group in found.groups() if group is not None)

    def test(self, subject: bytes) -> bool:
        """Tell whether the pattern is found in `subject`."""
        try:
            return self._fast.search(subject) is not None
        except pcre2.LibraryError:
            return self.search(subject) is not None

    def _interpreter(self) -> pcre2.Pattern:
        """The same pattern with the search made part of the match, so that one limit covers the line."""
        if self._slow is None:
            try:
                text = b"%b(*LIMIT_MATCH=%d)\\A(?s:.*?)\\K(?:%b)" % (self._mode, LIMIT_PER_LINE, self.text)
                self._slow = pcre2.compile(text, flags=pcre2.I, jit=False)
            except pcre2.PatternError:  # starts with a verb, or ends in a comment
                text = b"%b(*LIMIT_MATCH=%d)%b" % (self._mode, LIMIT_PER_START, self.text)
                self._slow = pcre2.compile(text, flags=pcre2.I, jit=False)
        return self._slow

    def _report(self, error: Exception) -> None:
        self.exceeded += 1
        if self.exceeded == 1:
            log.warning("pattern %r gave up on a line (%s): counted as no match", self.text, error)
