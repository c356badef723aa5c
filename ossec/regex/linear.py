"""RE2 programs, compiled when first used: linear in the line, whatever the pattern."""

from __future__ import annotations

import re2
from re2 import _re2

from ossec.regex.bounded import BoundedPattern
from ossec.regex.matcher import Match

MAX_GROUPS = 64  # captured strings that are returned; the others only take part in the match
MAX_MEMORY = 2 << 20  # bytes of one program's state cache; beyond that RE2 is slower, still linear

UNANCHORED = _re2.RE2.Anchor.UNANCHORED
NOT_FOUND = (-1, -1)


def _options(utf8: bool) -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.UTF8 if utf8 else re2.Options.Encoding.LATIN1
    options.case_sensitive = not utf8
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    return options


class LinearPattern:
    r"""One pattern on RE2.

    `text`: RE2's syntax, for lower-cased subjects if `caseless`, for valid UTF-8 ones (any case) if `utf8`.  `whole`:
    the same pattern for PCRE2.  PCRE2 takes over for a subject with a final newline when `dollar` (RE2 has no `$`
    before a final newline), and for a pattern that RE2 finds too large.
    """

    __slots__ = ("_bounded", "_caseless", "_dollar", "_match", "_text", "_utf8", "_whole")

    def __init__(self, text: bytes, whole: bytes, *, caseless: bool, dollar: bool, utf8: bool = False) -> None:
        self._text = text
        self._whole = whole
        self._caseless = caseless
        self._dollar = dollar
        self._utf8 = utf8
        self._match = None
        self._bounded: BoundedPattern | None = None

    def _compile(self) -> None:
        program = _re2.RE2(self._text, _options(self._utf8))
        if program.ok():
            self._match = program.Match
        else:
            self._fallback()
            self._dollar = True

    def _fallback(self) -> BoundedPattern:
        if self._bounded is None:
            self._bounded = BoundedPattern(self._whole, utf8=self._utf8)
        return self._bounded

    def test(self, prepared: bytes) -> bool:
        """Tell whether it is found; `prepared`: the subject, lower-cased if the pattern is caseless."""
        if self._match is None:
            if self._bounded is None:
                self._compile()
            if self._match is None:
                return self._fallback().test(prepared)
        if self._dollar and prepared.endswith(b"\n"):
            return self._fallback().test(prepared)
        return self._match(UNANCHORED, prepared, 0, len(prepared))[0] != NOT_FOUND

    def search(self, subject: bytes) -> Match | None:
        """Search the subject as it came."""
        if self._match is None:
            self._compile()
        if self._match is None or (self._dollar and subject.endswith(b"\n")):
            found = self._fallback().search(subject)
            return None if found is None else Match(found[0], found[1][:MAX_GROUPS])
        spans = self._match(UNANCHORED, subject.lower() if self._caseless else subject, 0, len(subject))
        if spans[0] == NOT_FOUND:
            return None
        groups = tuple([subject[begin:end] for begin, end in spans[1:] if begin >= 0])
        return Match(spans[0][1], groups[:MAX_GROUPS])
