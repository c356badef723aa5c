"""The journal's file: appended to, synced once a turn, rewritten when it has grown."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from ossec.execd import journal
from ossec.execd.journal import Record, State

COMPACT_FLOOR = 256 * 1024  # bytes below which rewriting gains nothing
COMPACT_FACTOR = 4  # rewritten when it is that much longer than after the last rewriting: cost per record is constant
FILE_MODE = 0o640  # root and group ossec: agent_control --blocks reads it
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Store:
    """Holds what the file says in `state`; every change goes through `append`."""

    def __init__(self, path: Path, boot: str) -> None:
        """Read what an earlier life left.  `earlier_boot` tells whether the machine was started anew since."""
        self.path = path
        self.unreadable: OSError | None = None
        self.state = State()
        try:
            self.state = journal.replay(path.read_bytes())
        except FileNotFoundError:
            pass
        except OSError as error:
            self.unreadable = error
            with contextlib.suppress(OSError):  # for somebody to look at; ours begins anew
                path.rename(path.with_name(f"{path.name}.unreadable"))
        self.damaged = self.state.damaged
        self.earlier_boot = not boot or self.state.boot != boot
        self.state.boot = boot
        self._fd = -1
        self._size = 0
        self._limit = 0

    def open(self) -> None:
        """Rewrite the file without what is over, and keep it open.  OSError where the directory does not allow it."""
        self._compact()

    def append(self, records: Iterable[Record], sync: bool) -> None:
        """Write records; with `sync` they are on the disk when this returns.

        OSError when they could not be written; `state` has them all the same, and the next call writes everything anew.
        """
        lines = []
        for record in records:
            journal.apply(self.state, record)
            lines.append(journal.encode(record))
        data = b"".join(lines)
        if self._fd < 0 or self._size + len(data) > self._limit:
            self._compact()
            return
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            if sync:
                os.fdatasync(self._fd)
        except OSError:
            self.close()
            raise
        self._size += len(data)

    def _compact(self) -> None:
        self.close()
        data = b"".join(journal.encode(record) for record in self.state.records())
        temporary = self.path.with_name(f".{self.path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_APPEND, FILE_MODE)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            temporary.rename(self.path)
            _sync_directory(self.path.parent)
        except OSError:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        self._fd = descriptor
        self._size = len(data)
        self._limit = max(COMPACT_FLOOR, COMPACT_FACTOR * len(data))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read(path: Path) -> State:
    """What is in force according to the journal, for tools; an empty state where there is none."""
    try:
        return journal.replay(path.read_bytes())
    except FileNotFoundError:
        return State()


def boot_id() -> str:
    """The kernel's name for this boot; empty where it has none (every start then counts as a new boot)."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
