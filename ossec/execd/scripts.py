"""Running scripts: no shell, a session of its own, nothing of ours inherited; its end is noticed at once."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from ossec.daemon import Loop
from ossec.execd import fields
from ossec.execd.effects import Outcome, Run

MAX_SAID = 1024  # bytes from the end of a script's stderr that are kept
MAX_STDERR = 1024 * 1024  # bytes of stderr that may lie in memory; looked at every TRIM seconds while scripts run
TRIM = 5.0
RESET = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}  # a script ignores nothing that it has not chosen to
NOT_PASSED_ON = (b"NOTIFY_SOCKET", b"LISTEN_FDS", b"LISTEN_PID", b"WATCHDOG_USEC", b"WATCHDOG_PID")

log = logging.getLogger("ossec.execd")


class _Child:
    __slots__ = ("pid", "pidfd", "stderr")

    def __init__(self, pid: int, pidfd: int, stderr: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.stderr = stderr


class Scripts:
    """The scripts that run now.

    Standard input is a file in memory with one line of JSON, standard output is /dev/null as with OSSEC.  Standard
    error is a file in memory too, not a pipe: a script that outlives us (restart-ossec.sh ends us) must not die of it.
    """

    def __init__(self, loop: Loop, home: bytes, ended: Callable[[int, Outcome], None]) -> None:
        self._loop = loop
        self._home = home
        self._ended = ended
        self._children: dict[int, _Child] = {}
        self._base = {
            key: value
            for key, value in os.environb.items()
            if key not in NOT_PASSED_ON and not key.startswith(fields.PREFIX.encode())
        }
        self._null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self._trimming = loop.call_every(TRIM, self._trim)
        self.started = 0
        _keep_to_ourselves()

    def start(self, run: Run) -> Outcome | None:
        """Start the script; the Outcome when it cannot be."""
        stdin = stderr = -1
        try:
            stdin, stderr = (
                os.memfd_create("ar-input"),
                os.memfd_create("ar-stderr", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING),
            )
            facts = fields.fields_of(run, self._home)
            os.write(stdin, fields.encode(facts, run.argv))
            os.lseek(stdin, 0, os.SEEK_SET)
            pid = os.posix_spawn(
                run.script,
                run.argv,
                self._base | fields.environment(facts),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, stdin, 0),
                    (os.POSIX_SPAWN_DUP2, self._null, 1),
                    (os.POSIX_SPAWN_DUP2, stderr, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=RESET,
            )
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            if stderr >= 0:
                os.close(stderr)
            return Outcome(errno=error.errno or errno.EIO)
        finally:
            if stdin >= 0:
                os.close(stdin)
        self.started += 1
        self._children[run.id] = _Child(pid, pidfd, stderr)
        self._loop.on_readable(pidfd, lambda: self._reap(run.id))
        return None

    def kill(self, number: int, hard: bool) -> None:
        """Signal the script and all that it started in its process group."""
        child = self._children.get(number)
        if child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL if hard else signal.SIGTERM)

    def _reap(self, number: int) -> None:
        child = self._children.pop(number)
        self._loop.forget(child.pidfd)
        result = os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED)
        os.close(child.pidfd)
        said = _tail(child.stderr)
        # What it left in the background may go on, but not fill the memory.
        with contextlib.suppress(OSError):
            fcntl.fcntl(child.stderr, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        os.close(child.stderr)
        if result is None:
            outcome = Outcome(said=said)
        elif result.si_code == os.CLD_EXITED:
            outcome = Outcome(status=result.si_status, said=said)
        else:
            outcome = Outcome(signal=result.si_status, said=said)
        self._ended(number, outcome)

    def _trim(self) -> None:
        for child in self._children.values():
            if os.fstat(child.stderr).st_blocks * 512 > MAX_STDERR:
                os.ftruncate(child.stderr, 0)


def _tail(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, MAX_SAID, max(0, size - MAX_SAID)).replace(b"\0", b"").strip()


def _keep_to_ourselves() -> None:
    """Whatever descriptors we were started with are not for the scripts."""
    for name in Path("/proc/self/fd").iterdir():
        if int(name.name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name.name), False)
