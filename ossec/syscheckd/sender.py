"""The way out: datagrams to the queue, in order, none dropped (part of the shell).

The policy when the queue is full or gone: we wait.  What was handed in and cannot go is held, and nothing more is
looked at until it has gone (`free`), so what is held is what one batch of files brought.  On an agent without a server
the file `queue/ossec/.wait` stops us the same way.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ossec.daemon import Loop, Timer, code, plain
from ossec.queues import Delivery, Outbox

log = logging.getLogger("ossec.syscheckd")

FIRST_RETRY, LAST_RETRY = 0.05, 1.0  # seconds between two attempts to reach a reader that went away
LOCK_INTERVAL = 0.5  # seconds between two looks at the lock
LONG_ABSENCE = 33.0  # seconds without a reader after which OSSEC gives up, and we say so


class Sender:
    """`on_free` is called when what was held has gone."""

    def __init__(self, loop: Loop, outbox: Outbox, lock: Path, on_free: Callable[[], None]) -> None:
        self._loop = loop
        self._outbox = outbox
        self._lock = lock
        self._on_free = on_free
        self._held: deque[bytes] = deque()
        self._timer: Timer | None = None
        self._awaited = -1  # the descriptor that is to become writable
        self._locked = False
        self._lock_seen = -LOCK_INTERVAL
        self._absent_since: float | None = None
        self._pause = FIRST_RETRY
        self._said_long = False
        self._was_connected = False
        self.messages = 0  # sent so far

    def connect(self) -> None:
        self._was_connected = self._outbox.connect()
        if not self._was_connected:
            log.info("Waiting for the queue '%s'.", self._outbox.path)

    @property
    def free(self) -> bool:
        """Whether all that was handed in has gone."""
        return not self._held

    def send(self, datagrams: list[bytes]) -> None:
        """After all that was handed in before."""
        if self._held:
            self._held += datagrams
        elif datagrams:
            self._held += datagrams[self._try(datagrams) :]

    def _try(self, datagrams: list[bytes]) -> int:
        """How many went."""
        if self._is_locked():
            return 0
        count, delivery = self._outbox.send_many(datagrams)
        self.messages += count
        if delivery is Delivery.SENT:
            self._found_reader()
        elif delivery is Delivery.FULL:
            self._found_reader()
            self._awaited = self._outbox.fileno()
            self._loop.on_writable(self._awaited, self._has_room)
        else:
            self._lost_reader()
        return count

    def _is_locked(self) -> bool:
        now = self._loop.now()
        if now - self._lock_seen < LOCK_INTERVAL and not self._locked:
            return False
        self._lock_seen = now
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

    def _has_room(self) -> None:
        self._loop.forget(self._awaited)
        self._go_on()

    def _retry_after(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self._go_on()

    def _go_on(self) -> None:
        held = list(self._held)
        sent = self._try(held)
        self._held = deque(held[sent:])
        if not self._held:
            self._on_free()

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
