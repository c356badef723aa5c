"""The processes that look at files, so that neither a slow disk nor a large file holds up the loop (part of the shell).

A worker is forked, keeps no descriptor but its socket and ends when that socket closes.  Jobs
and answers are marshalled lists, each behind its length.  A worker that dies is replaced and given its jobs again; a
job that killed two is given up.
"""

from __future__ import annotations

import contextlib
import logging
import marshal
import os
import signal
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from ossec.daemon import Loop
from ossec.syscheckd.copies import Copies
from ossec.syscheckd.examine import Examiner, Finding, Request

log = logging.getLogger("ossec.syscheckd")

HEAD = struct.Struct("=I")
MAX_JOBS = 2  # at one worker: the next is there when one is done
MAX_DEATHS = 2  # workers that a job may take with it
RECEIVE_SIZE = 256 * 1024
EXAMINE, FORGET, PRUNE = 0, 1, 2

Findings = list[Finding]
Done = Callable[[Findings | None], None]  # None: given up


class Job:
    """Requests that travel together."""

    __slots__ = ("data", "deaths", "done")

    def __init__(self, kind: int, arguments: list[Any], done: Done) -> None:
        data = marshal.dumps([kind, arguments])
        self.data = HEAD.pack(len(data)) + data
        self.done = done
        self.deaths = 0


class Worker:
    """One process.  Answers come in the order of the jobs."""

    def __init__(self, loop: Loop, examiner: Examiner, copies: Copies, on_free: Callable[[], None]) -> None:
        self._loop = loop
        self._examiner = examiner
        self._copies = copies
        self._on_free = on_free
        self._jobs: deque[Job] = deque()
        self._buffer = bytearray()
        self._closed = False
        self._start()

    @property
    def has_room(self) -> bool:
        return len(self._jobs) < MAX_JOBS

    @property
    def waiting(self) -> int:
        return len(self._jobs)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _live(theirs, self._examiner, self._copies)
            finally:
                os._exit(1)
        theirs.close()
        self._socket = ours
        self._buffer.clear()
        self._loop.on_readable(ours.fileno(), self._receive)

    def examine(self, requests: list[Request], done: Done) -> None:
        self._give(Job(EXAMINE, [tuple(request) for request in requests], done))

    def forget(self, path: bytes) -> None:
        """Remove the copies of a file that is gone."""
        self._give(Job(FORGET, [path], lambda _: None))

    def prune(self, quota: int) -> None:
        self._give(Job(PRUNE, [quota], lambda _: None))

    def _give(self, job: Job) -> None:
        self._jobs.append(job)
        with contextlib.suppress(OSError):  # it died: `_receive` is about to see
            self._socket.sendall(job.data)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except OSError:
            data = b""
        if not data:
            self._replace()
            return
        self._buffer += data
        while len(self._buffer) >= HEAD.size:
            (size,) = HEAD.unpack_from(self._buffer)
            if len(self._buffer) < HEAD.size + size:
                break
            answer = marshal.loads(memoryview(self._buffer)[HEAD.size : HEAD.size + size])
            del self._buffer[: HEAD.size + size]
            self._jobs.popleft().done([Finding(*one) for one in answer])
        if self.has_room and not self._closed:
            self._on_free()

    def _replace(self) -> None:
        """It died: another one takes over what it had not answered."""
        self._forget(0)
        log.error("A process that reads files ended unexpectedly; another one takes over.")
        jobs = list(self._jobs)
        self._jobs.clear()
        self._start()
        if jobs:
            jobs[0].deaths += 1
        for job in jobs:
            if job.deaths >= MAX_DEATHS:
                log.error("Some files are skipped: reading them ended two processes.")
                job.done(None)
            else:
                self._give(job)
        self._on_free()

    def _forget(self, waiting: int) -> None:
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, waiting)

    def close(self) -> None:
        """At once, also when the disk that it reads does not answer."""
        self._closed = True
        self._forget(os.WNOHANG)


def _live(connection: socket.socket, examiner: Examiner, copies: Copies) -> None:
    """The life of a worker."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)  # systemd and a terminal send them to all; the daemon says when to end
    signal.set_wakeup_fd(-1)
    kept = os.dup2(connection.fileno(), 3) if connection.fileno() != 3 else 3
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    with socket.socket(fileno=kept) as own:
        while (data := _read_exactly(own, HEAD.size)) is not None:
            (size,) = HEAD.unpack(data)
            job = _read_exactly(own, size)
            if job is None:
                break
            kind, arguments = marshal.loads(job)
            answer = marshal.dumps([tuple(finding) for finding in _perform(kind, arguments, examiner, copies)])
            own.sendall(HEAD.pack(len(answer)) + answer)
    os._exit(0)


def _perform(kind: int, arguments: list[Any], examiner: Examiner, copies: Copies) -> list[Finding]:
    if kind == EXAMINE:
        return [examiner.examine(Request(*one)) for one in arguments]
    with contextlib.suppress(OSError):  # copies are a help, not a need
        if kind == FORGET:
            copies.forget(arguments[0])
        else:
            copies.prune(arguments[0])
    return []


def _read_exactly(connection: socket.socket, size: int) -> bytes | None:
    """None at the end of the connection."""
    parts = bytearray()
    while len(parts) < size:
        data = connection.recv(size - len(parts))
        if not data:
            return None
        parts += data
    return bytes(parts)
