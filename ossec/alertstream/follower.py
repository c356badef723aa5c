"""Which file to read on, and from where: over midnight, rotation, compression, a gap of days, a clock set back.

The day's own file is read, never the hard link `alerts.log`.  A day is left when a later day's file exists and the end
of this one has been seen after that; what waits unfinished there is then a record.  OSSEC's readers start a new file at
its end and lose what was written between; ours start at its beginning.
"""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ossec.alertstream.position import MARK_LENGTH, Position, mark_of
from ossec.alertstream.records import Parsed, Record, RecordReader
from ossec.layout import Layout

log = logging.getLogger("ossec.alertstream")

CHUNK = 256 * 1024  # bytes read at a time: some hundred alerts
MAX_GAP = 400  # days without a file that are looked over; a reader that slept longer starts today
ONE_DAY = timedelta(days=1)


class Entry(NamedTuple):
    """An alert, and the position to save once it has been dealt with."""

    record: Record
    position: Position
    raw: bytes


class Follower:
    """Reads the stream from `position` on; without one from the end of what is there, as OSSEC's readers start."""

    def __init__(self, layout: Layout, position: Position | None, today: Callable[[], date] = date.today) -> None:
        self._layout = layout
        self._today = today
        self._file: BinaryIO | None = None
        self._inode: tuple[int, int] | None = None  # None for a compressed file
        self._read_to = 0
        self._tail = b""
        self._newer: date | None = None
        self._reader = RecordReader()
        self._dropped = 0
        self.position = position if position is not None else self._present()

    @property
    def dropped(self) -> int:
        """Texts in the files that were no alerts."""
        return self._dropped + self._reader.dropped

    @property
    def path(self) -> Path:
        return self._layout.alerts_of(self.position.day)

    def seek(self, position: Position) -> None:
        """Go back (or on) to a position that an entry had."""
        self._close()
        self.position = position

    def read(self) -> list[Entry]:
        """The next entries, from at most CHUNK bytes; an empty list when there is nothing (more) now.  OSError."""
        for _ in range(MAX_GAP):
            if self._file is None and not self._open():
                return []
            assert self._file is not None
            data = self._file.read(CHUNK)
            if data:
                self._read_to += len(data)
                found = self._reader.feed(data)
                if found:
                    return self._entries(found)
                continue
            if self._was_replaced():
                continue
            if self._newer is None:
                self._newer = self._other_day()
                if self._newer is None:
                    return []
                continue  # to the very end, now that nothing more is written to this one
            found = self._reader.finish()
            entries = self._entries(found)
            self._move_to(self._newer)
            if entries:
                return entries
        return []

    def settle(self) -> list[Entry]:
        """Nothing has come for a while: an alert that an empty line ends is whole."""
        return self._entries(self._reader.settle()) if self._file is not None else []

    def close(self) -> None:
        self._close()

    def _entries(self, found: list[Parsed]) -> list[Entry]:
        entries = []
        position = self.position
        for record, raw, end in found:
            before = raw if len(raw) >= MARK_LENGTH else self._tail + raw
            position = Position(position.day, end, mark_of(before), position.ends)
            self._tail = raw[-MARK_LENGTH:]
            entries.append(Entry(record, position, raw))
        self.position = position
        return entries

    # files
    def _present(self) -> Position:
        """The end of today's file."""
        day = self._today()
        try:
            with self._layout.alerts_of(day).open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - MARK_LENGTH))
                return Position(day, end, mark_of(file.read(MARK_LENGTH)))
        except OSError:
            return Position(day)

    def _open(self) -> bool:
        """Open the position's file, or the next one that there is."""
        file = self._open_day(self.position.day)
        if file is None:
            newer = self._other_day()
            if newer is None:
                return False
            self._move_to(newer)
            file = self._open_day(newer)
            if file is None:
                return False
        start = self._check(file, self.position)
        if start != self.position.offset:
            log.warning("%s is not the file that was read before: it is read from its beginning.", self.path)
            self.position = Position(self.position.day, 0, 0, self.position.ends)
        file.seek(start)
        self._file = file
        self._read_to = start
        self._reader = RecordReader(start)
        return True

    def _open_day(self, day: date) -> BinaryIO | None:
        path = self._layout.alerts_of(day)
        try:
            file = path.open("rb", buffering=0)
            status = os.fstat(file.fileno())
            self._inode = status.st_dev, status.st_ino
            return file
        except FileNotFoundError:
            self._inode = None
        try:
            return gzip.open(path.with_name(path.name + ".gz"), "rb")  # type: ignore[return-value]
        except FileNotFoundError:
            return None

    def _check(self, file: BinaryIO, position: Position) -> int:
        """Where to go on: the position's offset if the bytes before it are those that were read, else 0."""
        if not position.offset:
            return 0
        length = min(MARK_LENGTH, position.offset)
        try:
            file.seek(position.offset - length)
            before = file.read(length)
        except (OSError, EOFError):
            return 0
        if len(before) != length or (position.mark and mark_of(before) != position.mark):
            return 0
        self._tail = before
        return position.offset

    def _was_replaced(self) -> bool:
        """At the end of an open file: has it been truncated, or another put in its place?"""
        if self._inode is None or self._file is None:
            return False
        size = os.fstat(self._file.fileno()).st_size
        try:
            status = self.path.stat()
            other = (status.st_dev, status.st_ino) != self._inode
        except FileNotFoundError:
            other = False  # compressed or removed while it is open here: it has been read to its end
        if size >= self._read_to and not other:
            return False
        self._close()
        return True

    def _other_day(self) -> date | None:
        """The day to go on with: the next that has a file; after a clock was set back, the day that is written to."""
        today = self._today()
        day = self.position.day
        if day > today:
            try:
                if self._layout.alerts_of(today).stat().st_size > self.position.end_of(today):
                    return today
            except FileNotFoundError:
                pass
        last = today + ONE_DAY  # the writer may be a moment ahead
        if (last - day).days > MAX_GAP:
            day = last - MAX_GAP * ONE_DAY
        while day < last:
            day += ONE_DAY
            path = self._layout.alerts_of(day)
            if (path.exists() or path.with_name(path.name + ".gz").exists()) and not (
                day in dict(self.position.ends) and self._size_of(path) <= self.position.end_of(day)
            ):
                return day
        return None

    @staticmethod
    def _size_of(path: Path) -> int:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0

    def _move_to(self, day: date) -> None:
        here = self.position
        ends = dict(here.ends)
        ends[here.day] = max(here.offset, self._reader.offset if self._file is not None else 0)
        start = ends.pop(day, 0)
        self._close()
        self.position = Position(day, start, 0, tuple(sorted(ends.items())[-2:]))

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._newer = None
        self._tail = b""
        self._dropped += self._reader.dropped
        self._reader = RecordReader()
