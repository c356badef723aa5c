"""Hands responses to execd and remoted: in order, again when they come back, none dropped below a bound.

What cannot be sent waits, in memory and in a spool file (datagrams, each closed by its NUL), so that it outlives us.
Every new response and a timer try again; `Outbox` finds a reader that was restarted.  After a crash the spool may hold
what was already sent: execd takes the same response twice for one.
"""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

from ossec.daemon import code, plain
from ossec.daemon.loop import Loop, Timer
from ossec.messages import execq
from ossec.queues import Delivery, Outbox

log = logging.getLogger("ossec.analysisd.responses")

MAX_WAITING = 10_000  # responses for one reader, 10 MB at most; an hour of a storm
RETRY = 0.5  # seconds between attempts while something waits
CONNECT_RETRY = 2.0  # ... while nobody listens and nothing waits


class ResponseQueue:
    """One of `queue/alerts/execq` and `queue/alerts/ar`.  `shown` is its name below home, `what` its function."""

    def __init__(self, path: Path, spool: Path, shown: str, what: str, loop: Loop) -> None:
        self._outbox = Outbox(path)
        self._spool = spool
        self._shown = shown
        self._what = what
        self._loop = loop
        self._waiting: deque[bytes] = deque()
        self._timer: Timer | None = None
        self._told = False
        self.sent = 0
        self.lost = 0

    def recover(self) -> None:
        """Take up what an earlier process could not hand over."""
        try:
            with self._spool.open("rb") as file:
                kept = file.read(MAX_WAITING * (execq.MAX_SENT + 1))
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("%s cannot be read: %s", self._spool, error.strerror)
            return
        self._waiting.extend(part + b"\0" for part in kept.split(b"\0")[:-1][:MAX_WAITING])
        if self._waiting:
            log.info("%d responses for '%s' had waited since before the start.", len(self._waiting), self._shown)
            self._told = True
            self.flush()

    def connect(self) -> None:
        """Say so when somebody listens; else ask again later, in silence."""
        if self._outbox.connect():
            log.info("Connected to '%s' (%s)", self._shown, self._what)
        else:
            self._loop.call_later(CONNECT_RETRY, self._connect_later)

    def _connect_later(self) -> None:
        if not self._outbox.connected:
            self.connect()

    def send(self, datagram: bytes) -> None:
        """Send, or keep until it can be sent."""
        if self._waiting:
            self._wait(datagram)
            self.flush()
            return
        if self._outbox.send(datagram) is Delivery.SENT:
            self.sent += 1
        else:
            self._wait(datagram)

    def flush(self) -> None:
        """Try to send what waits."""
        waiting = self._waiting
        while waiting:
            if self._outbox.send(waiting[0]) is not Delivery.SENT:
                self._retry_later()
                return
            waiting.popleft()
            self.sent += 1
        self._forget_spool()
        if self._told:
            self._told = False
            log.info("Connected to '%s' (%s): all that waited is sent, %d lost.", self._shown, self._what, self.lost)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def _wait(self, datagram: bytes) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self.lost += 1
            return
        self._waiting.append(datagram)
        try:
            with self._spool.open("ab") as out:
                out.write(datagram)
        except OSError as error:
            log.error("%s cannot be written, so what waits would not outlive a stop: %s", self._spool, error.strerror)
        if not self._told:
            self._told = True
            reason = self._outbox.error
            text = reason.strerror if reason is not None else "queue full"
            log.error("Queue '%s' not accessible: '%s'.", self._shown, text, extra=code(1210))
            log.error("Responses for it wait, up to %d.", MAX_WAITING, extra=plain)
        self._retry_later()

    def _forget_spool(self) -> None:
        try:
            self._spool.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s cannot be removed: %s", self._spool, error.strerror)

    def _retry_later(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(RETRY, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self.flush()

    def close(self) -> None:
        """A last attempt; what still waits is told."""
        if self._waiting:
            self.flush()
        if self._waiting:
            log.warning("%d responses for '%s' wait for the next start.", len(self._waiting), self._shown)
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.close()
