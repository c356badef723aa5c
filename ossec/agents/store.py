"""The file client.keys: changed by one program at a time, replaced in one step.

Whoever changes it holds a lock (flock) on the file itself; as every change makes a new file, the lock counts only while
the name still leads to it.  A reader sees the old or the new file, never a part.
"""

from __future__ import annotations

import fcntl
import grp
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ossec.agents.keyfile import KeyFile, Row
from ossec.layout import Layout

TOOL_MODE = 0o440  # after manage_agents, as OSSEC leaves it
ENROLMENT_MODE = 0o640  # after ossec-authd
GROUP = "ossec"  # remoted reads the file
MAX_FILE = 64 * 1024 * 1024  # bytes; 10,000 agents take one


class KeyStore:
    """client.keys at `path`.  Every method may raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> KeyFile:
        """What it holds now; an empty one where there is none."""
        try:
            with self.path.open("rb") as file:
                return KeyFile.parse(file.read(MAX_FILE))
        except FileNotFoundError:
            return KeyFile()

    def change(self, edit: Callable[[KeyFile], KeyFile], mode: int = TOOL_MODE) -> KeyFile:
        """Read, let `edit` change it, write: nobody else changes it in between.  What `edit` raises leaves it as it
        was."""
        with self._locked() as descriptor:
            with os.fdopen(os.dup(descriptor), "rb") as file:
                old = KeyFile.parse(file.read(MAX_FILE))
            new = edit(old)
            if new != old:
                self._replace(new.format(), os.fstat(descriptor), mode)
            return new

    @contextmanager
    def _locked(self) -> Iterator[int]:
        while True:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, ENROLMENT_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._is_current(descriptor):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        """Whether the name still leads to the file that we locked."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _replace(self, data: bytes, old: os.stat_result, mode: int) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, stat.S_IRUSR | stat.S_IWUSR
        )
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
                if os.geteuid() == 0:
                    os.fchown(out.fileno(), old.st_uid, _group(old.st_gid))
                os.fchmod(out.fileno(), mode)
                out.flush()
                os.fsync(out.fileno())
            temporary.rename(self.path)
            _sync_directory(self.path.parent)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def install_key(layout: Layout, row: Row, mode: int = TOOL_MODE) -> None:
    """On an agent: client.keys holds this key alone.  With another than before the server counts from anew."""
    before: list[Row] = []

    def edit(known: KeyFile) -> KeyFile:
        before.extend(known.agents)
        return KeyFile((row.format(),))

    KeyStore(layout.client_keys).change(edit, mode)
    if row not in before:
        for identity in {row.id, *(old.id for old in before)}:
            if identity.isascii() and identity.isdigit():
                layout.rids(identity).unlink(missing_ok=True)


def _group(old: int) -> int:
    """The file's group; `ossec` for one that root has just made."""
    if old != 0:
        return old
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return old


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
