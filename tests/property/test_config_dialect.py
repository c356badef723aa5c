"""What is written in the dialect is read back as it was, whatever the bytes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.config import dialect
from tests.fuzz.fuzz_dialect import fuzz_dialect

TOKENS = [
    b"<",
    b">",
    b"/",
    b"<a",
    b"</a>",
    b"<a>",
    b"<b c",
    b"='",
    b'"',
    b"<!",
    b"-->",
    b"!>",
    b"\\",
    b" ",
    b"\n",
    b"$x",
]
TOKENS += [
    b"<var name='x'>",
    b"</var>",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b"&",
    b"\r",
    b"t",
    b"\xf3\xb0\x80\x81",
    b"<?xml",
    b"?>",
]

names = st.binary(min_size=1, max_size=20).filter(
    lambda raw: not set(raw) & set(b" \t\n\r\v\f<>/\0=!\\\"'") and raw.lower() != b"var"
)
values = st.binary(max_size=40).filter(lambda raw: not set(raw) & set(b'<>\0\\"'))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join)))
def test_any_bytes_end_in_a_tree_or_in_the_error(data: bytes) -> None:
    fuzz_dialect(data)


@settings(max_examples=300, deadline=None)
@given(names, names, values, values)
def test_names_and_values_come_back_byte_for_byte(name: bytes, key: bytes, value: bytes, text: bytes) -> None:
    data = b'<%b %b="%b">%b</%b>' % (name, key, value, text, name)
    (node,) = dialect.parse(data)
    assert node.name.encode("utf-8", "surrogateescape") == name
    assert [
        (k.encode("utf-8", "surrogateescape"), v.encode("utf-8", "surrogateescape")) for k, v in node.attributes
    ] == [(key, value)]
    assert node.text.encode("utf-8", "surrogateescape") == text
