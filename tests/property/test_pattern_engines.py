"""Our engines against PCRE2 itself, on patterns and lines that nobody wrote."""

from __future__ import annotations

import pcre2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.regex import (
    Matcher,
    PatternError,
    PatternSet,
    compile_match,
    compile_pcre2,
    compile_regex,
    fold_subject,
    to_pcre2,
)
from ossec.regex.compiler import MAX_PATTERN
from ossec.regex.linear import MAX_GROUPS

OS_PIECES = [
    *"abAkKsS12 -_@./:()|^$+*?[]{}",
    *(f"\\{char}" for char in "wWdDsStp.\\$()[]{}|<"),
    *(f"\\{char}{sign}" for char in "wWdDsStp.\\" for sign in "+*"),
    "(\\w+)", "(\\.+)", "(\\S+) ", "é", "É", "ß", "\u212a", "\u017f",
]  # fmt: skip
PCRE_PIECES = [
    *"abAkKsS12 -_@/:()|^$.",
    *("a+", "b*", "a?", "(a|b)", "(?:a|ab)", ".*", ".+?", "[ab]+", "[^a]", "[a-z]*", "\\d+", "\\w+?", "\\s", "\\S*"),
    *("(a+)", "(b)?", "(\\w+) ", "{2}", "{,2}", "a{1,2}", "b{2,}?", "(?:ab){2}", "(?i)", "(?-i)", "(?s:.)", "(?s)"),
    *("\\b", "\\B", "\\A", "\\z", "\\Z", "(?=a)", "(?!b)", "(?<=a)", "(a)\\1", "a++", "[[:alpha:]]", "[^[:space:]-]"),
    *("\\Qa.b\\E", "\\x41", "[\\x80-\\xff]"),
    *("\\.", "(?P<n>a)", "(?#c)", "(?:a|)", "(?>a+)", "\\h", "\\N", "[]a]", "[a-]"),
]  # fmt: skip

ascii_lines = st.text(alphabet="abAkKsS12 -_@./:\\(){}|\n", max_size=40).map(str.encode)
lines = st.text(alphabet="abAkKsS12 -_@./:éÉßẞ\u212a\u017fıİ\n", max_size=30).map(str.encode)
any_bytes = st.binary(max_size=40) | lines
os_patterns = st.lists(st.sampled_from(OS_PIECES), min_size=1, max_size=8).map("".join)
pcre_patterns = st.lists(st.sampled_from(PCRE_PIECES), min_size=1, max_size=7).map("".join)


def oracle(text: bytes, subject: bytes) -> tuple[int, tuple[bytes, ...]] | None:
    found = pcre2.compile(text, flags=pcre2.I, jit=False).search(subject)
    if found is None:
        return None
    return found.end(), tuple(group for group in found.groups() if group is not None)[:MAX_GROUPS]


def check(matcher: Matcher, expected: tuple[int, tuple[bytes, ...]] | None, subject: bytes) -> None:
    assert matcher.search(subject) == expected
    assert matcher.test(subject) == (expected is not None)
    if matcher.test_lower is not None and subject.isascii():
        assert matcher.test_lower(subject.lower()) == (expected is not None)
    if matcher.always:
        assert expected is not None
    if expected is not None and matcher.literals is not None:
        assert any(literal in fold_subject(subject) for literal in matcher.literals)
    only = PatternSet([matcher])
    possible = only.mask(subject.lower())
    assert possible or expected is None
    if only.exact and subject.isascii():
        assert possible == (expected is not None)
    padded = matcher.search(b"ab\xff" + subject, 3)
    assert padded == (None if expected is None else (expected[0] + 3, expected[1]))


@settings(max_examples=1500, deadline=None)
@given(os_patterns, ascii_lines | lines)
def test_os_regex_agrees_with_the_pcre2_it_stands_for(pattern: str, subject: bytes) -> None:
    text = to_pcre2("regex", pattern)
    try:
        matcher = compile_regex(pattern)
    except PatternError:
        if text is not None:
            with pytest.raises(pcre2.PatternError):
                pcre2.compile(b"(*UTF)" + text.encode())
        return
    assert text is not None
    if not matcher.fast_path:
        check(matcher, oracle(b"(*UTF)" + text.encode(), subject), subject)


@settings(max_examples=700, deadline=None)
@given(st.text(alphabet="abkKsé^$|.\\\n", max_size=8), ascii_lines | lines)
def test_os_match_agrees_with_the_pcre2_it_stands_for(pattern: str, subject: bytes) -> None:
    matcher = compile_match(pattern)
    text = to_pcre2("match", pattern)
    assert text is not None
    if not matcher.fast_path:
        check(matcher, oracle(b"(*UTF)" + text.encode(), subject), subject)


@settings(max_examples=2500, deadline=None)
@given(pcre_patterns, ascii_lines | any_bytes)
def test_pcre2_agrees_with_pcre2(pattern: str, subject: bytes) -> None:
    try:
        matcher = compile_pcre2(pattern)
    except PatternError:
        with pytest.raises(pcre2.PatternError):
            pcre2.compile(pattern.encode())
        return
    if not matcher.fast_path and "{,2}" not in pattern:  # a quantifier since PCRE2 10.43, text in OSSEC's 10.42
        check(matcher, oracle(pattern.encode(), subject), subject)


texts = st.lists(st.text(alphabet="abkS ", min_size=1, max_size=3), min_size=1, max_size=8)


@settings(max_examples=500, deadline=None)
@given(texts, st.sampled_from(["", "^"]), ascii_lines | lines)
def test_texts_are_found_where_pcre2_finds_them(words: list[str], anchor: str, subject: bytes) -> None:
    pattern = "|".join(anchor + word for word in words)
    matcher = compile_regex(pattern)
    if not matcher.fast_path:
        check(matcher, oracle(b"(*UTF)" + pattern.encode(), subject), subject)
    matcher = compile_pcre2(pattern)
    if not matcher.fast_path:
        check(matcher, oracle(pattern.encode(), subject), subject)


@settings(max_examples=300, deadline=None)
@given(st.lists(os_patterns | st.text(alphabet="abk |^$", max_size=6), max_size=12), any_bytes)
def test_no_pattern_matches_without_its_bit(patterns: list[str], subject: bytes) -> None:
    matchers = []
    for pattern in patterns:
        for compile_one in (compile_regex, compile_match):
            try:
                matchers.append(compile_one(pattern))
            except PatternError:
                continue
    chosen = PatternSet(matchers)
    possible = chosen.candidates(subject)
    for place, matcher in enumerate(matchers):
        assert place in possible or not matcher.test(subject)


@given(st.binary(max_size=MAX_PATTERN + 2), any_bytes)
def test_any_bytes_are_a_pattern_or_a_pattern_error(pattern: bytes, subject: bytes) -> None:
    for compile_one in (compile_regex, compile_match, compile_pcre2):
        try:
            matcher = compile_one(pattern)
        except PatternError as error:
            assert error.code in (3, 6, 10)
            continue
        assert matcher.test(subject) == (matcher.search(subject) is not None)
