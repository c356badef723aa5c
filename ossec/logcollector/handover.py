"""Handing datagrams over, one batch after the other (part of the shell).

The queue's policy here: the collector waits, the files keep.  A datagram that could not be sent is sent first when the
reader is back or has room; until then nothing is read, so nothing is skipped.  On an agent without a server the file
`queue/ossec/.wait` stops us the same way.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ossec.daemon import Loop, Timer, code, plain
from ossec.queues import Delivery, Outbox

log = logging.getLogger("ossec.logcollector")

SLICE = 0.05  # seconds of work before the loop may look at signals and timers again
LOCK_INTERVAL = 1.0  # seconds between two looks at the lock
FIRST_RETRY, LAST_RETRY = 0.05, 1.0  # seconds between two attempts to reach a reader that went away
LONG_ABSENCE = 33.0  # seconds without a reader after which OSSEC gives up, and we say so

Done = Callable[[], None]


class Parcel(NamedTuple):
    """Datagrams in order, and what to do once all of them are sent."""

    datagrams: list[bytes]
    done: Done | None = None


Work = Iterator[Parcel]


class HandOver:
    """Takes work piece by piece; asks for the next piece only when the one before has been sent."""

    def __init__(self, loop: Loop, outbox: Outbox, lock: Path, on_blocked: Callable[[bool], None]) -> None:
        """`on_blocked` is told when sending stops (True) and goes on (False)."""
        self._loop = loop
        self._outbox = outbox
        self._lock = lock
        self._on_blocked = on_blocked
        self._work: deque[Work] = deque()
        self._parcel: Parcel | None = None
        self._sent = 0  # datagrams of the parcel
        self._blocked = False
        self._locked = False
        self._scheduled = False
        self._timer: Timer | None = None
        self._awaited = -1  # the descriptor that is to become writable
        self._absent_since: float | None = None
        self._pause = FIRST_RETRY
        self._said_long = False
        self._was_connected = False
        self.messages = 0  # sent so far

    def connect(self) -> None:
        """Try at once, so that the first line need not."""
        self._was_connected = self._outbox.connect()
        if not self._was_connected:
            log.info("Waiting for the queue '%s'.", self._outbox.path)

    @property
    def idle(self) -> bool:
        return self._parcel is None and not self._work

    def add(self, work: Work) -> None:
        """After all that was added before."""
        self._work.append(work)
        self._schedule()

    def add_parcel(self, datagrams: list[bytes], done: Done | None) -> None:
        self.add(iter((Parcel(datagrams, done),)))

    def _schedule(self) -> None:
        if not self._scheduled and not self._blocked:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if not self._blocked:
            self.run(self._loop.now() + SLICE)
            if not self.idle:
                self._schedule()

    def run(self, deadline: float) -> None:
        """Work until there is none, the reader is behind, or the deadline has passed."""
        while self._loop.now() < deadline:
            if self._parcel is None:
                parcel = self._next()
                if parcel is None:
                    return
                self._parcel, self._sent = parcel, 0
            if not self._send(self._parcel):
                return
            done, self._parcel = self._parcel.done, None
            if done is not None:
                done()

    def _next(self) -> Parcel | None:
        while self._work:
            parcel = next(self._work[0], None)
            if parcel is not None:
                return parcel
            self._work.popleft()
        return None

    def _send(self, parcel: Parcel) -> bool:
        """False when it must wait."""
        if not parcel.datagrams:
            return True
        if self._is_locked():
            return False
        rest = parcel.datagrams[self._sent :] if self._sent else parcel.datagrams
        count, delivery = self._outbox.send_many(rest)
        self._sent += count
        self.messages += count
        if delivery is Delivery.SENT:
            self._found_reader()
            self._unblock()
            return True
        if delivery is Delivery.FULL:
            self._found_reader()
            self._block()
            self._awaited = self._outbox.fileno()
            self._loop.on_writable(self._awaited, self._has_room)
        else:
            self._lost_reader()
        return False

    # waiting
    def _block(self) -> None:
        if not self._blocked:
            self._blocked = True
            self._on_blocked(True)

    def _unblock(self) -> None:
        if self._blocked:
            self._blocked = False
            self._on_blocked(False)

    def _retry(self) -> None:
        self._timer = None
        self._blocked_turn()

    def _has_room(self) -> None:
        self._loop.forget(self._awaited)
        self._blocked_turn()

    def _blocked_turn(self) -> None:
        """Try again what waits; if it goes, so does the rest."""
        self.run(self._loop.now() + SLICE)
        if not self._blocked and not self.idle:
            self._schedule()

    def _retry_after(self, seconds: float) -> None:
        self._block()
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._retry)

    def _is_locked(self) -> bool:
        if not self._lock.exists():
            if self._locked:
                self._locked = False
                log.info("Lock free. Continuing...")
            return False
        if not self._locked:
            self._locked = True
            log.warning("Process locked. Waiting for permission...")
        self._retry_after(LOCK_INTERVAL)
        return True

    def _lost_reader(self) -> None:
        now = self._loop.now()
        if self._absent_since is None:
            self._absent_since = now
            self._pause = FIRST_RETRY
            if self._was_connected:
                log.warning("socketerr (not available).", extra=plain)
                log.error("Error sending message to queue.", extra=code(1224))
        elif now - self._absent_since > LONG_ABSENCE and not self._said_long:
            self._said_long = True
            error = self._outbox.error
            reason = "Queue not found" if error is None or error.errno == 2 else error.strerror
            log.error("Queue '%s' not accessible: '%s'.", self._outbox.path, reason, extra=code(1210))
        self._retry_after(self._pause)
        self._pause = min(self._pause * 2, LAST_RETRY)

    def _found_reader(self) -> None:
        if self._absent_since is not None:
            if self._was_connected:
                log.info("The queue is back; nothing was lost.")
            self._absent_since = None
            self._said_long = False
        self._was_connected = True

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.forget(self._awaited)
        self._outbox.close()
