"""Foreign syslog as events, against what a real server passed on and in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.remoted.syslog import MAX_LINE, Stream, clean, event


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"<34>Nov 22 04:00:01 fw01 app: x", b"Nov 22 04:00:01 fw01 app: x"),
        (b"<34>line\n", b"line"),
        (b"<34>line\r\n", b"line\r"),
        (b"<34>line\n\n", b"line\n"),
        (b"<13>line one\n<13>line two\n", b"line one\n<13>line two"),
        (b"<34 no closing bracket", b"<34 no closing bracket"),
        (b"<not a pri> rest > more", b" rest > more"),
        (b"\n", b""),
        (b"<13>", b""),
        (b"<13>abc\0def", b"abc"),
        (b" <13>x", b" <13>x"),
    ],
)
def test_a_datagram_is_one_event(sent: bytes, text: bytes) -> None:
    assert clean(sent) == text
    assert event(sent, "192.0.2.1") == b"2:192.0.2.1:" + text + b"\0"


@pytest.mark.parametrize(
    ("segments", "lines"),
    [
        ([b"<13>one\n<13>two\n"], [b"<13>one", b"<13>two"]),
        ([b"<13>first\n<13>sec", b"ond\n"], [b"<13>first", b"<13>second"]),
        ([b"<13>no end"], [b"<13>no end"]),
        ([b"<13>crlf\r\n"], [b"<13>crlf"]),
        ([b"8 <13>abcd9 <13>efghi"], [b"<13>abcd", b"<13>efghi"]),
        ([b"9 <13>abcd\n<13>lf\n"], [b"<13>abcd", b"<13>lf"]),
        ([b"9 bottles\n"], [b"9 bottles"]),
        ([b"x" * 7000, b"z\n", b"<13>after\n"], [b"x" * MAX_LINE, b"<13>after"]),
        ([b"\n\n"], []),
    ],
)
def test_a_stream_is_cut_into_lines(segments: list[bytes], lines: list[bytes]) -> None:
    stream = Stream()
    found = [line for segment in segments for line in stream.feed(segment)] + stream.close()
    assert found == lines


@given(
    lines=st.lists(st.binary(min_size=1, max_size=60).map(lambda line: line.translate(None, b"\r\n0123456789"))),
    size=st.integers(1, 40),
)
def test_the_pieces_do_not_matter(lines: list[bytes], size: int) -> None:
    lines = [line for line in lines if line]
    data = b"".join(line + b"\n" for line in lines)
    stream = Stream()
    found = [line for start in range(0, len(data), size) for line in stream.feed(data[start : start + size])]
    assert found + stream.close() == lines


@given(segments=st.lists(st.binary(max_size=200), max_size=8))
def test_any_stream_gives_lines_of_a_bounded_size(segments: list[bytes]) -> None:
    stream = Stream()
    for segment in segments:
        assert all(len(line) <= MAX_LINE for line in stream.feed(segment))
    stream.close()
