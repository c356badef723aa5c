"""inotify without a library: one descriptor for the loop, no thread (part of the shell).

Directories are watched for names that come and go, open files for growth: the watch on a file is set through
`/proc/self/fd/N`, so it is on the very file that is open, whatever its name leads to by now.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

IN_MODIFY = 0x00000002
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_ONLYDIR = 0x01000000
IN_Q_OVERFLOW = 0x00004000
IN_IGNORED = 0x00008000
IN_NONBLOCK = os.O_NONBLOCK
IN_CLOEXEC = os.O_CLOEXEC

HEADER = struct.Struct("iIII")  # watch, mask, cookie, length of the name
READ_SIZE = 64 * 1024  # bytes of events taken at a time: about 2,000


class Event(NamedTuple):
    watch: int
    mask: int
    name: bytes


class Inotify:
    """Watches files and directories.  OSError where the kernel refuses an instance (`max_user_instances`)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._checked(self._libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC))

    def fileno(self) -> int:
        return self._descriptor

    def watch_file(self, descriptor: int) -> int:
        """Tell when the open file grows.  OSError (ENOSPC: `max_user_watches`)."""
        return self._add(b"/proc/self/fd/%d" % descriptor, IN_MODIFY)

    def watch_directory(self, path: bytes) -> int:
        """Tell when a name comes into the directory.  OSError."""
        return self._add(path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

    def forget(self, watch: int) -> None:
        self._libc.inotify_rm_watch(self._descriptor, watch)

    def read(self) -> list[Event]:
        """What happened; an empty list when nothing has."""
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return []
        return parse_events(data)

    def close(self) -> None:
        os.close(self._descriptor)

    def _add(self, path: bytes, mask: int) -> int:
        return self._checked(self._libc.inotify_add_watch(self._descriptor, path, mask))

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def parse_events(data: bytes) -> list[Event]:
    """The events of one read."""
    events = []
    at = 0
    while at + HEADER.size <= len(data):
        watch, mask, _, length = HEADER.unpack_from(data, at)
        at += HEADER.size
        events.append(Event(watch, mask, data[at : at + length].rstrip(b"\0")))
        at += length
    return events


def is_exhausted(error: OSError) -> bool:
    """Whether a limit of the kernel was reached, not something about this file."""
    return error.errno in (errno.ENOSPC, errno.EMFILE, errno.ENOMEM)
