"""Sealing and opening: inverse, and nothing but SealError for what is not ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.crypto import counters
from ossec.crypto.channel import (
    MAX_TEXT,
    BadFormat,
    BadSize,
    Channel,
    Method,
    SealError,
    WrongKey,
    split_id,
)
from ossec.crypto.keys import AgentKey, KeyLineError, parse

KEY = AgentKey.parse("001 web01 192.0.2.1 " + "0123456789abcdef" * 4)
OTHER = AgentKey.parse("002 web02 any " + "fedcba9876543210" * 4)
pairs = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 9997))


@given(text=st.binary(min_size=1, max_size=MAX_TEXT), pair=pairs, method=st.sampled_from(Method))
def test_opening_gives_what_was_sealed(text: bytes, pair: tuple[int, int], method: Method) -> None:
    channel = Channel(OTHER, prefixed=True)
    identity, body = split_id(channel.seal(text, pair, method))
    opened = channel.open(body)
    assert identity == "002"
    assert (opened.text, opened.counter, opened.method) == (text.split(b"\0")[0], pair, method)


@given(data=st.binary(max_size=300))
def test_any_bytes_open_or_are_refused(data: bytes) -> None:
    for head in (b"", b":", b"#AES:"):
        with pytest.raises(SealError):
            Channel(KEY).open(head + data)


@given(data=st.binary(max_size=20))
def test_a_prefix_is_an_id_or_refused(data: bytes) -> None:
    try:
        identity, rest = split_id(b"!" + data)
    except BadFormat:
        return
    assert identity is not None
    assert b"!" + identity.encode() + b"!" + rest == b"!" + data


@pytest.mark.parametrize("method", Method)
def test_another_agents_key_does_not_open_it(method: Method) -> None:
    with pytest.raises(SealError):
        Channel(OTHER).open(Channel(KEY).seal(b"text", (0, 1), method))


@pytest.mark.parametrize("body", [b":", b"#AES:", b"#AES:" + bytes(16), b":" + bytes(8)])
def test_an_empty_body_is_refused(body: bytes) -> None:
    with pytest.raises(WrongKey):
        Channel(KEY).open(body)


@pytest.mark.parametrize("text", [b"", b"x" * (MAX_TEXT + 1)])
def test_a_text_of_the_wrong_size_is_not_sent(text: bytes) -> None:
    with pytest.raises(BadSize):
        Channel(KEY).seal(text, (0, 1))


def test_a_flipped_bit_never_changes_the_text() -> None:
    """It is refused, but for damage behind the compressed stream's end, which the format does not cover."""
    datagram = Channel(KEY).seal(b"the event", (3, 4))
    refused = 0
    for index in range(5 + 16, len(datagram)):
        damaged = bytearray(datagram)
        damaged[index] ^= 1
        try:
            assert Channel(KEY).open(bytes(damaged)).text == b"the event"
        except SealError:
            refused += 1
    assert refused > len(datagram) // 2


def test_a_small_datagram_cannot_fill_the_memory() -> None:
    import zlib

    bomb = zlib.compress(bytes(10_000_000), 9)
    plain = b"!" * (8 - len(bomb) % 8) + bomb
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    from ossec.crypto.channel import BLOWFISH_IV, Blowfish

    sealed = Cipher(Blowfish(KEY.derived), modes.CBC(BLOWFISH_IV)).encryptor().update(plain)
    with pytest.raises(SealError):
        Channel(KEY).open(b":" + sealed)


@given(pair=pairs)
def test_counters_grow_and_survive_their_file(pair: tuple[int, int]) -> None:
    after = counters.following(pair)
    assert counters.accepts(pair, after) or after == (0, 1)
    assert not counters.accepts(pair, pair)
    assert counters.parse_pair(counters.format_pair(pair)) == pair


@given(data=st.binary(max_size=40))
def test_any_bytes_are_a_pair(data: bytes) -> None:
    assert counters.parse_pair(data) >= counters.START


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_key_file(data: bytes) -> None:
    for key in parse(data).keys:
        assert AgentKey.parse(key.format()) == key


def test_a_key_file_says_what_it_skipped() -> None:
    lines = [KEY.format(), "# note", "003 #*#*#*#*#*#*#*#*#*#*#tail", "004 x 300.1.1.1 k", "005 x", "", OTHER.format()]
    found = parse("\n".join(lines).encode())
    assert found.keys == (KEY, OTHER)
    assert found.removed == ("003",)
    assert [line for line, _ in found.skipped] == [4, 5]


@pytest.mark.parametrize("text", ["", "%%%", "MDAx"])
def test_what_is_no_exported_key_is_refused(text: str) -> None:
    with pytest.raises(KeyLineError):
        AgentKey.from_export(text)


def test_a_key_pasted_with_line_breaks_is_taken() -> None:
    exported = KEY.export().rstrip("=")
    assert AgentKey.from_export(exported[:30] + "\n " + exported[30:]) == KEY
