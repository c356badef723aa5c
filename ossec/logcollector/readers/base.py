"""What every reader is: complete lines in, texts out, a tick per pass (spec/logcollector.md, sections 5 and 6).

A reader belongs to one file.  It never sees the file: the follower hands it complete lines, together with the offset
of each line's first byte if the reader holds lines back (`holds`), and asks `oldest()` from where they would have to
be read again after a crash.

Passes: lines that arrive between two ticks belong to the pass that the second one ends.  A record with patience N
whose last (or, with a window, first) line came in pass k is sent by the tick that ends pass k+N.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from ossec.messages.queue import LOCAL, MAX_TEXT

log = logging.getLogger("ossec.logcollector")

MAX_LINE = 5887  # bytes of one line that are kept, as in OSSEC: the rest of a message is for its head
MAX_LONG_LINE = 6142  # the same for snort-full, audit and modsec-audit
MAX_OPEN = 1000  # records held for one file: one whose end never comes must not fill the memory
MAX_HELD = 1 << 20  # bytes of text held for one file, for the same reason
SHOWN = 4096  # bytes of an over-long message that its log line shows

MAX_COMPLAINTS = 20  # log lines about lines in one pass; an over-long one has 4 KiB
MAX_MEMORY = 16  # bytes that a reader may have saved with the position

NEVER = math.inf


class Complaints:
    """What is logged about lines, bounded: whoever writes a log must not be able to fill ossec.log with it."""

    def __init__(self) -> None:
        self._said = 0
        self._kept_back = 0

    def say(self, level: int, text: str, *values: object, plain: bool = True) -> None:
        """A line of ossec.log, unless this pass had enough of them."""
        if self._said >= MAX_COMPLAINTS:
            self._kept_back += 1
            return
        self._said += 1
        log.log(level, text, *values, extra={"ossec_plain": plain})

    def too_long(self, length: int, text: bytes) -> None:
        """OSSEC's line for a message that did not fit."""
        shown = text[:SHOWN].decode("utf-8", "surrogateescape")
        self.say(logging.WARNING, "Large message size(length=%d): '%s...'", length, shown)

    def tick(self) -> None:
        """A pass has ended."""
        if self._kept_back:
            log.warning("%d more complaints about lines in this pass are not shown.", self._kept_back)
        self._said = self._kept_back = 0


class Target(NamedTuple):
    """What a reader may know about where its messages go."""

    location: bytes  # the path as configured, globs and dates expanded
    syslog_head: Callable[[], bytes]  # `Mon DD HH:MM:SS HOST ` of this moment, for formats without one of their own
    complaints: Complaints

    def room(self, queue: bytes) -> int:
        """How long a text may be, so that the datagram is not cut."""
        return MAX_TEXT - len(queue) - len(self.location) - 2


class Reader:
    """Lines to texts, each line by itself.  The base class is the plain reader of most formats."""

    queue: ClassVar[bytes] = LOCAL
    line_limit: ClassVar[int] = MAX_LINE
    holds: ClassVar[bool] = False  # whether lines may be held back: `read` then needs their offsets

    def __init__(self, target: Target) -> None:
        self.target = target
        self.room = target.room(self.queue)

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        """The texts that these lines complete."""
        return lines

    def tick(self) -> list[bytes]:
        """A pass has ended: the texts whose time is over."""
        return []

    def flush(self) -> list[bytes]:
        """Everything held, as it is, oldest first line first: the file has ended, or we have."""
        return []

    def oldest(self) -> int | None:
        """The offset of the oldest line held."""
        return None

    def memory(self) -> bytes:
        """What a new process must know to go on with the next line, beside the lines held; at most MAX_MEMORY bytes."""
        return b""

    def recall(self, memory: bytes) -> None:
        """Take up what `memory` said in an earlier process."""


class Record:
    """Lines joined by one blank.  Keeps no more text than can be sent, and counts the rest."""

    __slots__ = ("deadline", "kept", "length", "parts", "start")

    def __init__(self, start: int, line: bytes, deadline: float) -> None:
        self.start = start
        self.parts = [line]
        self.length = len(line)  # of the whole joined text
        self.kept = len(line)  # of what `parts` holds
        self.deadline = deadline

    def add(self, line: bytes, room: int) -> int:
        """Join one more line; how many bytes more are held."""
        self.length += 1 + len(line)
        if self.kept >= room:
            return 0
        self.parts.append(line)
        self.kept += 1 + len(line)
        return 1 + len(line)

    def text(self, room: int, complaints: Complaints) -> bytes:
        """The joined text, cut at `room` (rule R4)."""
        text = b" ".join(self.parts)
        if self.length > room:
            complaints.too_long(self.length, text)
            return text[:room]
        return text


class Holding(Reader):
    """A reader that joins lines: open records by key, in order of their first lines, with timers and bounds (R4-R8).

    `patience` is the number of passes after which a record is sent (NEVER: only its own end does); `renewed` says
    whether each further line starts it anew (a timeout) or not (a window).
    """

    holds = True

    def __init__(self, target: Target, patience: float = 1, renewed: bool = True) -> None:
        super().__init__(target)
        self.patience = patience
        self.renewed = renewed
        self.records: dict[bytes, Record] = {}
        self._held = 0
        self._passes = 0

    def open(self, key: bytes, start: int, line: bytes) -> None:
        """Begin a record that is not open yet."""
        self.records[key] = Record(start, line, self._passes + 1 + self.patience)
        self._held += len(line)

    def extend(self, key: bytes, line: bytes) -> None:
        record = self.records[key]
        self._held += record.add(line, self.room)
        if self.renewed:
            record.deadline = self._passes + 1 + self.patience

    def close(self, key: bytes) -> bytes:
        """The text of a record, which is then no longer open."""
        record = self.records.pop(key)
        self._held -= record.kept
        return record.text(self.room, self.target.complaints)

    def overflow(self) -> list[bytes]:
        """The oldest records, as long as more is held than may be (R8)."""
        texts = []
        while len(self.records) > MAX_OPEN or (self._held > MAX_HELD and len(self.records) > 1):
            texts.append(self.close(next(iter(self.records))))
        return texts

    def tick(self) -> list[bytes]:
        self._passes += 1
        if not self.records:
            return []
        due = [key for key, record in self.records.items() if record.deadline <= self._passes]
        return [self.close(key) for key in due]

    def flush(self) -> list[bytes]:
        return [self.close(key) for key in list(self.records)]

    def oldest(self) -> int | None:
        return next(iter(self.records.values())).start if self.records else None


ONLY = b""  # the key of readers that hold one record at a time


def without_return(line: bytes) -> bytes:
    """Without one trailing carriage return (R3)."""
    return line[:-1] if line.endswith(b"\r") else line
