r"""PCRE2 itself, for the patterns that no linear-time engine can run, under a bound.

Look-around, back-references, possessive quantifiers and the like need a backtracking engine, and a log line can make
one run for years.  Here the search is made part of the match (`\A(?s:.*?)\K`), so that PCRE2's step limit, which counts
anew from each starting position, covers the whole line; and it is interpreted, because the compiled form does not count
the steps of single-character repeats (a look-ahead of four `.*` holds it for a minute).  A line that exceeds the limit
counts as no match, is counted in `exceeded`, and is logged once per pattern: never in silence.
"""

from __future__ import annotations

import logging
import re

import pcre2

log = logging.getLogger("ossec.regex")

MAX_STEPS = 300_000  # for one line: mostly some 10 ms, at worst (each step runs over 6 KB) 0.2 s
MAX_STEPS_PER_START = 3_000  # where the search cannot be made part of the match
MAX_HEAP = 32 * 1024  # KiB of backtracking memory for one line


WRITTEN_OTHERWISE = re.compile(
    rb"\\Q.*?(?:\\E|\Z)"
    rb"|\\x\{(?P<braced>[^}]*)\}|\\x(?P<digits>[0-9A-Fa-f]{0,2})|\\(?P<case>[uU])|\\."
    rb"|\{(?=,\d+\})",
    re.DOTALL,
)


_given_up = 0


def given_up() -> int:
    """On how many lines any pattern has given up since the start of the process, for the state file."""
    return _given_up


def settle(text: bytes) -> bytes:
    r"""Write a pattern so that our PCRE2 reads it as OSSEC's.

    The binding sets an option that changes `\x` and allows `\u`; since PCRE2 10.43 `{,3}` is a quantifier, which is
    text in 10.42.  Raises ValueError for what 10.42 refuses.
    """

    def write(found: re.Match[bytes]) -> bytes:
        whole = found[0]
        if whole == b"{":
            return b"\\{"
        if found["case"]:
            raise ValueError(f"escape {whole.decode('latin-1')} is not supported")
        digits = found["braced"] if found["braced"] is not None else found["digits"]
        if digits is None:
            return whole
        try:
            value = int(digits or b"0", 16) if found["braced"] is None or digits.isalnum() else -1
        except ValueError:
            value = -1
        if not 0 <= value <= 0xFF:
            raise ValueError(f"hexadecimal escape {whole.decode('latin-1')}")
        return b"\\x%02x" % value

    return WRITTEN_OTHERWISE.sub(write, text)


def _reason(text: bytes) -> str:
    """What is wrong with a pattern, with positions that count from its beginning."""
    try:
        pcre2.compile(text, jit=False)
    except pcre2.PatternError as error:
        return str(error)
    return ""


class BoundedPattern:
    """A compiled PCRE2 pattern, caseless, whose matches take bounded time; with `utf8` on valid UTF-8 only.

    Raises ValueError for a pattern that PCRE2 refuses.
    """

    __slots__ = ("_pattern", "exceeded", "groups", "text")

    def __init__(self, text: bytes, *, utf8: bool = False) -> None:
        self.text = text
        self.exceeded = 0
        text = settle(text)
        head = b"(*UTF)" if utf8 else b""
        limits = b"(*LIMIT_HEAP=%d)(*LIMIT_MATCH=%d)"
        try:
            plain = pcre2.compile(
                b"%b%b%b" % (head, limits % (MAX_HEAP, MAX_STEPS_PER_START), text), flags=pcre2.I, jit=False
            )
        except pcre2.PatternError as error:
            raise ValueError(_reason(head + text) or str(error)) from None
        self.groups: int = plain.groups
        try:
            self._pattern = pcre2.compile(
                b"%b%b\\A(?s:.*?)\\K(?:%b)" % (head, limits % (MAX_HEAP, MAX_STEPS), text), flags=pcre2.I, jit=False
            )
        except pcre2.PatternError:  # starts with a verb, or ends in a comment
            self._pattern = plain

    def search(self, subject: bytes) -> tuple[int, tuple[bytes, ...]] | None:
        """Search; give the end of the match and the groups that took part."""
        try:
            found = self._pattern.search(subject)
        except pcre2.LibraryError as error:
            self._report(error)
            return None
        if found is None:
            return None
        return found.end(), tuple([group for group in found.groups() if group is not None])

    def test(self, subject: bytes) -> bool:
        """Tell whether the pattern is found in `subject`."""
        try:
            return self._pattern.search(subject) is not None
        except pcre2.LibraryError as error:
            self._report(error)
            return False

    def _report(self, error: Exception) -> None:
        global _given_up
        _given_up += 1
        self.exceeded += 1
        if self.exceeded == 1:
            log.warning("pattern %r gave up on a line (%s): counted as no match", self.text, error)
