"""What is known of files, and what to say when one is looked at again: the core (spec/syscheck.md, 3, 4).

`ask` makes the requests for a batch of files, `hear` takes what a worker found of each: the new state is kept, and what
there is to tell goes to `send` when the batch ends.  A file that nothing was known of is told; a known one only if
something differs that both sides know.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from ossec.messages import queue, syscheck
from ossec.messages.syscheck import FileMessage
from ossec.syscheckd import sums
from ossec.syscheckd.entries import Entry, Policy
from ossec.syscheckd.examine import FORWARD, HIDE, SHOW, Finding, Outcome, Request

log = logging.getLogger("ossec.syscheckd")


NOTHING = (0, b"")


class Item(NamedTuple):
    """A file to look at, for an entry; `final`: told as gone if it is."""

    path: bytes
    entry: Entry
    final: bool = True


class Memory(Protocol):
    """What is known of files; `baseline.Baseline` keeps it on disk.  Rows are numbers from 1 on."""

    def look(self, paths: Sequence[bytes]) -> Mapping[bytes, tuple[int, bytes]]: ...

    def add(self, path: bytes, sums: bytes) -> int: ...

    def update(self, row: int, sums: bytes) -> None: ...

    def remove(self, path: bytes) -> None: ...


class Marks:
    """A set of row numbers, one bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, row: int) -> None:
        index = row >> 3
        if index >= len(self._bits):
            self._bits.extend(bytes(max(index + 1 - len(self._bits), 4096)))
        self._bits[index] |= 1 << (row & 7)

    def __contains__(self, row: int) -> bool:
        index = row >> 3
        return index < len(self._bits) and bool(self._bits[index] & 1 << (row & 7))


class Ledger:
    """`again` is told of a path that must be looked at once more; `forget` of one whose copies may go."""

    def __init__(
        self,
        policy: Policy,
        memory: Memory,
        send: Callable[[list[bytes]], None],
        again: Callable[[bytes], None],
        forget: Callable[[bytes], None],
    ) -> None:
        self.policy = policy
        self._memory = memory
        self._send = send
        self._again = again
        self._forget = forget
        self._datagrams: list[bytes] = []
        self.shared = False  # several batches may hold the same file at a time

    def ask(self, items: Sequence[Item], forward: bool) -> tuple[list[Request], list[int]]:
        """The requests, and the rows of what is known (0: nothing).  `forward`: tell also what is the same."""
        known = self._memory.look([item.path for item in items])
        requests, rows = [], []
        for path, entry, _ in items:
            row, sum_text = known.get(path, NOTHING)
            flags = FORWARD if forward else 0
            if entry.report_changes:
                flags |= SHOW
                if self.policy.nodiff.hold(path):
                    flags |= HIDE
            requests.append(Request(path, sum_text, entry.checks, flags))
            rows.append(row)
        return requests, rows

    def hear(self, request: Request, row: int, finding: Finding, final: bool) -> int:
        """The row of the file as it is known now; 0 when it was not met.

        `final`: a file that is gone is told as gone; else it is left to the end of the scan, which asks again.
        """
        outcome = finding.outcome
        if outcome == Outcome.SAME:
            return row
        path = request.path
        if finding.trouble:
            log.error("%s", os.fsdecode(finding.trouble))
        if outcome == Outcome.UNREADABLE:
            log.warning("Unable to read file '%s' for checksum: %s", os.fsdecode(path), os.fsdecode(finding.note))
            return row
        if self.shared:
            now_row, now_known = self._memory.look([path]).get(path, NOTHING)
            if now_known != request.known:  # it was looked at twice at a time: who was first is not known
                self._again(path)
                return now_row
        if outcome == Outcome.TOLD:
            self._tell(finding.sums, path, finding.note)
            if not row:
                return self._memory.add(path, finding.sums)
            if not sums.same(request.known, finding.sums):
                self._memory.update(row, finding.sums)
            return row
        if row and final:
            self._tell(syscheck.GONE, path)
            self._memory.remove(path)
            self._forget(path)
        return 0

    def _tell(self, text: bytes, path: bytes, diff: bytes = b"") -> None:
        message = syscheck.encode(FileMessage(text, path, diff))
        self._datagrams.append(queue.encode(queue.SYSCHECK, syscheck.LOCATION, message))

    def end_batch(self) -> None:
        """Send what there is to tell."""
        datagrams, self._datagrams = self._datagrams, []
        self._send(datagrams)
