"""The processes that the collector starts (part of the shell): commands, and journalctl."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
from collections.abc import Callable

from ossec.daemon import Loop, Timer
from ossec.logcollector import journal
from ossec.logcollector.commands import Command
from ossec.logcollector.journal import BadEntry, ExportParser, Journal, cursor_of

log = logging.getLogger("ossec.logcollector")

READ_SIZE = 64 * 1024
CURSOR_PATIENCE = 10.0  # seconds that journalctl may take to name its newest entry
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a journalctl that ended is started again
QUICK = 5.0  # seconds: a journalctl that ends sooner did not understand its options
MAX_COMPLAINT = 4096  # bytes of journalctl's stderr
PR_SET_PDEATHSIG = 1

HandOver = Callable[[list[bytes], Callable[[], None] | None], None]  # datagrams, and what to do once they are sent

_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Inputs:
    """Descriptors to read from, all of which pause while the queue is behind."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._paused = False

    def add(self, descriptor: int, callback: Callable[[], None]) -> None:
        self._callbacks[descriptor] = callback
        if not self._paused:
            self._loop.on_readable(descriptor, callback)

    def remove(self, descriptor: int, callback: Callable[[], None] | None = None) -> None:
        """Stop reading.  With `callback`: unless the number belongs to another descriptor by now."""
        known = self._callbacks.get(descriptor)
        if known is not None and callback in (None, known):
            del self._callbacks[descriptor]
            self._loop.forget(descriptor)

    def pause(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        for descriptor, callback in self._callbacks.items():
            if paused:
                self._loop.forget_readable(descriptor)
            else:
                self._loop.on_readable(descriptor, callback)


class CommandRun:
    """One run of a command, in a session of its own, until its output ends or its time is over."""

    def __init__(
        self, command: Command, loop: Loop, inputs: Inputs, hand_over: HandOver, on_end: Callable[[CommandRun], None]
    ) -> None:
        """OSError where no process can be started."""
        self.command = command
        self._inputs = inputs
        self._hand_over = hand_over
        self._on_end = on_end
        self._output = command.begin(loop.now())
        self._timer: Timer | None = None
        try:
            self.process = subprocess.Popen(
                [b"sh", b"-c", command.source.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError:
            command.ended()
            raise
        assert self.process.stdout is not None
        self._descriptor = self.process.stdout.fileno()
        os.set_blocking(self._descriptor, False)
        inputs.add(self._descriptor, self._read)

    def limit(self, loop: Loop, seconds: float) -> None:
        self._timer = loop.call_later(seconds, lambda: self._overdue(seconds))

    def _overdue(self, seconds: float) -> None:
        shown = self.command.source.command.decode("utf-8", "surrogateescape")
        log.warning("The command '%s' took longer than %d seconds and was ended.", shown, seconds)
        self.kill()
        self._finish()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._finish()
            return
        datagrams = self._output.feed(data)
        if datagrams:
            self._hand_over(datagrams, None)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._inputs.remove(self._descriptor)
        if self.process.stdout is not None:
            self.process.stdout.close()
        datagrams = self._output.finish()
        if datagrams:
            self._hand_over(datagrams, None)
        self.command.ended()
        self._on_end(self)

    def kill(self) -> None:
        """The command and everything that it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


class JournalReader:
    """journalctl as a child, started again when it ends; after each batch its cursor is kept."""

    def __init__(
        self,
        wanted: Journal,
        loop: Loop,
        inputs: Inputs,
        hand_over: HandOver,
        keep: Callable[[bytes], None],
        cursor: bytes | None,
        directory: str | None = None,
    ) -> None:
        """`directory`: of the journal files; None for the machine's own.  `cursor`: after which entry to begin."""
        self._journal = wanted
        self._loop = loop
        self._inputs = inputs
        self._hand_over = hand_over
        self._keep = keep
        self._directory = directory
        self._parser = ExportParser()
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: Timer | None = None
        self._started = 0.0
        self._pause = SHORTEST_PAUSE
        self._narrow = True
        self._complained = False
        self.cursor = cursor

    def start(self) -> None:
        """Without a cursor: fix the place first, so that nothing from now on is missed."""
        if self.cursor is None:
            self.cursor = self._newest()
            if self.cursor is not None:
                self._keep(self.cursor)
        self._spawn()

    def _newest(self) -> bytes | None:
        command = journal.last_entry_command(self._directory)
        try:
            run = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CURSOR_PATIENCE, check=False
            )
            entries = ExportParser().feed(run.stdout)
        except (OSError, subprocess.TimeoutExpired, BadEntry):
            return None
        return cursor_of(entries[-1]) if entries else None

    def _spawn(self) -> None:
        self._timer = None
        command = journal.follow_command(self._directory, self._journal.identifiers, self.cursor, self._narrow)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                preexec_fn=_die_with_parent,
            )
        except FileNotFoundError:
            log.error("The journal is not followed: there is no %s on this machine.", journal.PROGRAM)
            return
        except OSError as error:
            self._complain(error.strerror or str(error))
            self._again()
            return
        self._started = self._loop.now()
        self._parser = ExportParser()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        os.set_blocking(self._process.stderr.fileno(), False)
        self._inputs.add(self._process.stdout.fileno(), self._read)

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            data = os.read(self._process.stdout.fileno(), READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            if not data:
                self._ended()
            else:
                self._take(data)
        except BadEntry as error:
            log.warning("%s: %s. It is started again.", journal.PROGRAM, error)
            self._ended()

    def _take(self, data: bytes) -> None:
        datagrams: list[bytes] = []
        cursor = None
        for entry in self._parser.feed(data):
            datagrams += self._journal.datagrams(entry)
            cursor = cursor_of(entry) or cursor
        if cursor is None:
            return
        self.cursor = cursor
        self._pause = SHORTEST_PAUSE
        self._complained = False
        self._hand_over(datagrams, lambda: self._keep(cursor))

    def _ended(self) -> None:
        process = self._stop()
        if process is None:
            return
        reason = _last_words(process)
        if self._loop.now() - self._started < QUICK and self._narrow and process.returncode and "option" in reason:
            self._narrow = False  # an old journalctl
        else:
            self._complain(reason or f"status {process.returncode}")
        self._again()

    def _again(self) -> None:
        self._timer = self._loop.call_later(self._pause, self._spawn)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _complain(self, reason: str) -> None:
        if not self._complained:
            self._complained = True
            log.warning("%s ended (%s). It is started again.", journal.PROGRAM, reason)

    def _stop(self) -> subprocess.Popen[bytes] | None:
        process, self._process = self._process, None
        if process is None or process.stdout is None:
            return None
        self._inputs.remove(process.stdout.fileno())
        process.stdout.close()
        process.kill()
        process.wait()
        return process

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        process = self._stop()
        if process is not None and process.stderr is not None:
            process.stderr.close()


def _last_words(process: subprocess.Popen[bytes]) -> str:
    """The last line that a process wrote to stderr."""
    if process.stderr is None:
        return ""
    try:
        text = os.read(process.stderr.fileno(), MAX_COMPLAINT)
    except OSError:
        text = b""
    process.stderr.close()
    lines = text.decode("utf-8", "surrogateescape").strip().splitlines()
    return lines[-1] if lines else ""
