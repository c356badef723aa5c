"""How far a reader of the alert stream has come: one line, `CRC DAY OFFSET MARK [DAY=OFFSET …]\\n`.

CRC is eight hexadecimal digits over the rest.  MARK is the CRC of the (up to 64) bytes before OFFSET: it tells whether
the file is still the one that was read, compressed or not.  The pairs behind are the ends of other days that have been
read, for a clock that is set back over midnight.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ossec.daemon.process import write_atomically
from ossec.errors import OssecError

MARK_LENGTH = 64  # bytes: more than the header of an alert, which holds its unique id
MAX_ENDS = 3  # days kept besides the current one: what a clock is set back by
MAX_SIZE = 4096  # bytes of a position file; ours have 100

_DAY = rb"\d{4}-\d\d-\d\d"
_ENDS = rb"(?: %b=\d{1,18}){0,%d}" % (_DAY, MAX_ENDS)
_SHAPE = re.compile(rb"([0-9a-f]{8}) ((%b) (\d{1,18}) ([0-9a-f]{8})(%b))\n?" % (_DAY, _ENDS))


class BadPosition(OssecError):
    """Bytes that are no position."""


@dataclass(frozen=True, slots=True)
class Position:
    """The first byte of a day's file that has not been dealt with."""

    day: date
    offset: int = 0
    mark: int = 0
    ends: tuple[tuple[date, int], ...] = ()

    def encode(self) -> bytes:
        ends = "".join(f" {day}={offset}" for day, offset in self.ends[-MAX_ENDS:])
        text = f"{self.day} {self.offset} {self.mark:08x}{ends}".encode("ascii")
        return b"%08x %b\n" % (zlib.crc32(text), text)

    @classmethod
    def decode(cls, data: bytes) -> Position:
        """BadPosition for anything that `encode` does not write."""
        found = _SHAPE.fullmatch(data)
        if found is None or int(found[1], 16) != zlib.crc32(found[2]):
            raise BadPosition(f"no position: {data[:80]!r}")
        try:
            ends = [pair.split("=") for pair in found[6].decode("ascii").split()]
            return cls(
                date.fromisoformat(found[3].decode("ascii")),
                int(found[4]),
                int(found[5], 16),
                tuple((date.fromisoformat(day), int(offset)) for day, offset in ends),
            )
        except ValueError:
            raise BadPosition(f"no day: {data[:80]!r}") from None

    def end_of(self, day: date) -> int:
        """Up to where another day has been read."""
        return dict(self.ends).get(day, 0)


def mark_of(before: bytes) -> int:
    """The mark of a position, from the bytes before it."""
    return zlib.crc32(before[-MARK_LENGTH:])


class PositionFile:
    """A position on disk, replaced whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._saved: Position | None = None

    def load(self) -> Position | None:
        """None where there is none yet; BadPosition where it is damaged; OSError."""
        try:
            with self.path.open("rb") as file:
                self._saved = Position.decode(file.read(MAX_SIZE))
        except FileNotFoundError:
            return None
        return self._saved

    def save(self, position: Position) -> None:
        """OSError where it cannot be written."""
        if position != self._saved:
            write_atomically(self.path, position.encode())
            self._saved = position
