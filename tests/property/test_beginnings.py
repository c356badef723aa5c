"""What a matching subject begins with is among the bytes that `first_bytes` tells."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.regex import Matcher, PatternError, compile_match, compile_pcre2, compile_regex
from ossec.regex.beginnings import first_bytes

PIECES = ["^", "$", "|", "a", "B", " ", "(", ")", "0", "[", "]", "-", ".", "?", "*", "+", "\\d", "\\w", "\\S", "\\."]


@pytest.mark.parametrize("compiler", [compile_regex, compile_match, compile_pcre2])
@settings(deadline=None)  # the machine may be busy
@given(pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=8), subject=st.text("aAbB 0[-x", max_size=6))
def test_a_subject_that_matches_begins_with_one_of_them(
    compiler: Callable[[str], Matcher], pieces: list[str], subject: str
) -> None:
    try:
        matcher = compiler("^" + "".join(pieces))
    except PatternError:
        return
    mask = first_bytes(matcher)
    if mask is not None and subject and matcher.test(subject.encode()):
        assert mask >> ord(subject[0]) & 1


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("^abc", "aA"), ("^ab|^x", "aAxX"), (r"^\d+ x", "0123456789"), ("abc", None), ("^a|b", None), (r"^\.*x", None)],
)
def test_the_first_bytes_of_an_anchored_pattern(pattern: str, expected: str | None) -> None:
    mask = first_bytes(compile_regex(pattern))
    assert mask == (None if expected is None else sum(1 << ord(char) for char in expected))
