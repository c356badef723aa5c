r"""From pattern text to matchers, each on the engine that is fast and safe for it.

Theory of operation.  A pattern becomes PCRE2 text (`translate`), the text becomes a tree of byte sets (`syntax`), and
the tree decides:

- texts with or without anchors around them: string methods, no engine at all;
- a tree on which backtracking is cheap for lines of a common length: Python's `re`; longer lines go to RE2, which is
  linear in the line whatever the pattern (`analysis.backtracking_limit` gives the length);
- every other tree: RE2 (`linear`);
- what has no tree (look-around, back-references, …): PCRE2 under a bound (`bounded`).

An OS_Regex or OS_Match works on Unicode code points when the line is valid UTF-8 and not pure ASCII: that rare case
runs on RE2 in its UTF-8 mode, whose case folding is the simple one that OSSEC's PCRE2 has.  A line that is not valid
UTF-8 is matched byte by byte; OSSEC never matches it, which hides an attack behind one bad byte.  PCRE2 patterns are
byte-wise always.  Caseless trees run on the lower-cased line, which a caller with many patterns makes once
(`Matcher.test_lower`).  Programs are compiled when first used: of thousands of patterns a site needs hundreds.
spec/regex.md §3 to §7.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ossec.regex import analysis, syntax, translate
from ossec.regex.bounded import BoundedPattern
from ossec.regex.emission import emit
from ossec.regex.linear import MAX_GROUPS, LinearPattern
from ossec.regex.lint import spelling
from ossec.regex.matcher import EMPTY, SYNTAX, TOO_LONG, Match, Matcher, PatternError, Search, Test
from ossec.regex.translate import Kind

MAX_PATTERN = 2048  # bytes of an OS_Regex or OS_Match; a longer one is refused with code 3
MAX_SEARCHES = 6  # texts looked for one by one (0.1 µs each); RE2 finds one of any number in 0.8 µs
MIN_LIMIT = 64  # bytes; a pattern that backtracks badly on lines as short as this stays with RE2

SIMPLE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !\"#%&',/:;<=>@_-~`")
"""Bytes that keep an anchored OS_Regex or PCRE2 pattern on OSSEC's byte-wise path (spec/regex.md §5)."""

new_tuple = tuple.__new__


def compile_regex(pattern: str | bytes) -> Matcher:
    """Compile an OS_Regex.  Raises PatternError (3 too long, 6 empty or wrong)."""
    raw = to_bytes(pattern)
    if len(raw) > MAX_PATTERN:
        raise PatternError(raw, TOO_LONG, f"longer than {MAX_PATTERN} bytes")
    if not raw:
        raise PatternError(raw, SYNTAX, "empty")
    anchored = _anchored_text(raw, SIMPLE)
    if anchored is not None:
        return _anchored("regex", raw, anchored)
    try:
        return _compile("regex", raw, translate.translate_regex(raw.decode("utf-8", "surrogateescape")))
    except translate.UnknownEscape as error:
        raise PatternError(raw, SYNTAX, f"unknown escape \\{error}: {spelling(str(error))}") from None


def compile_match(pattern: str | bytes) -> Matcher:
    """Compile an OS_Match.  Raises PatternError (3 too long)."""
    raw = to_bytes(pattern)
    if len(raw) > MAX_PATTERN:
        raise PatternError(raw, TOO_LONG, f"longer than {MAX_PATTERN} bytes")
    anchored = _anchored_text(raw, None)
    if anchored is not None:
        return _anchored("match", raw, anchored)
    return _compile("match", raw, translate.translate_match(raw.decode("utf-8", "surrogateescape")))


def compile_pcre2(pattern: str | bytes) -> Matcher:
    """Compile a PCRE2 pattern.  Raises PatternError (6 wrong, 10 empty)."""
    raw = to_bytes(pattern)
    if not raw:
        raise PatternError(raw, EMPTY, "empty")
    anchored = _anchored_text(raw, SIMPLE)
    if anchored is not None:
        return _anchored("pcre2", raw, anchored)
    return _compile("pcre2", raw, raw.decode("utf-8", "surrogateescape"))


def to_bytes(pattern: str | bytes) -> bytes:
    """The bytes of a pattern as a configuration file holds them."""
    return pattern if isinstance(pattern, bytes) else pattern.encode("utf-8", "surrogateescape")


# ---------------------------------------------------------------------------------------------- OSSEC's byte-wise path


def _anchored_text(raw: bytes, allowed: frozenset[int] | None) -> analysis.Branch | None:
    """Take apart a pattern of OSSEC's fast path, None if it is none."""
    begin = raw.startswith(b"^")
    text = raw[1:] if begin else raw
    end = text.endswith(b"$")
    if end:
        text = text[:-1]
    if not (begin or end):
        return None
    special = any(char in b"^$|" for char in text) if allowed is None else not allowed.issuperset(text)
    return None if special else analysis.Branch(begin, text.lower(), "z" if end else "")


def _anchored(kind: Kind, raw: bytes, branch: analysis.Branch) -> Matcher:
    """Prefix, suffix or equality by bytes, ASCII case only."""
    literal = branch.text
    size = len(literal)
    at_end = bool(branch.end)

    if branch.begin and at_end:

        def test_lower(lowered: bytes) -> bool:
            return lowered == literal

        def test(subject: bytes, start: int = 0, /) -> bool:
            return len(subject) - start == size and subject[start:].lower() == literal

    elif branch.begin:

        def test_lower(lowered: bytes) -> bool:
            return lowered.startswith(literal)

        def test(subject: bytes, start: int = 0, /) -> bool:
            return subject[start : start + size].lower() == literal

    else:

        def test_lower(lowered: bytes) -> bool:
            return lowered.endswith(literal)

        def test(subject: bytes, start: int = 0, /) -> bool:
            return subject[start:][-size:].lower() == literal if size else True

    def search(subject: bytes, start: int = 0, /) -> Match | None:
        return Match(len(subject) if at_end else start + size, ()) if test(subject, start) else None

    return Matcher(
        kind,
        raw,
        test,
        search,
        test_lower,
        literals=analysis.useful(frozenset((literal,))) if literal.isascii() else None,
        always=not size and not (branch.begin and at_end),
        fast_path=True,
    )


# ------------------------------------------------------------------------------------------------------ everything else


@dataclass(slots=True)
class _Source:
    """A pattern read, before any program is made of it."""

    kind: Kind
    raw: bytes
    text: bytes  # PCRE2 syntax, byte-wise
    tree: syntax.Node
    groups: int
    caseless: bool
    limit: int  # longest line for Python's re; -1: none
    unicode: LinearPattern | None  # for valid UTF-8 outside ASCII

    def find(self, flags: int = 0) -> Callable[[bytes], re.Match[bytes] | None]:
        """A search on Python's re, for lower-cased subjects if caseless."""
        program = re.compile(emit(self.tree, "re", self.caseless).encode("latin-1"), flags)
        # re.search would try an anchored pattern at every byte of the subject
        return program.match if analysis.is_anchored(self.tree) else program.search

    def linear(self) -> LinearPattern:
        text = emit(self.tree, "re2", self.caseless).encode("latin-1")
        return LinearPattern(text, self.text, caseless=self.caseless, dollar=_has_dollar(self.tree))


def _has_dollar(tree: syntax.Node) -> bool:
    return any(isinstance(node, syntax.Anchor) and node.kind == "$" for node in syntax.walk(tree))


def _compile(kind: Kind, raw: bytes, text: str) -> Matcher:
    """Compile PCRE2 text (with `\\z` for the end of an OS_Regex)."""
    byte_text = (text if kind == "pcre2" else translate.widen(text)).encode("utf-8", "surrogateescape")
    try:
        tree, groups = syntax.parse(byte_text)
    except syntax.Unsupported:
        return _bounded(kind, raw, byte_text)
    limit = analysis.backtracking_limit(tree)
    source = _Source(
        kind,
        raw,
        byte_text,
        tree,
        groups,
        syntax.is_caseless(tree),
        limit if limit >= MIN_LIMIT else -1,
        None if kind == "pcre2" else _unicode(text, _has_dollar(tree)),
    )
    texts = analysis.branches(tree)
    if texts is not None and (source.unicode is None or all(one.text.isascii() for one in texts)):
        return _texts(source, texts)
    test, search, test_lower = _programs(source)
    return Matcher(
        kind,
        raw,
        test,
        search,
        test_lower if source.caseless else None,
        groups=groups,
        literals=analysis.literals(tree),
        always=analysis.always(tree),
    )


def _unicode(text: str, dollar: bool) -> LinearPattern | None:
    """The pattern for valid UTF-8: code points, simple case folding; None if the pattern itself is not valid."""
    try:
        whole = text.encode()
    except UnicodeEncodeError:
        return None
    # In an OS_Match a dollar is always the anchor; in an OS_Regex it is only ever escaped or in a class.
    linear = text.replace("$", "\\z") if dollar else text
    return LinearPattern(linear.encode(), whole, caseless=False, dollar=dollar, utf8=True)


def _is_utf8(subject: bytes) -> bool:
    try:
        subject.decode()
    except UnicodeDecodeError:
        return False
    return True


def _may_match(subject: bytes) -> bool:
    """For a pattern of which nothing is known."""
    return True


def _bounded(kind: Kind, raw: bytes, text: bytes) -> Matcher:
    """A pattern for PCRE2, behind a linear one that matches wherever it does, if there is one."""
    try:
        pattern = BoundedPattern(text)
    except ValueError as error:
        raise PatternError(raw, SYNTAX, str(error)) from None
    try:
        relaxed = syntax.parse_relaxed(text)
    except syntax.Unsupported:
        possible: Callable[[bytes], bool] = _may_match
        literals = None
    else:
        caseless = syntax.is_caseless(relaxed)
        source = _Source(kind, raw, text, relaxed, 0, caseless, -1, None)
        limit = analysis.backtracking_limit(relaxed)
        source.limit = limit if limit >= MIN_LIMIT else -1
        possible = _programs(source)[0]
        literals = analysis.literals(relaxed)

    def test(subject: bytes, start: int = 0, /) -> bool:
        if start:
            subject = subject[start:]
        return possible(subject) and pattern.test(subject)

    def search(subject: bytes, start: int = 0, /) -> Match | None:
        if start:
            subject = subject[start:]
        if not possible(subject):
            return None
        found = pattern.search(subject)
        return None if found is None else Match(found[0] + start, found[1][:MAX_GROUPS])

    return Matcher(kind, raw, test, search, groups=pattern.groups, literals=literals, bounded=pattern)


def _programs(source: _Source) -> tuple[Test, Search, Callable[[bytes], bool]]:
    """The functions of a tree on Python's re and RE2; the programs are made by the first call that needs them."""
    limit = source.limit
    prepare = bytes.lower if source.caseless else bytes
    unicode = source.unicode
    byte_wise = unicode is None
    many = source.groups > MAX_GROUPS
    linear = source.linear()

    find: Callable[[bytes], re.Match[bytes] | None]
    find_folded: Callable[[bytes], re.Match[bytes] | None]

    def first_find(subject: bytes) -> re.Match[bytes] | None:
        nonlocal find
        find = source.find()
        return find(subject)

    def first_find_folded(subject: bytes) -> re.Match[bytes] | None:
        # The subject as it came: with captures this is faster than the lower-cased one and its spans.
        nonlocal find_folded
        find_folded = source.find(re.IGNORECASE if source.caseless else 0)
        return find_folded(subject)

    find = first_find
    find_folded = first_find_folded

    def test_lower(lowered: bytes) -> bool:
        if len(lowered) <= limit:
            return find(lowered) is not None
        return linear.test(lowered)

    def test(subject: bytes, start: int = 0, /) -> bool:
        if start:
            subject = subject[start:]
        if byte_wise or subject.isascii() or not _is_utf8(subject):
            return test_lower(prepare(subject))
        return unicode.test(subject)  # type: ignore[union-attr]

    def search(subject: bytes, start: int = 0, /) -> Match | None:
        if start:
            subject = subject[start:]
        if byte_wise or subject.isascii() or not _is_utf8(subject):
            if len(subject) <= limit:
                match = find_folded(subject)
                if match is None:
                    return None
                groups = match.groups()
                if None in groups:
                    groups = tuple([group for group in groups if group is not None])
                if many:
                    groups = groups[:MAX_GROUPS]
                return new_tuple(Match, (match.end() + start, groups))
            found = linear.search(subject)
        else:
            found = unicode.search(subject)  # type: ignore[union-attr]
        return found if found is None or not start else Match(found[0] + start, found[1])

    return test, search, test_lower


def _texts(source: _Source, texts: tuple[analysis.Branch, ...]) -> Matcher:
    """A pattern that is only texts: string searches."""
    unicode = source.unicode
    always = any(not (one.text or (one.begin and one.end)) for one in texts)
    inner = tuple(one.text for one in texts if not (one.begin or one.end))
    prefixes = tuple(one.text for one in texts if one.begin and not one.end)
    suffixes = tuple(one.text for one in texts if one.end and not one.begin)
    equals = frozenset(one.text for one in texts if one.begin and one.end)
    early_suffixes = tuple(one.text for one in texts if one.end == "$" and not one.begin)
    early_equals = frozenset(one.text for one in texts if one.end == "$" and one.begin)
    anchored = len(inner) < len(texts)
    alone = inner[0] if inner else b""

    if always:

        def test_lower(lowered: bytes) -> bool:
            return True

    elif len(inner) == 1 and not anchored:

        def test_lower(lowered: bytes) -> bool:
            return lowered.find(alone) >= 0  # `in` takes twice as long on bytes

    elif not anchored and len(inner) > MAX_SEARCHES:
        linear = source.linear()

        def test_lower(lowered: bytes) -> bool:
            return linear.test(lowered)

    elif not anchored:

        def test_lower(lowered: bytes) -> bool:
            for text in inner:  # noqa: SIM110 - any() costs three times as much
                if lowered.find(text) >= 0:
                    return True
            return False

    elif len(prefixes) == len(texts):

        def test_lower(lowered: bytes) -> bool:
            return lowered.startswith(prefixes)

    else:

        def test_lower(lowered: bytes) -> bool:
            for text in inner:
                if lowered.find(text) >= 0:
                    return True
            if lowered.startswith(prefixes) or lowered.endswith(suffixes) or lowered in equals:
                return True
            if lowered.endswith(b"\n"):  # a plain `$` also stands before a final newline
                return lowered[:-1].endswith(early_suffixes) or lowered[:-1] in early_equals
            return False

    # Outside ASCII only two characters fold to ASCII letters, the Kelvin sign and the long s.
    if unicode is None or not any(char in one.text for one in texts for char in b"ks"):

        def test(subject: bytes, start: int = 0, /) -> bool:
            return test_lower((subject[start:] if start else subject).lower())

    else:

        def test(subject: bytes, start: int = 0, /) -> bool:
            if start:
                subject = subject[start:]
            if test_lower(subject.lower()):
                return True
            return not subject.isascii() and _is_utf8(subject) and unicode.test(subject)

    programs: Search | None = None

    def search_rare(subject: bytes, start: int) -> Match | None:
        nonlocal programs
        if not test(subject, start):
            return None
        if programs is None:
            programs = _programs(source)[1]
        return programs(subject, start)

    if always or len(inner) > MAX_SEARCHES:

        def search(subject: bytes, start: int = 0, /) -> Match | None:
            return search_rare(subject, start)

    elif not anchored:

        def search(subject: bytes, start: int = 0, /) -> Match | None:
            if not subject.isascii():
                return search_rare(subject, start)
            lowered = subject.lower()
            begin = end = -1
            for text in inner:  # the first one in the subject; of two at one place the first in the pattern
                at = lowered.find(text, start)
                if at >= 0 and (at < begin or begin < 0):
                    begin, end = at, at + len(text)
            return None if begin < 0 else new_tuple(Match, (end, ()))

    elif len(prefixes) == len(texts):

        def search(subject: bytes, start: int = 0, /) -> Match | None:
            if not subject.isascii():
                return search_rare(subject, start)
            lowered = subject.lower()
            if not lowered.startswith(prefixes, start):
                return None
            for text in prefixes:
                if lowered.startswith(text, start):
                    return new_tuple(Match, (start + len(text), ()))
            return None

    else:

        def search(subject: bytes, start: int = 0, /) -> Match | None:
            return search_rare(subject, start)

    literals = analysis.literals(source.tree)
    return Matcher(
        source.kind,
        source.raw,
        test,
        search,
        test_lower,
        literals=literals,
        always=always,
        exact=not anchored and not always and literals == frozenset(inner),
    )
