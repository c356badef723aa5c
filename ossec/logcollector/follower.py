"""One file through growth, rotation and truncation, as plain state (spec/logcollector.md, sections 4 and 9.4).

Theory of operation.  The file stays open while its name may change.  Before each read the shell says what it sees of
the open file and of the name, and `judge` answers:

* GROWN or IDLE: the same file; read on from `read_from`, or nothing to do;
* REWRITTEN: the open file is smaller than what was read, or does not begin (first 256 bytes) as it did: it was
  truncated, perhaps grown again.  `rewritten()` ends what was held and starts at its first byte;
* REPLACED: the name leads to another file.  The old one is read to its end first; `replaced()` ends what was held;
* GONE: the name leads nowhere; the open file is still read, its successor will count as REPLACED.

Each block that is read starts with the last bytes read before (`tail`): if they differ, the file was rewritten between
the look and the read, or in the middle; `take` then says so by returning None.

`position()` is what may be saved once the messages returned so far are handed over: the start of the unfinished line,
or of the oldest line that the reader holds.
"""

from __future__ import annotations

import enum
from typing import NamedTuple, Protocol

from ossec.logcollector.lines import LineSplitter
from ossec.logcollector.positions import MARK_LENGTH, TAIL_LENGTH, Position, digest
from ossec.logcollector.readers.base import Reader
from ossec.messages.queue import MAX_TEXT

OWN_LOCATION = b"ossec-logcollector"


class Seen(NamedTuple):
    """What the shell sees of a file: identity and size."""

    device: int
    inode: int
    size: int
    changed: int  # mtime in nanoseconds

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode


class Disk(Protocol):
    """What the collector needs of the file system.  Paths are bytes."""

    def look(self, path: bytes) -> Seen | None:
        """What the name leads to; None when it leads nowhere."""

    def open(self, path: bytes) -> int:
        """A handle; OSError.  A FIFO opens without waiting for its writer."""

    def seen(self, handle: int) -> Seen: ...

    def is_regular(self, handle: int) -> bool:
        """Whether offsets mean something: False for a FIFO, a directory, a device."""

    def read(self, handle: int, offset: int, size: int) -> bytes: ...

    def close(self, handle: int) -> None: ...

    def glob(self, pattern: bytes) -> list[bytes]:
        """Sorted."""

    def siblings(self, path: bytes) -> list[bytes]:
        """The paths of the other entries of its directory; empty where it cannot be read."""


class Verdict(enum.Enum):
    IDLE = "idle"
    GROWN = "grown"
    REWRITTEN = "rewritten"
    REPLACED = "replaced"
    GONE = "gone"


class Follower:
    """State of one followed file.  Methods return datagrams for the queue."""

    def __init__(self, path: bytes, reader: Reader) -> None:
        self.path = path
        self.reader = reader
        self.identity: tuple[int, int] | None = None  # of the open file
        self.offset = 0  # bytes taken so far
        self.seekable = True  # False: a FIFO, whose bytes have no place to return to
        self.complained = False  # 1103 has been logged since the name was last seen
        self._prefix = reader.queue + b":" + path + b":"
        self._lines = LineSplitter(reader.line_limit)
        self._head = b""  # the first bytes of the file, as far as they were read
        self._tail = b""  # the last bytes taken
        self._last_look: tuple[int, int] | None = None

    # opening and closing
    def opened(self, seen: Seen, head: bytes, offset: int) -> None:
        """A file was opened, to be read from `offset`; `head` are its first bytes (MARK_LENGTH, or all)."""
        self.identity = seen.identity
        self.offset = offset
        self._head = _mark(head[:offset])
        self._tail = b""
        self._last_look = None
        self._lines.clear()
        self.complained = False

    def closed(self) -> None:
        self.identity = None

    @property
    def is_open(self) -> bool:
        return self.identity is not None

    # looking
    def judge(self, held: Seen, name: Seen | None) -> Verdict:
        """What became of the file.  The caller asks `begins_as_before` when it `wants_head`."""
        if held.size < self.offset:
            return Verdict.REWRITTEN
        if name is None:
            return Verdict.GONE
        if name.identity != self.identity:
            return Verdict.REPLACED
        return Verdict.GROWN if held.size > self.offset else Verdict.IDLE

    def wants_head(self, held: Seen) -> bool:
        """Whether the file changed since the last look, so that its first bytes should be compared."""
        look = held.size, held.changed
        if look == self._last_look or not self._head:
            return False
        self._last_look = look
        return True

    def begins_as_before(self, head: bytes) -> bool:
        return head.startswith(self._head)

    # reading
    @property
    def read_from(self) -> int:
        """Where the next block starts: a little before the new bytes, to compare."""
        return self.offset - len(self._tail)

    def take(self, block: bytes) -> list[bytes] | None:
        """The datagrams of a block read at `read_from`; None when the file is not the one that was read before."""
        tail = self._tail
        if not block.startswith(tail):
            return None
        data = block[len(tail) :]
        if not data:
            return []
        if self.offset == len(self._head) < MARK_LENGTH:
            self._head = _mark(self._head + data[:MARK_LENGTH])
        reader = self.reader
        if reader.holds:
            lines, starts = self._lines.feed_with_starts(data, self.offset)
        else:
            lines, starts = self._lines.feed(data), []
        self.offset += len(data)
        last = block[-TAIL_LENGTH:]
        self._tail = b"" if b"\0" in last else last  # bytes reserved by a writer are filled in later
        if self._lines.too_long:
            self._report_too_long()
        return self.datagrams(reader.read(lines, starts)) if lines else []

    def take_stream(self, data: bytes) -> list[bytes]:
        """The datagrams of bytes that come from no offset: a FIFO's."""
        lines, starts = self._lines.feed_with_starts(data, self.offset)
        self.offset += len(data)
        if self._lines.too_long:
            self._report_too_long()
        return self.datagrams(self.reader.read(lines, starts)) if lines else []

    def tick(self) -> list[bytes]:
        """A pass has ended."""
        return self.datagrams(self.reader.tick())

    def datagrams(self, texts: list[bytes]) -> list[bytes]:
        """The texts as they go to the queue."""
        prefix = self._prefix
        if texts and len(prefix) + len(max(texts, key=len)) > MAX_TEXT:
            return [(prefix + text)[:MAX_TEXT] + b"\0" for text in texts]
        return [prefix + text + b"\0" for text in texts]

    # ends
    def finish(self) -> list[bytes]:
        """All that is held, the unfinished line as well: nothing more will come of this file."""
        lines = self._lines.finish()
        if self._lines.too_long:
            self._report_too_long()
        texts = self.reader.read(lines, [self.offset] * len(lines)) if lines else []
        self._lines.clear()
        return self.datagrams(texts + self.reader.flush())

    def flush(self) -> list[bytes]:
        """All records that are held; the unfinished line stays in the file (a clean exit)."""
        return self.datagrams(self.reader.flush())

    def rewritten(self) -> list[bytes]:
        """The open file was truncated: what was held, then the note.  Reading goes on at its first byte."""
        datagrams = self.finish()
        self.offset = 0
        self._head = self._tail = b""
        self._last_look = None
        return [*datagrams, self._note(b"File size reduced (inode remained)")]

    def replaced(self) -> list[bytes]:
        """The old file was read to its end: what was held, then the note.  The new one is to be opened."""
        datagrams = self.finish()
        self.closed()
        return [*datagrams, self.rotation_note()]

    def split_off(self, reader: Reader) -> Follower:
        """The old file as a follower of its own, with its unfinished line: what its writer may still add to it.

        `reader` is a new one for it.  Records that are held stay here, to be sent before the note; `replaced()` is to
        follow.
        """
        old = Follower(self.path, reader)
        old.identity, old.offset = self.identity, self.offset
        old._head, old._tail, old._lines = self._head, self._tail, self._lines
        self._lines = LineSplitter(self.reader.line_limit)
        return old

    def rotation_note(self) -> bytes:
        return self._note(b"File rotated (inode changed)")

    def _note(self, what: bytes) -> bytes:
        return (b"1:" + OWN_LOCATION + b":ossec: " + what + b": '" + self.path + b"'.")[:MAX_TEXT] + b"\0"

    def _report_too_long(self) -> None:
        for length, text in self._lines.too_long:
            self.reader.target.complaints.too_long(length, text)

    # positions
    def position_offset(self) -> int:
        """The first byte that has not been handed over."""
        unfinished = self.offset - self._lines.pending_raw
        oldest = self.reader.oldest()
        return unfinished if oldest is None else min(oldest, unfinished)

    def position(self) -> Position | None:
        """How far this file has been handed over, once all datagrams returned so far are; None while it is closed."""
        if self.identity is None or not self.seekable:
            return None
        return Position(
            device=self.identity[0],
            inode=self.identity[1],
            offset=self.position_offset(),
            head_length=len(self._head),
            head=digest(self._head),
            tail_end=self.offset,
            tail_length=len(self._tail),
            tail=digest(self._tail),
            memory=self.reader.memory(),
        )


def _mark(head: bytes) -> bytes:
    """What of the first bytes identifies a file: up to a NUL, which a writer may fill in later."""
    return head[:MARK_LENGTH].partition(b"\0")[0]
