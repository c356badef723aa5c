"""Datagrams and key files from strangers."""

from __future__ import annotations

from ossec.crypto import counters
from ossec.crypto.channel import Channel, SealError, split_id
from ossec.crypto.keys import AgentKey, parse

CHANNEL = Channel(AgentKey.parse("001 web01 any " + "0123456789abcdef" * 4))


def fuzz_datagram(data: bytes) -> None:
    try:
        CHANNEL.open(split_id(data)[1])
    except SealError:
        pass


def fuzz_client_keys(data: bytes) -> None:
    parse(data)


def fuzz_counter_file(data: bytes) -> None:
    counters.parse_pair(data)
