"""CDB files: both directions are inverse, and any bytes are read or refused."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.analysisd import cdb

KEY = st.binary(max_size=40).filter(lambda key: b":" not in key and b"\n" not in key)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=40)), max_size=60))
def test_what_is_encoded_is_decoded_and_the_first_of_a_key_wins(pairs: list[tuple[bytes, bytes]]) -> None:
    assert cdb.decode(cdb.encode(pairs)) == dict(reversed(pairs))


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(KEY, st.text(alphabet="abc ", max_size=9)), max_size=20))
def test_a_text_list_gives_its_pairs(pairs: list[tuple[bytes, str]]) -> None:
    written = [(key, value.encode()) for key, value in pairs if b"#" not in key and not key.endswith(b"\r")]
    assert cdb.parse_text(b"".join(key + b":" + value + b"\r\n" for key, value in written)) == written


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=4096))
def test_any_bytes_are_a_list_or_refused(data: bytes) -> None:
    with suppress(cdb.BadList):
        cdb.decode(data)
