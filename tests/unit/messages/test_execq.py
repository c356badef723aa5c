"""Response messages in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.messages import execq
from tests.fuzz.fuzz_execq import fuzz_execq

WORD = st.binary(max_size=12).map(lambda word: word.translate(None, b" \0\n"))
NAME = st.binary(min_size=1, max_size=12).map(lambda word: word.translate(None, b" \0\n!") or b"fw0")


def test_a_response_is_read_as_execd_needs_it() -> None:
    response = execq.decode(b"fw60 - 1.2.3.4 1795320577.1 100105 (agent1) 10.0.0.1->/var/log/auth.log -\0junk")
    assert response.name == b"fw60"
    assert (response.user, response.address) == (b"-", b"1.2.3.4")
    assert response.words[2:] == (b"1795320577.1", b"100105", b"(agent1)", b"10.0.0.1->/var/log/auth.log", b"-")


def test_two_spaces_make_an_empty_word() -> None:
    assert execq.decode(b"fw0 -  1.1 5\0").words == (b"-", b"", b"1.1", b"5")


def test_a_closing_newline_is_dropped() -> None:
    assert execq.decode(b"fw0 - 192.0.2.1 (by_hand) (none)\n").words[-1] == b"(none)"


def test_a_message_is_cut_where_ossec_cuts_it() -> None:
    assert len(execq.encode(b"x" * 5000)) == execq.MAX_SENT + 1


def test_a_name_alone_is_refused() -> None:
    with pytest.raises(execq.BadResponse):
        execq.decode(b"wake\0")


def test_an_undoing_is_no_response_that_ossecs_execd_could_find() -> None:
    """It looks up the first word as it is: there is no response `!fw60`."""
    datagram = execq.encode_response(execq.Response(b"fw60", (b"-", b"192.0.2.1"), lifts=True))
    assert datagram == b"!fw60 - 192.0.2.1\0"
    assert execq.decode(datagram).lifts


@given(NAME, st.lists(WORD, min_size=1, max_size=8).map(tuple), st.booleans())
def test_responses_survive_the_queue(name: bytes, words: tuple[bytes, ...], lifts: bool) -> None:
    response = execq.Response(name, words, lifts)
    assert execq.decode(execq.encode_response(response)) == response


ORDERS = [
    (
        b"(agent1) 10.0.0.1->/var/log/auth.log NRN (null) fw60 - 1.2.3.4 1.2 5 (agent1) 10.0.0.1->/var/log/a (null)",
        (b"agent1", b"(agent1) 10.0.0.1->/var/log/auth.log", False, True, False, True, None),
    ),
    (
        b"(local_source) /var/log/auth.log ANS 003 fw7 - 1.2.3.4 1.2 5 /var/log/auth.log (null)",
        (b"local_source", b"(local_source) /var/log/auth.log", True, False, True, True, b"003"),
    ),
    (
        b"(msg_to_agent) [] N!S 001 syscheck restart",
        (b"msg_to_agent", b"(msg_to_agent) []", False, False, True, False, b"001"),
    ),
    (b"(a b) 10.0.0.1->df -P NRN (null) fw60 - -", (b"a b", b"(a b) 10.0.0.1->df -P", False, True, False, True, None)),
]


@pytest.mark.parametrize(("text", "parts"), ORDERS, ids=["agent", "all", "control", "blanks"])
def test_orders_are_read_and_written(text: bytes, parts: tuple[object, ...]) -> None:
    order = execq.decode_order(text + b"\0")
    assert order[:-1] == parts
    assert execq.encode_order(order) == text + b"\0"


@pytest.mark.parametrize(
    "text", [b"agent1 127.0.0.1 NRN (null) fw600 - 1.2.3.4", b"(agent1) x", b"(agent1) x NRN", b"(agent1) x NRN (null)"]
)
def test_an_order_without_its_parts_is_refused(text: bytes) -> None:
    with pytest.raises(execq.BadResponse):
        execq.decode_order(text)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_value_or_the_documented_error(data: bytes) -> None:
    fuzz_execq(data)
