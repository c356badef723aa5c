"""Events on disk until the server has them: append, read in order, forget from the front.

Theory of operation.  A spool is a directory of segments named by the number of their first event.  A record is
length (4 bytes, little endian), CRC-32 of the text (4 bytes), text.  `append` writes a batch with one call; nothing is
synced, so events survive the process's death and a power cut may cost the last seconds.  `acked` in its own file
is the number below which all events are with the server; segments wholly below it are deleted.  At start a damaged
tail is cut off at the last whole record, and `damaged` counts its bytes.

The newest events are also in memory, so a spool that its reader keeps up with is written and never read.

Full (`max_bytes` on disk): `append` takes nothing, and its caller stops reading; producers wait, files keep.
"""

from __future__ import annotations

import os
import struct
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

SEGMENT_BYTES = 4 * 1024 * 1024  # a segment is closed beyond it; what is freed at once
MAX_BYTES = 256 * 1024 * 1024  # on disk: hours of a busy host, a nuisance to none
MAX_RECORD = 65536  # an event is at most 6,144 bytes; anything larger is damage
MAX_RECENT = 8192  # events held in memory besides; at 6 kB each at most 50 MB, as a rule 2 MB
HEAD = struct.Struct("<II")
ACKED = "acked"


class Spool:
    """Events are numbered from 0 on; `first` is the oldest kept, `end` the number that the next one gets."""

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Take up what an earlier process left.  OSError."""
        directory.mkdir(mode=0o750, exist_ok=True)
        self.directory = directory
        self.max_bytes = max_bytes
        self.segment_bytes = segment_bytes
        self.damaged = 0
        self._starts = sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())
        self._acked_file = os.open(directory / ACKED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        stored = os.pread(self._acked_file, 32, 0).split(b"\n")[0]
        self.acked = int(stored) if stored.isdigit() else 0
        self._sizes: dict[int, int] = {}
        self.end = self._recover()
        self.acked = min(max(self.acked, self._starts[0] if self._starts else self.acked), self.end)
        self._recent: deque[bytes] = deque()  # the events just below `end`
        self._writing = -1
        self._open_segment()
        self._reader: tuple[int, Iterator[bytes]] | None = None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes.values())

    @property
    def full(self) -> bool:
        return self.size >= self.max_bytes

    def __len__(self) -> int:
        """Events that the server is not known to have."""
        return self.end - self.acked

    def append(self, events: list[bytes]) -> None:
        """Number and keep them.  OSError (a full disk): none of them is kept."""
        data = b"".join(HEAD.pack(len(event), zlib.crc32(event)) + event for event in events)
        start = self._starts[-1]
        try:
            written = os.write(self._writing, data)
            if written < len(data):
                raise OSError(28, "No space left on device", str(self.directory))
        except OSError:
            os.ftruncate(self._writing, self._sizes[start])
            raise
        self._sizes[start] += len(data)
        self.end += len(events)
        self._recent.extend(events)
        while len(self._recent) > MAX_RECENT:
            self._recent.popleft()
        if self._sizes[start] >= self.segment_bytes:
            self._open_segment()

    def read(self, number: int, limit: int) -> list[bytes]:
        """At most `limit` events from `number` on, in order; reading on from where the last call ended is cheap."""
        if number >= self.end or limit <= 0:
            return []
        skip = number - (self.end - len(self._recent))
        if skip >= 0:
            return list(islice(self._recent, skip, skip + limit))
        if self._reader is None or self._reader[0] != number:
            self._reader = (number, self._iterate(number))
        events = []
        for event in self._reader[1]:
            events.append(event)
            if len(events) == limit:
                break
        self._reader = (number + len(events), self._reader[1])
        if number + len(events) >= self.end:
            self._reader = None  # the iterator saw the file's end; what is appended later needs a new one
        return events

    def acknowledge(self, number: int) -> None:
        """All events below `number` are with the server.  On a full disk that is forgotten at the process's death."""
        if number <= self.acked:
            return
        self.acked = min(number, self.end)
        while len(self._recent) > self.end - self.acked:
            self._recent.popleft()
        with suppress(OSError):  # what is not noted is sent twice, at the worst
            os.pwrite(self._acked_file, b"%d\n" % self.acked, 0)
        while len(self._starts) > 1 and self._starts[1] <= self.acked:
            start = self._starts.pop(0)
            del self._sizes[start]
            self._path(start).unlink(missing_ok=True)
        if len(self._starts) == 1 and self.acked == self.end and self._sizes[self._starts[0]] > 0:
            self._restart_segment()

    def close(self) -> None:
        os.close(self._writing)
        os.close(self._acked_file)

    # segments
    def _path(self, start: int) -> Path:
        return self.directory / f"{start:020d}"

    def _recover(self) -> int:
        """Sizes of all segments, damaged tails cut off; returns the number after the last whole event."""
        end = self.acked
        for index, start in enumerate(self._starts):
            path = self._path(start)
            number, good = start, 0
            data = path.read_bytes()
            for event_end in _whole_records(data):
                number, good = number + 1, event_end
            following = self._starts[index + 1] if index + 1 < len(self._starts) else None
            if good < len(data):
                self.damaged += len(data) - good
                os.truncate(path, good)
            self._sizes[start] = good
            end = number
            if following is not None and following != number:
                end = following  # numbers of lost events are skipped, never given twice
        return max(end, self.acked)

    def _open_segment(self) -> bool:
        """Begin a segment, or write on in the last where the disk is full.  OSError where there is none."""
        try:
            new = os.open(self._path(self.end), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        except OSError:
            if self._writing < 0:
                raise
            return False
        if self._writing >= 0:
            os.close(self._writing)
        self._writing = new
        if not self._starts or self._starts[-1] != self.end:
            self._starts.append(self.end)
            self._sizes[self.end] = 0
        return True

    def _restart_segment(self) -> None:
        """Everything is acknowledged: begin an empty segment, so that an idle spool takes no room."""
        self._reader = None
        if self._open_segment() and self._starts[0] != self.end:
            old = self._starts.pop(0)
            del self._sizes[old]
            self._path(old).unlink(missing_ok=True)

    def _iterate(self, number: int) -> Iterator[bytes]:
        index = max(0, bisect_right(self._starts, number) - 1)
        for start in self._starts[index:]:
            data = self._path(start).read_bytes()
            position, current = 0, start
            for event_end in _whole_records(data):
                if current >= number:
                    yield data[position + HEAD.size : event_end]
                position, current = event_end, current + 1


def _whole_records(data: bytes) -> Iterator[int]:
    """The end of each record, up to the first that is cut or damaged."""
    position = 0
    while position + HEAD.size <= len(data):
        length, checksum = HEAD.unpack_from(data, position)
        end = position + HEAD.size + length
        if length > MAX_RECORD or end > len(data) or zlib.crc32(data[position + HEAD.size : end]) != checksum:
            return
        yield end
        position = end
