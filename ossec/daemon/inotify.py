"""inotify without a library: one descriptor for the loop, no thread.

The caller says what to watch for and learns when the kernel lost count (IN_Q_OVERFLOW).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

IN_MODIFY = 0x00000002
IN_ATTRIB = 0x00000004
IN_MOVED_FROM = 0x00000040
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_DELETE = 0x00000200
IN_DELETE_SELF = 0x00000400
IN_Q_OVERFLOW = 0x00004000
IN_IGNORED = 0x00008000
IN_ONLYDIR = 0x01000000
IN_MASK_ADD = 0x20000000
IN_ISDIR = 0x40000000

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
        self._descriptor = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        return self._descriptor

    def watch(self, path: bytes, mask: int) -> int:
        """The watch's number, the same for the same inode.  OSError (ENOSPC: `max_user_watches`)."""
        return self._checked(self._libc.inotify_add_watch(self._descriptor, path, mask))

    def watch_open_file(self, descriptor: int) -> int:
        """Tell when the very file that is open grows, whatever its name leads to by now.  OSError."""
        return self.watch(b"/proc/self/fd/%d" % descriptor, IN_MODIFY)

    def watch_new_names(self, directory: bytes) -> int:
        """Tell when a name comes into the directory.  OSError."""
        return self.watch(directory, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

    def forget(self, watch: int) -> None:
        """The kernel answers with IN_IGNORED."""
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
