"""The alert stream on a daemon's loop: inotify tells of new alerts, a timer of the rest (spec/outputs.md, 2.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ossec.alertstream.follower import Entry, Follower
from ossec.daemon.inotify import IN_MODIFY, Inotify
from ossec.daemon.loop import Loop, Timer

log = logging.getLogger("ossec.alertstream")

LOOK = 1.0  # seconds between two looks where inotify says nothing: a new day, a file system without it
SETTLED = 3  # looks in which nothing came, after which what is there is whole

Handler = Callable[[list[Entry]], None]


class AlertStream:
    """Hands what `follower` reads to `handler`, in order.  `pause()` and `resume()` say whether it wants more."""

    def __init__(self, loop: Loop, follower: Follower, handler: Handler) -> None:
        self._loop = loop
        self.follower = follower
        self._handler = handler
        self._paused = False
        self._quiet = 0
        self._scheduled = False
        self._failed = ""
        self._watched: Path | None = None
        self._watch = -1
        self._inotify: Inotify | None = None
        self._timer: Timer | None = None

    def start(self) -> None:
        try:
            self._inotify = Inotify()
            self._loop.on_readable(self._inotify.fileno(), self._on_change)
        except OSError as error:
            log.debug("no inotify (%s): alerts are looked for every %g s", error, LOOK)
        self._timer = self._loop.call_every(LOOK, self._look)
        self._soon()

    def stop(self) -> None:
        if self._inotify is not None:
            self._loop.forget(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None
        if self._timer is not None:
            self._timer.cancel()
        self.follower.close()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._soon()

    def read_now(self) -> None:
        """Everything that is there, at once (a daemon that ends)."""
        while not self._paused and (entries := self._read()):
            self._handler(entries)

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        """One piece; the loop serves others in between."""
        self._scheduled = False
        if self._paused:
            return
        entries = self._read()
        if entries:
            self._quiet = 0
            self._handler(entries)
            self._soon()

    def _look(self) -> None:
        self._quiet += 1
        self._follow_watch()
        self._soon()
        if self._quiet == SETTLED and not self._paused:
            entries = self.follower.settle()
            if entries:
                self._handler(entries)

    def _on_change(self) -> None:
        if self._inotify is not None:
            self._inotify.read()
        self._quiet = 0
        self._soon()

    def _read(self) -> list[Entry]:
        try:
            entries = self.follower.read()
            self._failed = ""
            return entries
        except OSError as error:
            if str(error) != self._failed:
                self._failed = str(error)
                log.error("The alerts cannot be read: %s", error)
            return []

    def _follow_watch(self) -> None:
        path = self.follower.path
        if self._inotify is None or path == self._watched:
            return
        try:
            watch = self._inotify.watch(bytes(path), IN_MODIFY)
        except OSError:
            return  # not there yet; the timer looks
        if self._watch >= 0 and self._watch != watch:
            self._inotify.forget(self._watch)
        self._watched, self._watch = path, watch
