"""A socket's name that fits into sockaddr_un, however deep the home lies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

CLOSED = ".{}.closed"  # beside a queue: the inode of a socket whose reader had read everything when it went
MAX_NAME = 107  # sun_path holds 108 bytes, the closing NUL included


def closed_mark(path: Path) -> Path:
    """The file by which a reader says that it left nothing unread."""
    return path.with_name(CLOSED.format(path.name))


@contextlib.contextmanager
def socket_name(path: Path) -> Iterator[str]:
    """`path` itself, or a way to it through an open directory, valid inside the `with`."""
    name = os.fspath(path)
    if len(os.fsencode(name)) <= MAX_NAME:
        yield name
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
