"""Addresses and times: the quick ways give what the plain ones give."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from ossec.config import addresses
from tests.fuzz.fuzz_values import fuzz_values

v4 = st.integers(0, 15).map(lambda low: f"10.0.0.{low}")  # few, so that they meet
v6 = st.integers(0, 15).map(lambda low: f"2001:db8::{low:x}")
entries = st.builds(
    lambda sign, address, prefix: sign + address + prefix,
    st.sampled_from(["", "!"]),
    st.one_of(v4, v6),
    st.sampled_from(["", "/28", "/30", "/32", "/0"]),
)


def plainly(address: str, texts: list[str]) -> bool:
    """The first entry that matches decides; else the opposite of the last one's sign."""
    subject = ipaddress.ip_address(address)
    for text in texts:
        network = ipaddress.ip_network(text.lstrip("!"), strict=False)
        if network.prefixlen == 0 or (subject.version == network.version and subject in network):
            return not text.startswith("!")
    return bool(texts) and texts[-1].startswith("!")


@given(st.one_of(v4, v6), st.lists(entries, max_size=6))
def test_a_list_answers_as_if_entry_were_tried_after_entry(address: str, texts: list[str]) -> None:
    assert addresses.AddressList(texts).contains(address) is plainly(address, texts)


@given(st.ip_addresses())
def test_every_address_is_one(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert addresses.parse_address(str(address)) == (address.version, int(address))


@given(st.binary(max_size=24))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    fuzz_values(data)
