"""The file of read positions: what has been handed over, so that a restart goes on there (spec/logcollector.md 9.9).

One line per file or journal, `CRC VALUE NAME\\n`: CRC is eight hexadecimal digits over the rest, VALUE is padded to a
fixed width, so that a position is renewed in place with one small write (microseconds, after every batch), and NAME is
the path with control characters escaped.  A torn or damaged line is left out when the file is read.  The table as a
whole is replaced atomically when names come and go.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ossec.errors import OssecError

VALUE_WIDTH = 256  # a journal cursor has about 150 bytes, a position at most 225
MARK_LENGTH = 256  # bytes at the start of a file that tell it from another one
TAIL_LENGTH = 64  # bytes before the offset that tell whether the file was rewritten
MAX_POSITIONS = 100_000  # names in one file; more are forgotten, the oldest first
HEADER = b"# ossec-logcollector positions 1\n"


class BadPosition(OssecError):
    """A line of the position file that is none."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file has been handed over.

    `offset` is the first byte that has not been.  `head` is the digest of the first `head_length` bytes, `tail` that of
    the `tail_length` bytes before `tail_end` (which lies behind `offset` while a record is held).
    """

    device: int
    inode: int
    offset: int
    head_length: int
    head: str
    tail_end: int
    tail_length: int
    tail: str
    memory: bytes = b""  # of the reader

    def encode(self) -> bytes:
        return (
            f"file {self.device:x} {self.inode} {self.offset} {self.head_length} {self.head}"
            f" {self.tail_end} {self.tail_length} {self.tail} {self.memory.hex() or '-'}"
        ).encode("ascii")

    @classmethod
    def decode(cls, value: bytes) -> Position:
        """BadPosition for anything that `encode` does not write."""
        found = FILE_VALUE.match(value)
        if found is None:
            raise BadPosition(f"no position: {value!r}")
        device, inode, offset, head_length, head, tail_end, tail_length, tail, memory = found.groups()
        return cls(
            int(device, 16),
            int(inode),
            int(offset),
            int(head_length),
            head.decode("ascii"),
            int(tail_end),
            int(tail_length),
            tail.decode("ascii"),
            b"" if memory == b"-" else bytes.fromhex(memory.decode("ascii")),
        )


FILE_VALUE = re.compile(
    rb"file ([0-9a-f]{1,16}) (\d{1,20}) (\d{1,20}) (\d{1,3}) ([0-9a-f]{32}) (\d{1,20}) (\d{1,3}) ([0-9a-f]{32})"
    rb" (-|(?:[0-9a-f]{2}){1,16})\Z"
)


def digest(data: bytes) -> str:
    """Tells two beginnings of files apart; 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def encode_line(name: bytes, value: bytes) -> bytes:
    """One line of the file.  The value has at most VALUE_WIDTH bytes and no newline."""
    if len(value) > VALUE_WIDTH or b"\n" in value:
        raise ValueError(f"value of {len(value)} bytes")
    body = value.ljust(VALUE_WIDTH) + b" " + escape_name(name)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def encode_table(entries: Mapping[bytes, bytes]) -> bytes:
    return HEADER + b"".join(encode_line(name, value) for name, value in entries.items())


def decode_table(data: bytes) -> dict[bytes, bytes]:
    """Names and values; damaged lines are left out, and so is all of a file with another header."""
    if not data.startswith(HEADER):
        return {}
    entries = {}
    for line in data[len(HEADER) :].split(b"\n"):
        try:
            name, value = decode_line(line)
        except BadPosition:
            continue
        entries[name] = value
    return entries


def decode_line(line: bytes) -> tuple[bytes, bytes]:
    """Name and value; BadPosition."""
    body = line[9:]
    if len(body) <= VALUE_WIDTH or line[8:9] != b" " or line[:8] != b"%08x" % zlib.crc32(body):
        raise BadPosition(f"damaged line: {line[:80]!r}")
    return unescape_name(body[VALUE_WIDTH + 1 :]), body[:VALUE_WIDTH].rstrip()


ESCAPED = re.compile(rb"[\0-\x1f\x7f\\]")
ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def escape_name(name: bytes) -> bytes:
    return ESCAPED.sub(lambda found: b"\\x%02x" % found[0][0], name)


def unescape_name(text: bytes) -> bytes:
    return ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text)


class Table:
    """Where each name's line stands in the file, so that it can be renewed in place; new names go to its end."""

    def __init__(self, entries: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.values: dict[bytes, bytes] = dict(entries)
        while len(self.values) > MAX_POSITIONS:
            del self.values[next(iter(self.values))]
        self._places: dict[bytes, int] = {}
        self._end = len(HEADER)
        for name in self.values:
            self._append(name)

    def _append(self, name: bytes) -> int:
        place = self._places[name] = self._end
        self._end += len(encode_line(name, self.values[name]))
        return place

    def put(self, name: bytes, value: bytes) -> tuple[int, bytes]:
        """Set a value: the place in the file, and the bytes to write there."""
        self.values[name] = value
        place = self._places.get(name)
        if place is None:
            place = self._append(name)
        return place, encode_line(name, value)

    def whole(self) -> bytes:
        """The content of the file."""
        return encode_table(self.values)
