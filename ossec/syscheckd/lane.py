"""Files on their way through the workers, in batches (part of the shell)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ossec.syscheckd.ledger import Item, Ledger, Marks
from ossec.syscheckd.workers import Findings, Worker

BATCH_FILES = 64  # files in a batch: small enough that one large file holds up few others
BATCH_BYTES = 32 * 1024  # of their names: two batches fit into a socket's buffer, so that sending never waits


class Lane:
    """Workers that share what comes."""

    def __init__(self, ledger: Ledger, workers: Sequence[Worker]) -> None:
        self._ledger = ledger
        self.workers = workers
        self.in_flight = 0  # batches
        self.files = 0  # looked at so far

    @property
    def has_room(self) -> bool:
        return any(worker.has_room for worker in self.workers)

    def submit(
        self,
        items: Sequence[Item],
        forward: bool = False,
        marks: Marks | None = None,
        done: Callable[[], None] | None = None,
    ) -> None:
        """Look at these files; rows of those that were met are added to `marks`.  `done` is called at the end."""
        requests, rows = self._ledger.ask(items, forward)
        self.in_flight += 1

        def hear(findings: Findings | None) -> None:
            self.in_flight -= 1
            self.files += len(requests)
            if findings is not None:
                hear_one = self._ledger.hear
                for item, request, row, finding in zip(items, requests, rows, findings, strict=True):
                    met = hear_one(request, row, finding, item.final) if finding.outcome else row
                    if marks is not None and met:
                        marks.add(met)
                self._ledger.end_batch()
            elif marks is not None:
                for row in rows:
                    marks.add(row)
            if done is not None:
                done()

        worker = min((one for one in self.workers if one.has_room), key=lambda one: one.waiting)
        worker.examine(requests, hear)


class Batcher:
    """Takes items from a source until a batch is full; keeps an unfinished one for the next turn."""

    def __init__(self, source: Iterator[Item | None]) -> None:
        """None in the source means: nothing came for a while, look at the clock."""
        self._source = source
        self._items: list[Item] = []
        self._bytes = 0
        self.exhausted = False

    def fill(self, limit: int, late: Callable[[], bool]) -> list[Item] | None:
        """A batch of `limit` files or fewer; None when `late` said so before it was full.  [] only at the end."""
        items = self._items
        while not self.exhausted and len(items) < limit and self._bytes < BATCH_BYTES:
            item = next(self._source, self)
            if item is self:
                self.exhausted = True
            elif item is not None:
                items.append(item)  # type: ignore[arg-type]
                self._bytes += len(item.path)  # type: ignore[union-attr]
            elif late():
                return None
        self._items, self._bytes = [], 0
        return items
