"""ar.conf: what is written is read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ossec.config import ar_conf
from tests.fuzz.fuzz_ar_conf import fuzz_ar_conf

words = st.binary(max_size=40).filter(lambda raw: b"\n" not in raw and b" - " not in b" " + raw + b" ")
lines = st.builds(ar_conf.Line, words, words, st.integers(-(2**31), 2**31 - 1))


@given(st.lists(lines, max_size=8))
def test_lines_come_back(given_lines: list[ar_conf.Line]) -> None:
    assert list(ar_conf.parse(ar_conf.format_lines(given_lines))) == given_lines


@given(st.binary(max_size=200))
def test_any_bytes_are_lines_or_none(data: bytes) -> None:
    fuzz_ar_conf(data)
