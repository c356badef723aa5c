"""Databases of file events: `queue/syscheck/LOCATION` and `queue/rootcheck/LOCATION` (spec/analysis.md, 11).

Both are text that grows at its end; what changes in place keeps its length.  In memory is only where the current line
of a name begins, so memory grows with names and not with what is known of them.  Nothing is synced to disk: the line
that a crash of the machine loses is reported once more by the next scan.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

MAX_OPEN = 512  # databases held open: a descriptor and an index each; the one used longest ago is closed
MAX_LINE = 8192  # a line: flags, sums, time and a name of at most one datagram (6144)
FLAGS_LENGTH = 3  # `+++`, `!++`, ...


class Entry(NamedTuple):
    """The current line of one file: `flags` tell how often it changed, `sum` what it was last, `offset` where it is."""

    flags: bytes
    sum: bytes
    offset: int


class Database(Protocol):
    """What the store keeps open."""

    def close(self) -> None: ...


class SyscheckDatabase:
    """`PPPSUM !TIME NAME` lines; a superseded one begins with `#`."""

    def __init__(self, path: Path) -> None:
        """Opens, and creates where needed; OSError where that is not possible."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        self._index: dict[bytes, int] = {}
        self._end = 0
        with os.fdopen(os.dup(self._file), "rb") as lines:
            for line in lines:
                parts = _take_apart(line)
                if parts is not None:
                    self._index[parts[2]] = self._end
                self._end += len(line)
            if self._end and not line.endswith(b"\n"):  # a crash cut the last line: it must not swallow the next one
                self._end += os.pwrite(self._file, b"\n", self._end)

    def get(self, name: bytes) -> Entry | None:
        """The current line of `name`."""
        offset = self._index.get(name)
        if offset is None:
            return None
        parts = _take_apart(os.pread(self._file, MAX_LINE, offset).partition(b"\n")[0])
        if parts is None or parts[2] != name:  # another program changed the file under us
            del self._index[name]
            return None
        return Entry(parts[0], parts[1], offset)

    def add(self, flags: bytes, sums: bytes, time: int, name: bytes, instead_of: Entry | None = None) -> None:
        """Append a line; the one it supersedes is marked after that, so a crash in between leaves the newer one."""
        size = os.fstat(self._file).st_size
        if size < self._end:  # emptied by syscheck_control: what it held no longer counts
            self._index.clear()
            self._end, instead_of = size, None
        line = b"%b%b !%d %b\n" % (flags, sums, time, name)
        os.pwrite(self._file, line, self._end)
        if instead_of is not None:
            os.pwrite(self._file, b"#", instead_of.offset)
        self._index[name] = self._end
        self._end += len(line)

    def close(self) -> None:
        os.close(self._file)


def _take_apart(line: bytes) -> tuple[bytes, bytes, bytes] | None:
    """(flags, sums, name) of a line; None for comments, superseded and broken ones."""
    if line[:1] in (b"#", b"\n", b""):
        return None
    sums, space, rest = line[FLAGS_LENGTH:].rstrip(b"\n").partition(b" ")
    if not space:
        return None
    if rest[:1] == b"!":
        time, space, name = rest[1:].partition(b" ")
        if space and time.isdigit():
            rest = name
    return line[:FLAGS_LENGTH], sums, rest


class RootcheckDatabase:
    """`!LAST!FIRST TEXT` lines, LAST updated in place; lines without `!` are of an old style and only match."""

    def __init__(self, path: Path) -> None:
        """Opens, and creates where needed; OSError where that is not possible."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        self._index: dict[bytes, int] = {}  # text -> offset, -1 for the old style
        self._end = 0
        with os.fdopen(os.dup(self._file), "rb") as lines:
            for line in lines:
                text = line.rstrip(b"\n")
                if text[:1] == b"!" and b" " in text:
                    self._index[text.partition(b" ")[2]] = self._end
                elif text and text[:1] != b"#":
                    self._index[text] = -1
                self._end += len(line)
            if self._end and not line.endswith(b"\n"):
                self._end += os.pwrite(self._file, b"\n", self._end)

    def see(self, text: bytes, time: int) -> bool:
        """Note that `text` was reported; True when it is new."""
        size = os.fstat(self._file).st_size
        if size < self._end:  # emptied by rootcheck_control
            self._index.clear()
            self._end = size
        offset = self._index.get(text)
        if offset is None:
            line = b"!%010d!%010d %b\n" % (time, time, text)
            os.pwrite(self._file, line, self._end)
            self._index[text] = self._end
            self._end += len(line)
            return True
        if offset >= 0:
            os.pwrite(self._file, b"!%010d" % time, offset)
        return False

    def close(self) -> None:
        os.close(self._file)


D = TypeVar("D", bound=Database)


class BadLocation(OSError):
    """A location that names no file of its own."""


class DatabaseStore(Generic[D]):
    """One database per location below `directory`, opened at first use, at most `MAX_OPEN` at a time."""

    def __init__(self, directory: Path, kind: Callable[[Path], D]) -> None:
        self.directory = directory
        self._kind = kind
        self._open: OrderedDict[bytes, D] = OrderedDict()

    def get(self, location: bytes) -> D:
        """OSError when it cannot be opened (BadLocation: `location` is not a plain file name)."""
        database = self._open.get(location)
        if database is not None:
            self._open.move_to_end(location)
            return database
        if not location or b"/" in location or b"\n" in location or location[:1] == b".":
            raise BadLocation(f"not a name for a database: {location!r}")
        database = self._kind(self.directory / os.fsdecode(location))
        self._open[location] = database
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)[1].close()
        return database

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()
