"""What the linter says of patterns, and above all where it is silent."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.regex import PatternError, compile_regex
from ossec.regex.lint import lint
from ossec.regex.translate import Kind

REGEX_TEXT = (  # plausible as they stand
    r"^\d+$", r"(\d+) (\.+)$", r"sshd[\d+]: ", r"[preauth]", r"\[a-z\]+", r"notepad++", r"c++ ", r"GET \S+.php?id=\d",
    r"application/xhtml+xml", r"***", "a|b|c", r"(^a|b$)", r"(a|) b", r"\|", r"a\|", r"\$x", r"x\\d+", r"{1}", "...",
    r"\S+?id=", "hello!", "^b", r"\(a\)+", "$", "^", "*.exe", "? ",
)  # fmt: skip
MATCH_TEXT = (
    "failed password", "^a|b$|^c$", "[preauth]", "C++", "what?", "*** error", "C:\\Windows\\system32", "foo (bar)",
    "a.b", "...", "{x}", "hello!", "page.php?id=", "$", "^",
)  # fmt: skip


@pytest.mark.parametrize("pattern", REGEX_TEXT)
def test_a_plausible_regex_is_not_told(pattern: str) -> None:
    assert lint("regex", pattern) == []


@pytest.mark.parametrize("pattern", MATCH_TEXT)
def test_a_plausible_match_is_not_told(pattern: str) -> None:
    assert lint("match", pattern) == []


@pytest.mark.parametrize(
    ("kind", "pattern", "column", "said"),
    [
        ("regex", r"id=[0-9]+", 4, "[0-9 is no class here"),
        ("regex", r"[^ab]x", 1, "[^a is no class"),
        ("regex", r"[abc]* x", 1, "[abc]* is no class"),
        ("regex", r"\d{3} ", 1, r"\d{3} is not a count"),
        ("regex", r"x{2,}", 2, "{2,} is no quantifier"),
        ("regex", r"(\d)+ x", 4, ")+ is no quantifier"),
        ("regex", r"(foo)? bar", 5, ")? is no quantifier"),
        ("regex", r"from \d? port", 6, r"the ? of \d? is text"),
        ("regex", r"from .* port", 6, r"any characters are \.*"),
        ("regex", r"error+ ", 6, "+ is no quantifier"),
        ("regex", r"ab* c", 3, "* is no quantifier"),
        ("regex", "!root", 1, "there is no negation"),
        ("regex", "a||b", 2, "an empty alternative matches everything"),
        ("regex", r"\||", 3, "an empty alternative"),
        ("regex", "|a", 1, "an empty alternative"),
        ("regex", "a|", 2, "an empty alternative"),
        ("regex", "a ^b", 3, "^ in the middle never matches"),
        ("regex", "a$ b", 2, "$ in the middle never matches"),
        ("match", r"id=\d+", 4, r"\d+ is text here"),
        ("match", r"page\.php", 5, r"\. is text here"),
        ("match", r"a\|b", 2, r"\| is text here"),
        ("match", "from .* port", 6, "without wildcards"),
        ("match", "id=[0-9]", 4, "[0-9 is no class"),
        ("match", "(a|b) c", 1, "is no group here"),
        ("match", "!root", 1, "there is no negation"),
        ("match", "a|", 2, "an empty alternative"),
        ("match", "a^b", 2, "^ in the middle"),
        ("match", "a$|b$c", 5, "$ in the middle"),
    ],
)
def test_what_is_told(kind: Kind, pattern: str, column: int, said: str) -> None:
    (remark,) = lint(kind, pattern)
    assert remark.column == column
    assert said in remark.message


def test_pcre2_means_what_it_says() -> None:
    assert lint("pcre2", r"^[a-z]+(foo)?\d{3}|!x") == []


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"a\/b", r"unknown escape \/: write / for it"),
        (r"\bx", r"unknown escape \b: a <pcre2> may have it"),
        (r"x\n", "line ends never reach a pattern"),
        (r"\\\-", r"unknown escape \-: write - for it"),
    ],
)
def test_an_unknown_escape_comes_with_its_spelling(pattern: str, said: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_regex(pattern)
    assert said in str(caught.value)


@given(st.sampled_from(["regex", "match"]), st.text(alphabet="a1\\[]{}()+*?.^$|!,-dw ", max_size=40))
def test_any_pattern_is_looked_at(kind: Kind, pattern: str) -> None:
    for remark in lint(kind, pattern):
        assert 1 <= remark.column <= len(pattern) + 1


@pytest.mark.parametrize("piece", ["[a", "[", "\\", "(a|", "a|", "[\\", "(", "[a-", ".*", "a+"])
def test_no_pattern_takes_long(piece: str) -> None:
    pattern = (piece * 2048)[:2048]
    start = time.process_time()
    for kind in ("regex", "match"):
        lint(kind, pattern)  # type: ignore[arg-type]
    assert time.process_time() - start < 2.0
