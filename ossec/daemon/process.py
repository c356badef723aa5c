"""What a daemon asks of its process: a pid file and a lock, a user, the background, a word to systemd."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import socket
from pathlib import Path

from ossec.errors import OssecError
from ossec.layout import Layout

READY = b"ready"


class UnknownUser(OssecError):
    """The user or group to run as does not exist (OSSEC's 1203)."""


class AlreadyRunning(OssecError):
    """Another process of this home holds the daemon's lock."""


def own_home(layout: Layout) -> bool:
    """Whether the home was installed for users of its own: only then does a daemon started by root change user."""
    try:
        return layout.event_queue.parent.stat().st_uid != 0
    except OSError:
        return False


def find_ids(user: str, group: str) -> tuple[int, int]:
    """(uid, gid) of names; UnknownUser."""
    try:
        return pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError:
        raise UnknownUser(f"Invalid user '{user}' or group '{group}' given.") from None


def drop_privileges(uid: int | None, gid: int | None) -> None:
    """Become uid:gid for good.  None leaves that one as it is."""
    if gid is not None:
        os.setgroups([gid])
        os.setresgid(gid, gid, gid)
    if uid is not None:
        os.setresuid(uid, uid, uid)


def lock(layout: Layout, name: str) -> int:
    """Hold `var/run/.NAME.lock` as long as the descriptor lives; AlreadyRunning."""
    path = layout.run_dir / f".{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(f"another {name} runs on {layout.home}") from None
    return descriptor


class PidFile:
    """`var/run/NAME-PID.pid`, holding `PID\\n`, mode 0640."""

    def __init__(self, layout: Layout, name: str) -> None:
        self.path = layout.pid_file(name, os.getpid())

    def write(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            os.fchmod(descriptor, 0o640)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


class Background:
    """Leaves the terminal; the process that was started stays until the daemon is ready, so its exit status is true."""

    def __init__(self) -> None:
        self._ready_write = -1

    def detach(self) -> None:
        """Double fork.  The caller's process waits for `ready()` and exits 0, or exits as the daemon died."""
        reading, self._ready_write = os.pipe2(os.O_CLOEXEC)
        if (child := os.fork()) > 0:
            os.close(self._ready_write)
            os.waitpid(child, 0)
            with os.fdopen(reading, "rb") as pipe:
                os._exit(0 if pipe.read().startswith(READY) else 1)
        os.close(reading)
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        os.chdir("/")

    def ready(self) -> None:
        """Let go of the terminal: the daemon works from here on."""
        if self._ready_write < 0:
            return
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)
        os.write(self._ready_write, READY)
        os.close(self._ready_write)
        self._ready_write = -1


def notify(state: str) -> None:
    """Tell systemd (`READY=1`, `STOPPING=1`, `RELOADING=1`); nothing where nobody asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        try:
            out.sendto(state.encode(), address)
        except OSError:
            pass


def write_atomically(path: Path, content: bytes, mode: int = 0o640) -> None:
    """Replace `path` in one step; a reader sees the old or the new content, never a part.  Not synced to disk.

    Nobody else's file is written through a link planted at the temporary name.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
