"""Lists of keys and values: D. J. Bernstein's cdb files and the text they are made of (spec/analysis.md, section 8).

A `.cdb` is 256 pairs (offset, slots) of 32-bit little-endian numbers, the records (key length, value length, key,
value), and 256 hash tables with twice the entries.  The first of equal keys wins.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from ossec.errors import ConfigError

HEADER = 2048
MAX_SIZE = 1 << 32  # offsets have 32 bits
MAX_FILE = 256 * 1024 * 1024  # a list is kept in memory; 256 MB is some 5 million addresses

_PAIR = struct.Struct("<II")
_COMMENT = re.compile(rb"[ \t]*###.*\Z", re.DOTALL)


class BadList(ConfigError):
    """A file that is no cdb."""


def hash_key(key: bytes) -> int:
    """cdb's hash."""
    value = 5381
    for byte in key:
        value = (value * 33 & 0xFFFFFFFF) ^ byte
    return value


def parse_text(text: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs of a text list, one `key:value` a line; lines without `:` are skipped, ` ### ...` is a comment."""
    pairs = []
    for line in text.split(b"\n"):
        key, colon, value = _COMMENT.sub(b"", line.rstrip(b"\r\n")).partition(b":")
        if colon:
            pairs.append((key, value))
    return pairs


def encode(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The `.cdb` of some pairs, in their order."""
    records = bytearray(HEADER)
    slots: list[list[tuple[int, int]]] = [[] for _ in range(256)]
    for key, value in pairs:
        hashed = hash_key(key)
        slots[hashed & 255].append((hashed, len(records)))
        records += _PAIR.pack(len(key), len(value)) + key + value
    header = bytearray()
    for entries in slots:
        size = len(entries) * 2
        header += _PAIR.pack(len(records), size)
        table = [(0, 0)] * size
        for hashed, position in entries:
            at = (hashed >> 8) % size
            while table[at][1]:
                at = (at + 1) % size
            table[at] = (hashed, position)
        for entry in table:
            records += _PAIR.pack(*entry)
    if len(records) >= MAX_SIZE:
        raise BadList(f"a list of {len(records)} bytes is too large for cdb")
    records[:HEADER] = header
    return bytes(records)


def decode(data: bytes) -> dict[bytes, bytes]:
    """All pairs of a `.cdb`, the first of equal keys; BadList when the bytes are none."""
    if len(data) < HEADER:
        raise BadList(f"{len(data)} bytes are too few for a cdb")
    end = min(_PAIR.unpack_from(data, 8 * number)[0] for number in range(256))
    if end > len(data) or end < HEADER:
        raise BadList("its tables lie outside the file")
    pairs: dict[bytes, bytes] = {}
    at = HEADER
    while at < end:
        if at + 8 > end:
            raise BadList("its last record is cut off")
        key_size, value_size = _PAIR.unpack_from(data, at)
        at += 8
        if at + key_size + value_size > end:
            raise BadList("a record reaches into the tables")
        pairs.setdefault(data[at : at + key_size], data[at + key_size : at + key_size + value_size])
        at += key_size + value_size
    return pairs
