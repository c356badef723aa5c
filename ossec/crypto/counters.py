"""Counters: what keeps an old datagram from being taken again (spec/protocol.md, section 2).

A side numbers what it sends with one pair (global, local); the other accepts only pairs greater than the last.
The files in `queue/rids` hold `GLOBAL:LOCAL:`.
"""

from __future__ import annotations

import re

MAX_LOCAL = 9997
WRAP = 2**32
_PAIR = re.compile(rb"\s*(\d{1,10}):\s*(\d{1,10})")

Pair = tuple[int, int]
START: Pair = (0, 0)


def following(last: Pair) -> Pair:
    """The pair of the next datagram."""
    number, local = last
    if local >= MAX_LOCAL:
        return (number + 1) % WRAP, 1
    return number, local + 1


def accepts(last: Pair, pair: Pair) -> bool:
    """Whether a datagram with `pair` is newer than the last one that was accepted."""
    return pair > last


def format_pair(pair: Pair) -> bytes:
    return b"%d:%d:" % pair


def parse_pair(data: bytes) -> Pair:
    """Any bytes; what is no pair counts as the start, as OSSEC reads it."""
    match = _PAIR.match(data)
    return (int(match[1]) % WRAP, int(match[2]) % WRAP) if match else START
