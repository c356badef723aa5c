"""A syscheckd in this process, on a tree of its own: the loop is turned until what a test waits for has come."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ossec.config.internal import InternalOptions
from ossec.daemon import Context, Loop, Options
from ossec.daemon.log import LineFormatter
from ossec.layout import Layout
from ossec.queues import Inbox
from ossec.syscheckd.daemon import Syscheckd
from tests.support import PATIENCE, make_bare_home

STOPPED = "ossec-syscheckd(1225): INFO: SIGNAL [(15)-(Terminated)] Received. Exit Cleaning..."


class LogLines(logging.Handler):
    """What ossec.log would say, without the time."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter("ossec-syscheckd", dated=False))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Host:
    """`root` holds what is watched, `layout` the home.  Use it in a `with`."""

    def __init__(self, folder: Path, conf: str, **options: int) -> None:
        self.root = folder / "r"
        self.root.mkdir(exist_ok=True)
        self.layout: Layout = make_bare_home(folder / "home")
        self.layout.ossec_conf.write_text(conf)
        values = {"syscheck.sleep": 0, **{name.replace("__", "."): value for name, value in options.items()}}
        self.layout.local_internal_options.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        self.messages: list[bytes] = []  # without their NUL
        self._taken = 0
        self.log = LogLines()
        self.inbox: Inbox | None = Inbox(self.layout.event_queue)
        self.daemon: Syscheckd | None = None

    def __enter__(self) -> Host:
        root = logging.getLogger("ossec")
        self._level, self._propagates = root.level, root.propagate
        root.addHandler(self.log)
        root.setLevel(logging.INFO)
        root.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger("ossec")
        root.removeHandler(self.log)
        root.setLevel(self._level)
        root.propagate = self._propagates
        if self.daemon is not None:
            self.stop()
        if self.inbox is not None:
            self.inbox.close()

    # the daemon's life, as the skeleton leads it
    def context(self) -> Context:
        context = Context(self.layout, Options(), Loop(), Syscheckd.name)
        context._internal = InternalOptions.load(self.layout, Syscheckd.name, quiet=True)
        return context

    def start(self) -> Syscheckd:
        """OSSEC's log line included; a ConfigError for what it refuses."""
        where = Path.cwd()
        self.daemon = Syscheckd(self.context())
        self.daemon.open()
        os.chdir(where)
        logging.getLogger("ossec").info("Started (pid: %d).", os.getpid())
        return self.daemon

    def stop(self) -> None:
        assert self.daemon is not None
        self.receive()
        self.daemon.close()
        self.receive()
        self.daemon.loop.close()
        self.daemon = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """As SIGKILL ends it: nothing is committed, nothing handed over."""
        assert self.daemon is not None
        for worker in self.daemon.workers:
            worker.close()
        self.daemon.baseline.rollback()
        self.daemon.baseline.close()
        self.daemon.sender.close()
        self.daemon.loop.close()
        self.daemon = None

    # turning
    def turn(self, longest: float = 0.02) -> None:
        assert self.daemon is not None
        self.daemon.loop.turn(longest)
        self.receive()

    def receive(self) -> None:
        if self.inbox is not None:
            self.messages += [datagram.rstrip(b"\0") for datagram in self.inbox.receive(10_000)]

    def turn_until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited in vain for {what}; messages: {self.messages}; log: {self.log.lines}")
            self.turn()

    def wait_for(self, message: bytes) -> None:
        """A message that holds these bytes."""
        self.turn_until(lambda: any(message in one for one in self.messages), repr(message))

    def scans(self) -> int:
        """That have ended, as the messages tell."""
        return self.messages.count(b"8:syscheck:syscheck-db-completed")

    def wait_for_scan(self, number: int) -> None:
        """The end of the scan of this number; from the second on it is asked for."""
        if number > 1 and self.scans() < number:
            self.layout.syscheck_run_file.write_text("")
        self.turn_until(lambda: self.scans() >= number, f"scan {number}")

    def settle(self) -> None:
        """Until all that the kernel told has been looked at (a mark in the watched folder comes back last)."""
        self.turn_until(self._is_settled, "quiet")

    def _is_settled(self) -> bool:
        assert self.daemon is not None
        live = self.daemon.live
        return live is None or (live.waiting == 0 and all(not worker.waiting for worker in self.daemon.workers))

    def take(self) -> list[bytes]:
        """The messages since the last call."""
        messages, self._taken = self.messages[self._taken :], len(self.messages)
        return messages

    def close_queue(self) -> None:
        assert self.inbox is not None
        self.receive()
        self.inbox.close()
        self.inbox = None

    def open_queue(self) -> None:
        self.inbox = Inbox(self.layout.event_queue)


def listen(path: Path) -> socket.socket:
    """A plain reader of a queue."""
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    reader.bind(str(path))
    return reader
