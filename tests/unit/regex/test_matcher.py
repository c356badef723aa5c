"""What matchers and sets of patterns promise their users beyond OSSEC's answers."""

from __future__ import annotations

import pytest

from ossec.regex import (
    Matcher,
    PatternError,
    PatternSet,
    compile_match,
    compile_pcre2,
    compile_regex,
    fold_subject,
)
from ossec.regex.syntax import Unsupported, parse

LINE = b"Failed password for root from 10.0.0.1 port 22 ssh2"


@pytest.mark.parametrize(
    ("matcher", "start", "end", "groups"),
    [
        (compile_regex("^(\\S+) port"), 30, 43, (b"10.0.0.1",)),
        (compile_pcre2("^(\\S+) port (?!23)"), 30, 44, (b"10.0.0.1",)),
        (compile_regex("^10"), 30, 32, ()),
        (compile_match("ssh2$"), 30, 51, ()),
        (compile_match("root|port"), 24, 43, ()),
        (compile_regex("(\\.+)(\\.+) (\\.+)(\\.+)$"), 39, 51, (b"p", b"ort", b"2", b"2 ssh2")),
    ],
)
def test_a_search_may_begin_anywhere(matcher: Matcher, start: int, end: int, groups: tuple[bytes, ...]) -> None:
    found = matcher.search(LINE, start)
    assert found == (end, groups)
    assert matcher.test(LINE, start)


def test_groups_that_took_no_part_are_left_out() -> None:
    found = compile_regex("(x)|(ro\\S+)|(y)").search(LINE)
    assert found == (24, (b"root",))


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("^Failed \\S+ for (\\S+) from", {b"failed "}),
        ("illegal user|invalid user", {b"illegal user", b"invalid user"}),
        ("(?:a|b)cdef\\d+", {b"acdef", b"bcdef"}),
        ("\\d+ (\\S+) ", None),
        ("abcd|", None),
        ("(?:abcd)?", None),
        ("(?:abcd)+x", {b"abcd"}),
        ("abc(?=xyz)d(?!e)", {b"abcd"}),
        ("(\\w+) secret \\1", {b" secret "}),
        ("(*COMMIT)abcdef", None),
        (": ", None),
    ],
)
def test_literals_are_in_every_match(pattern: str, literals: set[bytes] | None) -> None:
    assert compile_pcre2(pattern).literals == (None if literals is None else frozenset(literals))


def test_a_set_selects_the_patterns_that_can_match() -> None:
    matchers = [
        compile_match("password"),
        compile_regex("^Failed \\S+ for (\\S+) to"),
        compile_pcre2("Accepted (?!none)"),
        compile_pcre2("(\\d+)"),
        compile_match("kernel"),
    ]
    chosen = PatternSet(matchers)
    assert chosen.candidates(LINE) == {0, 1, 3}
    assert chosen.mask(LINE.lower()) == 0b01011
    assert chosen.exact == 0b10001
    assert chosen.unfiltered == 0b01000
    assert chosen.candidates("the \u212aernel".encode()) == {3, 4}
    assert fold_subject("\u212aernel \u017fays É".encode()) == "kernel says É".encode()


def test_a_set_of_nothing_selects_nothing() -> None:
    assert PatternSet([]).mask(b"anything") == 0
    assert PatternSet([compile_pcre2("\\d")]).mask(b"") == 1


@pytest.mark.parametrize(
    ("compile_one", "pattern", "code"),
    [
        (compile_regex, "", 6),
        (compile_regex, "a" * 2049, 3),
        (compile_regex, "\\q", 6),
        (compile_match, "a" * 2049, 3),
        (compile_pcre2, "", 10),
        (compile_pcre2, "(?<a", 6),
    ],
)
def test_a_refused_pattern_says_why(compile_one: type[Matcher], pattern: str, code: int) -> None:
    with pytest.raises(PatternError, match=f"Syntax error on regex: '.*': {code}\\.") as caught:
        compile_one(pattern)
    assert caught.value.code == code
    assert caught.value.pattern == pattern.encode()


def test_what_matches_everything_is_known() -> None:
    assert compile_match("").always
    assert compile_match("a|").always
    assert compile_match("^").always
    assert compile_pcre2(".*").always
    assert not compile_match("^$").always
    assert not compile_regex("a").always


def test_case_is_kept_where_the_pattern_minds_it() -> None:
    matcher = compile_pcre2("(?-i)(Failed) ")
    assert matcher.test_lower is None
    assert matcher.search(LINE) == (7, (b"Failed",))
    assert not matcher.test(LINE.lower())


@pytest.mark.parametrize("pattern", [b"(", b")", b"a**", b"[b", b"(?<=a)", b"\\1", b"(?|a)", b"[[:foo:]]", b"[b-a]"])
def test_the_reader_leaves_to_pcre2_what_it_does_not_know(pattern: bytes) -> None:
    with pytest.raises(Unsupported):
        parse(pattern)


def test_a_line_with_bad_bytes_is_still_matched() -> None:
    line = LINE.replace(b"root", b"r\xff\xe9")
    found = compile_regex("for (\\S+) from (\\S+) ").search(line)
    assert found == (38, (b"r\xff\xe9", b"10.0.0.1"))
    assert compile_match("Ökonomie").test("ökonomie \udcff".encode("utf-8", "surrogateescape"))
