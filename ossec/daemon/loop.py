"""One epoll loop: readable and writable descriptors, timers, and a way in for other threads.

One turn is: wait, run what is due, then the `after_turn` callbacks, once each.  A shell that batches (one write, one
fsync for all that a turn brought) does it there.  A callback that raises ends the loop: our own bugs reach the top.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import time
from collections import deque
from collections.abc import Callable

Callback = Callable[[], None]
MAX_READY = 64  # descriptors served in one turn; the rest are reported again by the next wait


class Timer:
    """A call in the future.  `cancel()` is idempotent."""

    __slots__ = ("callback", "cancelled", "deadline", "interval")

    def __init__(self, deadline: float, callback: Callback, interval: float | None) -> None:
        self.deadline = deadline
        self.callback = callback
        self.interval = interval
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Waits on everything at once.  Times are seconds of `time.monotonic()`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._soon: deque[Callback] = deque()
        self._after_turn: list[Callback] = []
        self._running = False
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.on_readable(self._wakeup, self._drain_wakeup)

    def now(self) -> float:
        return time.monotonic()

    # descriptors
    def on_readable(self, fd: int, callback: Callback) -> None:
        """Call back in every turn in which `fd` can be read (level-triggered)."""
        self._readers[fd] = callback
        self._register(fd)

    def on_writable(self, fd: int, callback: Callback) -> None:
        self._writers[fd] = callback
        self._register(fd)

    def forget_writable(self, fd: int) -> None:
        if self._writers.pop(fd, None) is not None:
            self._register(fd)

    def forget_readable(self, fd: int) -> None:
        if self._readers.pop(fd, None) is not None:
            self._register(fd)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`; to be called before it is closed.  Unknown ones are fine."""
        self._readers.pop(fd, None)
        self._writers.pop(fd, None)
        self._register(fd)

    def _register(self, fd: int) -> None:
        mask = (select.EPOLLIN if fd in self._readers else 0) | (select.EPOLLOUT if fd in self._writers else 0)
        try:
            if mask:
                try:
                    self._epoll.modify(fd, mask)
                except FileNotFoundError:
                    self._epoll.register(fd, mask)
            else:
                self._epoll.unregister(fd)
        except (FileNotFoundError, ValueError):
            pass
        except OSError:
            if mask:
                raise

    # time
    def call_at(self, deadline: float, callback: Callback) -> Timer:
        return self._schedule(Timer(deadline, callback, None))

    def call_later(self, seconds: float, callback: Callback) -> Timer:
        return self._schedule(Timer(self.now() + seconds, callback, None))

    def call_every(self, seconds: float, callback: Callback) -> Timer:
        """The first call comes after `seconds`; late turns do not pile up."""
        return self._schedule(Timer(self.now() + seconds, callback, seconds))

    def _schedule(self, timer: Timer) -> Timer:
        heapq.heappush(self._timers, (timer.deadline, next(self._order), timer))
        return timer

    def call_soon(self, callback: Callback) -> None:
        """In the next turn, which then does not wait.  Safe from signal handlers and, with `wake`, from threads."""
        self._soon.append(callback)

    def call_from_thread(self, callback: Callback) -> None:
        self._soon.append(callback)
        self.wake()

    def after_turn(self, callback: Callback) -> None:
        """At the end of every turn, in order of registration."""
        self._after_turn.append(callback)

    def wake(self) -> None:
        """End the wait, from any thread or signal handler."""
        os.eventfd_write(self._wakeup, 1)

    def _drain_wakeup(self) -> None:
        try:
            os.eventfd_read(self._wakeup)
        except BlockingIOError:
            pass

    # running
    def run(self) -> None:
        """Turn until `stop()`."""
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        self._running = False
        self.wake()

    def turn(self, longest: float | None = None) -> None:
        """One wait (at most `longest` seconds) and everything that it brought."""
        timeout = self._patience(longest)
        try:
            ready = self._epoll.poll(timeout, MAX_READY)
        except InterruptedError:
            ready = []
        for fd, events in ready:
            if events & ~select.EPOLLOUT:
                reader = self._readers.get(fd)
                if reader is not None:
                    reader()
                elif fd not in self._writers:
                    continue
            if events & ~select.EPOLLIN:
                writer = self._writers.get(fd)
                if writer is not None:
                    writer()
        for _ in range(len(self._soon)):
            self._soon.popleft()()
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.cancelled:
                continue
            if timer.interval is not None:
                timer.deadline = max(timer.deadline + timer.interval, now)
                self._schedule(timer)
            timer.callback()
        for callback in self._after_turn:
            callback()

    def _patience(self, longest: float | None) -> float:
        if self._soon:
            return 0.0
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        if not self._timers:
            return -1.0 if longest is None else longest
        patience = max(0.0, self._timers[0][0] - self.now())
        return patience if longest is None else min(patience, longest)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._wakeup)
