"""The real file system behind the collector's `Disk` port (part of the shell)."""

# ruff: noqa: PTH116, PTH118, PTH207, PTH208
from __future__ import annotations

import glob
import os
import stat

from ossec.logcollector.follower import Seen

OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # O_NONBLOCK: a FIFO does not wait for a writer


def _seen(found: os.stat_result) -> Seen:
    return Seen(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class LocalDisk:
    """Handles are file descriptors."""

    def look(self, path: bytes) -> Seen | None:
        try:
            return _seen(os.stat(path))
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return None

    def open(self, path: bytes) -> int:
        """OSError, also for a name with a NUL.  A FIFO is held open for writing too, so that it never ends."""
        if b"\0" in path:
            raise FileNotFoundError(2, os.strerror(2))
        try:
            if stat.S_ISFIFO(os.stat(path).st_mode):
                return os.open(path, OPEN_FLAGS | os.O_RDWR)
        except PermissionError:
            pass  # a FIFO that we may only read
        return os.open(path, OPEN_FLAGS)

    def seen(self, handle: int) -> Seen:
        return _seen(os.fstat(handle))

    def is_regular(self, handle: int) -> bool:
        return stat.S_ISREG(os.fstat(handle).st_mode)

    def is_stream(self, handle: int) -> bool:
        """Whether it can be waited for: a FIFO or a device."""
        mode = os.fstat(handle).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """What is there; nothing where the file system fails (a stale NFS handle): the next pass looks again."""
        try:
            return os.pread(handle, size, offset)
        except OSError:
            return b""

    def close(self, handle: int) -> None:
        os.close(handle)

    def glob(self, pattern: bytes) -> list[bytes]:
        return sorted(glob.glob(pattern))

    def siblings(self, path: bytes) -> list[bytes]:
        directory, own = os.path.split(path)
        try:
            names = os.listdir(directory or b".")
        except OSError:
            return []
        return [os.path.join(directory, name) for name in sorted(names) if name != own]
