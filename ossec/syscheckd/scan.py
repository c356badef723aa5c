"""One pass over everything that is watched (part of the shell; spec/syscheck.md, 1 and 3).

First every entry is walked and each file looked at.  When the last answer is there, what is known but was not met is
asked for once more: what is gone by then is told, so a scan sees deletions (OSSEC's does not).  An entry that could not
be opened (a disk that is not mounted) deletes nothing.

`syscheck.sleep` and `sleep_after`: a pause of S seconds after the first sleep_after + 1 files, then after every
sleep_after.  Then one batch is under way at a time, so that the pauses mean something.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from ossec.daemon import Loop
from ossec.syscheckd.baseline import Baseline
from ossec.syscheckd.entries import Policy
from ossec.syscheckd.lane import BATCH_FILES, Batcher, Lane
from ossec.syscheckd.ledger import Item, Marks
from ossec.syscheckd.walk import Walker

log = logging.getLogger("ossec.syscheckd")

SLICE = 0.05  # seconds of work before the loop may look at signals and events again
SWEEP_STEP = 512  # known files between two looks at the clock


class Scan:
    """`run()` is called when there may be something to do; `ended` when all is done."""

    def __init__(
        self,
        loop: Loop,
        policy: Policy,
        baseline: Baseline,
        lane: Lane,
        *,
        forward: bool,
        pace: tuple[int, int],
        free: Callable[[], bool],
        entered: Callable[[bytes], None],
        ended: Callable[[], None],
    ) -> None:
        """`forward`: tell every file, not only what differs.  `pace`: (sleep, sleep_after).  `free`: may we send?"""
        self._loop = loop
        self._policy = policy
        self._baseline = baseline
        self._lane = lane
        self._forward = forward
        self._sleep, self._sleep_after = pace
        self._free = free
        self._entered = entered
        self._ended = ended
        self._walker = Walker(policy)
        self._marks = Marks()
        self._batcher = Batcher(self._walk())
        self._sweeping = False
        self._open = 0  # batches of ours that are under way
        self._paused = False
        self._scheduled = False
        self._stopped = False
        self._until_pause = self._sleep_after + 1
        self.files = 0  # looked at

    def _walk(self) -> Iterator[Item | None]:
        for entry in self._policy.entries:
            for path in self._walker.walk(entry, self._entered):
                yield Item(path, entry, final=False) if path else None

    def _sweep(self) -> Iterator[Item | None]:
        """What is known and was not met; what nobody asks for any more is forgotten in silence."""
        unopened = self._walker.unopened
        for number, (row, path) in enumerate(self._baseline.below()):
            if number % SWEEP_STEP == 0:
                yield None
            if row in self._marks:
                continue
            entry = self._policy.owner(path)
            if entry is None:
                self._baseline.remove(path)
            elif entry.number not in unopened:
                yield Item(path, entry)

    def run(self) -> None:
        """As far as it goes without waiting."""
        deadline = self._loop.now() + SLICE
        while not self._stopped and not self._paused and self._free() and self._lane.has_room:
            if self._sleep and self._open:
                return
            batch = self._batcher.fill(self._limit(), lambda: self._loop.now() > deadline)
            if batch is None:
                self._soon()
                return
            if batch:
                self._submit(batch)
            elif self._open:
                return
            elif self._sweeping:
                self._stopped = True
                self._ended()
                return
            else:
                self._sweeping = True
                self._batcher = Batcher(self._sweep())
            if self._loop.now() > deadline:
                self._soon()
                return

    def _limit(self) -> int:
        if not self._sleep or self._sweeping:
            return BATCH_FILES
        return min(BATCH_FILES, self._until_pause)

    def _submit(self, batch: list[Item]) -> None:
        self._open += 1
        sweeping = self._sweeping

        def done() -> None:
            self._open -= 1
            if not sweeping:
                self.files += len(batch)
                self._until_pause -= len(batch)
                if self._sleep and self._until_pause <= 0 and not self._stopped:
                    self._until_pause = self._sleep_after
                    self._paused = True
                    self._loop.call_later(self._sleep, self._go_on)
            self._soon()

        self._lane.submit(batch, self._forward and not sweeping, None if sweeping else self._marks, done)

    def _go_on(self) -> None:
        self._paused = False
        self.run()

    def _soon(self) -> None:
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self.run()

    def stop(self) -> None:
        """Leave it as it is; nothing is told of what was not met."""
        self._stopped = True


class Survey:
    """A quick look at all folders before the first scan: watches are set and files counted, nothing is read."""

    def __init__(self, loop: Loop, policy: Policy, entered: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._loop = loop
        self._policy = policy
        self._entered = entered
        self._ended = ended
        self._steps = self._walk()
        self._stopped = False
        self.files = 0

    def _walk(self) -> Iterator[None]:
        walker = Walker(self._policy, quiet=True)
        for entry in self._policy.entries:
            for path in walker.walk(entry, self._entered):
                if path:
                    self.files += 1
                else:
                    yield

    def run(self) -> None:
        deadline = self._loop.now() + SLICE
        for _ in self._steps:
            if self._stopped:
                return
            if self._loop.now() > deadline:
                self._loop.call_soon(self.run)
                return
        if not self._stopped:
            self._stopped = True
            self._ended()

    def stop(self) -> None:
        self._stopped = True
