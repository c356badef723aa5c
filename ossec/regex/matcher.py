r"""Compiled patterns of the three kinds, each on the engine that is fast and safe for it.

Theory of operation.  A pattern becomes PCRE2 text (`translate`), the text becomes a tree of byte sets (`syntax`), and
the tree decides:

- anchored or plain literals: string methods, no engine at all;
- a tree on which backtracking is cheap for lines of a common length: Python's `re`; longer lines go to RE2, which is
  linear in the line whatever the pattern (`syntax.backtracking` gives the length);
- every other tree: RE2;
- what has no tree (look-around, back-references, …): PCRE2 under a bound (`bounded`).

An OS_Regex or OS_Match works on Unicode code points when the line is valid UTF-8 and not pure ASCII: that rare case
runs on RE2 in its UTF-8 mode, whose case folding is the simple one that OSSEC's PCRE2 has.  A line that is not valid
UTF-8 is matched byte by byte; OSSEC never matches it, which hides an attack behind one bad byte.  PCRE2 patterns are
byte-wise always.  Caseless trees run on the lower-cased line, which a caller with many patterns makes once
(`test_lower`).  spec/regex.md §3 to §8.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import re2
from re2 import _re2

from ossec.errors import ConfigError
from ossec.regex import syntax, translate
from ossec.regex.bounded import BoundedPattern

MAX_PATTERN = 2048  # bytes of an OS_Regex or OS_Match; a longer one is refused with code 3
MAX_GROUPS = 64  # captured strings that are returned; the others only take part in the match

TOO_LONG = 3
SYNTAX = 6
EMPTY = 10

UNANCHORED = _re2.RE2.Anchor.UNANCHORED
NO_SPAN = (-1, -1)

Groups = tuple[bytes, ...]


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
    groups: Groups


Search = Callable[[bytes], Match | None]
Test = Callable[[bytes], bool]


class Matcher:
    """One compiled pattern.

    `test(subject)` tells whether it is found; `test_lower(lowered)` is the same for a subject that is pure ASCII (any
    bytes for the kind `pcre2`) and already lower-cased, None when the pattern minds case.  `literals`: lower-case ASCII
    strings of which every matching subject (lower-cased, see `folded`) contains at least one; None: unknown.
    `always`: it matches every subject.  `exact`: finding one of `literals` in an ASCII subject is already the match.
    `fast_path`: OSSEC would not give this pattern to PCRE2 (and so refuses it as a decoder's regex, §7).
    `groups`: number of captures in the pattern.
    """

    __slots__ = ("_search", "_test", "always", "bounded", "exact", "fast_path", "groups", "kind", "literals", "pattern",
                 "test_lower")  # fmt: skip

    def __init__(
        self,
        kind: translate.Kind,
        pattern: bytes,
        test: Test,
        search: Search,
        test_lower: Test | None = None,
        *,
        groups: int = 0,
        literals: frozenset[bytes] | None = None,
        always: bool = False,
        exact: bool = False,
        fast_path: bool = False,
        bounded: BoundedPattern | None = None,
    ) -> None:
        self.kind = kind
        self.pattern = pattern
        self._test = test
        self._search = search
        self.test_lower = test_lower
        self.groups = groups
        self.literals = literals
        self.always = always
        self.exact = exact
        self.fast_path = fast_path
        self.bounded = bounded

    def test(self, subject: bytes, start: int = 0) -> bool:
        """Tell whether the pattern is found from `start` on; what stands before `start` does not exist for it."""
        return self._test(subject[start:] if start else subject)

    def search(self, subject: bytes, start: int = 0) -> Match | None:
        """Search from `start` on; the end counts from the beginning of `subject`."""
        if not start:
            return self._search(subject)
        found = self._search(subject[start:])
        return None if found is None else Match(found[0] + start, found[1])

    def __repr__(self) -> str:
        return f"<Matcher {self.kind} {self.pattern!r}>"


SIMPLE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !\"#%&',/:;<=>@_-~`")
"""Bytes that keep an anchored OS_Regex or PCRE2 pattern on OSSEC's byte-wise path (spec/regex.md §5)."""


def compile_regex(pattern: str | bytes) -> Matcher:
    """Compile an OS_Regex.  Raises PatternError (3 too long, 6 empty or wrong)."""
    raw = to_bytes(pattern)
    if len(raw) > MAX_PATTERN:
        raise PatternError(raw, TOO_LONG, f"longer than {MAX_PATTERN} bytes")
    if not raw:
        raise PatternError(raw, SYNTAX, "empty")
    anchored = _anchored_literal(raw, SIMPLE)
    if anchored is not None:
        return _anchored("regex", raw, *anchored)
    text = raw.decode("utf-8", "surrogateescape")
    try:
        return _general("regex", raw, translate.translate_regex(text))
    except translate.UnknownEscape as error:
        raise PatternError(raw, SYNTAX, f"unknown escape \\{error}") from None


def compile_match(pattern: str | bytes) -> Matcher:
    """Compile an OS_Match.  Raises PatternError (3 too long)."""
    raw = to_bytes(pattern)
    if len(raw) > MAX_PATTERN:
        raise PatternError(raw, TOO_LONG, f"longer than {MAX_PATTERN} bytes")
    anchored = _anchored_literal(raw, None)
    if anchored is not None:
        return _anchored("match", raw, *anchored)
    text = raw.decode("utf-8", "surrogateescape")
    plain = _plain_branches(raw)
    return _branches(raw, plain) if plain is not None else _general("match", raw, translate.translate_match(text))


def compile_pcre2(pattern: str | bytes) -> Matcher:
    """Compile a PCRE2 pattern.  Raises PatternError (6 wrong, 10 empty)."""
    raw = to_bytes(pattern)
    if not raw:
        raise PatternError(raw, EMPTY, "empty")
    anchored = _anchored_literal(raw, SIMPLE)
    if anchored is not None:
        return _anchored("pcre2", raw, *anchored)
    return _general("pcre2", raw, raw.decode("utf-8", "surrogateescape"))


def to_bytes(pattern: str | bytes) -> bytes:
    """The bytes of a pattern as a configuration file holds them."""
    return pattern if isinstance(pattern, bytes) else pattern.encode("utf-8", "surrogateescape")


# ------------------------------------------------------------------------------------------------ without any engine


def _anchored_literal(raw: bytes, allowed: frozenset[int] | None) -> tuple[bool, bytes, bool] | None:
    """Take apart a pattern of OSSEC's fast path into (anchored at the start, literal, anchored at the end)."""
    begin = raw.startswith(b"^")
    body = raw[1:] if begin else raw
    end = body.endswith(b"$")
    if end:
        body = body[:-1]
    if not (begin or end):
        return None
    if allowed is None:
        return None if any(char in b"^$|" for char in body) else (begin, body, end)
    return (begin, body, end) if allowed.issuperset(body) else None


def _anchored(kind: translate.Kind, raw: bytes, begin: bool, body: bytes, end: bool) -> Matcher:
    """Prefix, suffix or equality by bytes, ASCII case only."""
    literal = body.lower()
    size = len(literal)

    if begin and end:

        def test_lower(lowered: bytes) -> bool:
            return lowered == literal

        def test(subject: bytes) -> bool:
            return len(subject) == size and subject.lower() == literal

    elif begin:

        def test_lower(lowered: bytes) -> bool:
            return lowered.startswith(literal)

        def test(subject: bytes) -> bool:
            return subject[:size].lower() == literal

    else:

        def test_lower(lowered: bytes) -> bool:
            return lowered.endswith(literal)

        def test(subject: bytes) -> bool:
            return subject[-size:].lower() == literal if size else True

    def search(subject: bytes) -> Match | None:
        return Match(len(subject) if end else size, ()) if test(subject) else None

    return Matcher(
        kind,
        raw,
        test,
        search,
        test_lower,
        literals=frozenset((literal,)) if literal and literal.isascii() else None,
        always=not literal and not (begin and end),
        fast_path=True,
    )


Branches = list[tuple[bool, bytes, bool]]


def _plain_branches(raw: bytes) -> Branches | None:
    """The alternatives of an OS_Match of ASCII text, None if an anchor stands where it can only fail."""
    if not raw.isascii():
        return None
    found: Branches = []
    for branch in raw.split(b"|"):
        anchored = _anchored_literal(branch, None)
        if anchored is None:
            if b"^" in branch or b"$" in branch:
                return None
            anchored = (False, branch, False)
        found.append(anchored)
    return found


def _branches(raw: bytes, branches: Branches) -> Matcher:
    """An OS_Match as string searches; for a subject with other characters as in `_general`."""
    lowered_branches = [(begin, body.lower(), end) for begin, body, end in branches]
    always = any(not body and not (begin and end) for begin, body, end in branches)
    inner = tuple(body for begin, body, end in lowered_branches if not (begin or end))
    prefixes = tuple(body for begin, body, end in lowered_branches if begin and not end)
    suffixes = tuple(body for begin, body, end in lowered_branches if end and not begin)
    equals = frozenset(body for begin, body, end in lowered_branches if begin and end)
    anchored = len(inner) < len(branches)
    alone = inner[0] if len(inner) == 1 else b""

    if always:

        def test_lower(lowered: bytes) -> bool:
            return True

    elif alone and not anchored:

        def test_lower(lowered: bytes) -> bool:
            return alone in lowered

    elif not anchored:

        def test_lower(lowered: bytes) -> bool:
            for text in inner:  # noqa: SIM110 - any() costs three times as much
                if text in lowered:
                    return True
            return False

    else:

        def test_lower(lowered: bytes) -> bool:
            for text in inner:
                if text in lowered:
                    return True
            if lowered.startswith(prefixes) or lowered.endswith(suffixes) or lowered in equals:
                return True
            if lowered.endswith(b"\n"):  # a plain `$` also stands before a final newline
                return lowered[:-1].endswith(suffixes) or lowered[:-1] in equals
            return False

    text = translate.translate_match(raw.decode("ascii"))
    unicode_test: list[Test] = []

    def test(subject: bytes) -> bool:
        if subject.isascii() or test_lower(subject.lower()):
            return test_lower(subject.lower())
        if not unicode_test:
            unicode_test.append(_unicode(text)[0])
        return _is_utf8(subject) and unicode_test[0](subject)

    general: list[Matcher] = []

    def search(subject: bytes) -> Match | None:
        if not test(subject):
            return None
        if not general:
            general.append(_general("match", raw, text))
        return general[0].search(subject)

    literals = frozenset(body for _, body, _ in lowered_branches)
    return Matcher(
        "match",
        raw,
        test,
        search,
        test_lower,
        literals=literals if b"" not in literals else None,
        always=always,
        exact=not anchored and not always,
    )


def _is_utf8(subject: bytes) -> bool:
    try:
        subject.decode()
    except UnicodeDecodeError:
        return False
    return True


# ------------------------------------------------------------------------------------------------------ with an engine


def _options(utf8: bool) -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.UTF8 if utf8 else re2.Options.Encoding.LATIN1
    options.case_sensitive = not utf8
    options.log_errors = False
    return options


def _collect(subject: bytes, spans: list[tuple[int, int]] | tuple[tuple[int, int], ...]) -> Match:
    """A match from the spans of group 0, 1, …"""
    groups = tuple([subject[begin:end] for begin, end in spans[1:] if begin >= 0])
    return Match(spans[0][1], groups if len(groups) <= MAX_GROUPS else groups[:MAX_GROUPS])


def _re2_functions(program: _re2.RE2, lowered: bool) -> tuple[Test, Search]:
    match = program.Match

    def test(subject: bytes) -> bool:
        return match(UNANCHORED, subject, 0, len(subject))[0] != NO_SPAN  # type: ignore[no-any-return]

    if lowered:

        def search(subject: bytes) -> Match | None:
            spans = match(UNANCHORED, subject.lower(), 0, len(subject))
            return None if spans[0] == NO_SPAN else _collect(subject, spans)

    else:

        def search(subject: bytes) -> Match | None:
            spans = match(UNANCHORED, subject, 0, len(subject))
            return None if spans[0] == NO_SPAN else _collect(subject, spans)

    return test, search


def _unicode(text: str) -> tuple[Test, Search]:
    """The functions for subjects that are valid UTF-8: code points, simple case folding."""
    if "$" in text:
        text = "".join(
            "(?:\\n?\\z)" if part == "$" else part for part in re.split(r"(\\.|\[(?:\\.|[^\]])*\]|\$)", text)
        )
    program = _re2.RE2(text.encode(), _options(utf8=True))
    if not program.ok():
        raise ValueError(program.error())
    return _re2_functions(program, lowered=False)


def _general(kind: translate.Kind, raw: bytes, text: str) -> Matcher:
    """Compile PCRE2 text: Python's `re` where that is cheap, RE2 where it is not, PCRE2 itself for the rest."""
    encoded = (text if kind == "pcre2" else translate.widen(text)).encode("utf-8", "surrogateescape")
    try:
        tree, groups = syntax.parse(encoded)
    except syntax.Unsupported as error:
        return _bounded(kind, raw, encoded, str(error))
    caseless = syntax.is_caseless(tree)
    program = _re2.RE2(syntax.emit(tree, "re2", caseless).encode("latin-1"), _options(utf8=False))
    if not program.ok():
        return _bounded(kind, raw, encoded, str(program.error()))
    if kind == "pcre2":
        unicode_functions = None
    else:
        try:
            unicode_functions = _unicode(text)
        except (ValueError, UnicodeEncodeError):
            unicode_functions = None
    limit = syntax.backtracking_limit(tree)
    fast_pattern = re.compile(syntax.emit(tree, "re", caseless).encode("latin-1"), re.DOTALL) if limit else None
    return _assemble(kind, raw, encoded, tree, groups, caseless, program, fast_pattern, limit, unicode_functions)


def _bounded(kind: translate.Kind, raw: bytes, text: bytes, reason: str) -> Matcher:
    try:
        pattern = BoundedPattern(text)
    except ValueError as error:
        raise PatternError(raw, SYNTAX, str(error)) from None

    def search(subject: bytes) -> Match | None:
        found = pattern.search(subject)
        return None if found is None else Match(found[0], found[1][:MAX_GROUPS])

    return Matcher(kind, raw, pattern.test, search, groups=pattern.groups, bounded=pattern)


def _assemble(
    kind: translate.Kind,
    raw: bytes,
    text: bytes,
    tree: syntax.Node,
    groups: int,
    caseless: bool,
    program: _re2.RE2,
    fast_pattern: re.Pattern[bytes] | None,
    limit: int,
    unicode_functions: tuple[Test, Search] | None,
) -> Matcher:
    """Bind the engines of one tree into the two functions of a matcher."""
    slow_test, slow_search = _re2_functions(program, caseless)
    find = fast_pattern.search if fast_pattern is not None else None
    dollar = any(isinstance(node, syntax.Anchor) and node.kind == "$" for node in syntax.walk(tree))
    newline: list[BoundedPattern] = []

    def before_newline(subject: bytes) -> BoundedPattern | None:
        """The engine for a subject with a final newline, when that matters: RE2 cannot look ahead."""
        if not dollar or not subject.endswith(b"\n"):
            return None
        if not newline:
            newline.append(BoundedPattern(text))
        return newline[0]

    def test_prepared(subject: bytes) -> bool:
        if find is not None and len(subject) <= limit:
            return find(subject) is not None
        other = before_newline(subject)
        return slow_test(subject) if other is None else other.test(subject)

    def search_bytes(subject: bytes) -> Match | None:
        if find is not None and len(subject) <= limit:
            found = find(subject.lower() if caseless else subject)
            return None if found is None else _collect(subject, found.regs)
        other = before_newline(subject)
        if other is None:
            return slow_search(subject)
        answer = other.search(subject)
        return None if answer is None else Match(answer[0], answer[1][:MAX_GROUPS])

    def test_bytes(subject: bytes) -> bool:
        return test_prepared(subject.lower() if caseless else subject)

    if unicode_functions is None:
        test, search = test_bytes, search_bytes
    else:
        unicode_test, unicode_search = unicode_functions

        def test(subject: bytes) -> bool:
            if subject.isascii() or not _is_utf8(subject):
                return test_bytes(subject)
            return unicode_test(subject)

        def search(subject: bytes) -> Match | None:
            if subject.isascii() or not _is_utf8(subject):
                return search_bytes(subject)
            return unicode_search(subject)

    return Matcher(
        kind,
        raw,
        test,
        search,
        test_prepared if caseless else None,
        groups=groups,
        literals=syntax.literals(tree),
        always=syntax.nullable(tree) and not any(isinstance(node, syntax.Anchor) for node in syntax.walk(tree)),
    )
