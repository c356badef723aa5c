"""Real time: from what the kernel tells to files that are looked at (part of the shell).

A worker of its own, so that events are served while a scan runs.  What comes with a new folder is found by walking it,
after its watch is set; what goes with one is what is known below it.  When events were lost everything in real time is
looked at.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator

from ossec.daemon import Loop, Timer
from ossec.syscheckd.baseline import Baseline
from ossec.syscheckd.entries import Policy
from ossec.syscheckd.lane import BATCH_FILES, Batcher, Lane
from ossec.syscheckd.ledger import Item
from ossec.syscheckd.realtime import Pending
from ossec.syscheckd.walk import Walker
from ossec.syscheckd.watches import Watches

log = logging.getLogger("ossec.syscheckd")

SLICE = 0.05  # seconds of work before the loop may look at other things
MAX_TREES = 10_000  # folders that wait to be walked; beyond it everything is


class Live:
    """Listens to `watches` (its own) and looks at what they tell."""

    def __init__(self, loop: Loop, policy: Policy, baseline: Baseline, lane: Lane, free: Callable[[], bool]) -> None:
        """OSError where the kernel grants no inotify instance.  `free`: may we send?"""
        self._loop = loop
        self._policy = policy
        self._baseline = baseline
        self._lane = lane
        self._free = free
        self._pending = Pending()
        self._trees: deque[Iterator[Item | None]] = deque()
        self._batcher: Batcher | None = None
        self._timer: Timer | None = None
        self._scheduled = False
        self._lost = False
        self.watches = Watches(loop, self)

    @property
    def waiting(self) -> int:
        """Paths with events that were not looked at yet."""
        return len(self._pending)

    def start(self) -> None:
        """Watch for the entries' own names; folders are added as they are entered."""
        for entry in self._policy.entries:
            if entry.realtime:
                self.watches.add_name(entry.bare, is_folder=True)

    def enter(self, folder: bytes) -> None:
        """A walk is about to read this folder (or what turns out to be a file)."""
        if self._policy.realtime_entry(folder) is not None:
            self.watches.add(folder)
            if any(entry.bare == folder for entry in self._policy.entries):
                self.watches.add_name(folder, is_folder=False)

    # what the watches tell
    def file_changed(self, path: bytes) -> None:
        entry = self._policy.owner(path)
        if entry is not None and entry.realtime:
            self._pending.add(path, self._loop.now())
            if self._pending.lost:
                self._pending.lost = False
                self.events_lost()
            self._plan()

    def look_again(self, path: bytes) -> None:
        """Two looks at a file overlapped."""
        self._pending.add(path, self._loop.now())
        self._plan()

    def folder_came(self, path: bytes) -> None:
        entry = self._policy.realtime_entry(path)
        if entry is not None and (path == entry.bare or not self._policy.ignore.hold(path)):
            walker = Walker(self._policy, quiet=True)
            self._add_tree(Item(name, entry) if name else None for name in walker.walk(entry, self.enter, path))

    def folder_went(self, path: bytes) -> None:
        if self._policy.realtime_entry(path) is not None:
            self._add_tree(self._known_below(path + b"/"))

    def events_lost(self) -> None:
        """Look at everything, once, however often we are told."""
        if self._lost:
            return
        self._lost = True
        log.warning("Real time events were lost; everything that is watched in real time is looked at.")
        self._trees.clear()
        self._trees.append(self._everything())
        self._soon()

    def _everything(self) -> Iterator[Item | None]:
        self._lost = False  # what is lost from here on may be behind us
        walker = Walker(self._policy, quiet=True)
        for entry in self._policy.entries:
            if entry.realtime:
                for name in walker.walk(entry, self.enter):
                    yield Item(name, entry) if name else None
                if entry.number not in walker.unopened:
                    yield from self._known_below(entry.inside)

    def _known_below(self, inside: bytes) -> Iterator[Item | None]:
        for _, path in self._baseline.below(inside):
            entry = self._policy.owner(path)
            yield Item(path, entry) if entry is not None and entry.realtime else None

    def _add_tree(self, tree: Iterator[Item | None]) -> None:
        if len(self._trees) >= MAX_TREES:
            self.events_lost()
            return
        self._trees.append(tree)
        self._soon()

    # looking
    def run(self) -> None:
        """As far as it goes without waiting."""
        deadline = self._loop.now() + SLICE
        while self._free() and self._lane.has_room:
            batch = self._due()
            if not batch:
                if self._batcher is None:
                    if not self._trees:
                        break
                    self._batcher = Batcher(self._trees.popleft())
                batch = self._batcher.fill(BATCH_FILES, lambda: self._loop.now() > deadline) or []
                if self._batcher.exhausted:
                    self._batcher = None
            if batch:
                self._lane.submit(batch, done=self._soon)
            if self._loop.now() > deadline:
                self._soon()
                return
        self._plan()

    def _due(self) -> list[Item]:
        items = []
        for path in self._pending.take(self._loop.now(), BATCH_FILES):
            entry = self._policy.owner(path)
            if entry is not None:
                items.append(Item(path, entry))
        return items

    def _plan(self) -> None:
        """Be called when the next path is due."""
        when = self._pending.next_time()
        if when is None or (self._timer is not None and self._timer.deadline <= when):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.run()

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self.run()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.watches.close()
