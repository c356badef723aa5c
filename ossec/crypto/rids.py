"""The counters on disk, `queue/rids` (spec/protocol.md, section 2): one small write for each datagram, none synced.

What a process wrote survives its SIGKILL; a power cut may lose the last second, which replays of that second could
use.  Descriptors are kept for the agents heard last, so that thousands of agents need no raised limit.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ossec.crypto import counters

MAX_OPEN = 256  # descriptors; far below the usual limit of 1,024
SENDER = "sender_counter"


class Rids:
    """All files of one directory.  OSError where it cannot be written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._open: OrderedDict[str, int] = OrderedDict()
        self._sender = counters.START
        self._stamp = 0

    def load(self, identity: str) -> counters.Pair:
        """What was saved; the start where nothing was."""
        try:
            return counters.parse_pair((self.directory / identity).read_bytes())
        except FileNotFoundError:
            return counters.START

    def save(self, identity: str, pair: counters.Pair) -> None:
        descriptor = self._open.get(identity)
        if descriptor is None:
            if len(self._open) >= MAX_OPEN:
                os.close(self._open.popitem(last=False)[1])
            path = self.directory / identity
            descriptor = self._open[identity] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        else:
            self._open.move_to_end(identity)
        os.pwrite(descriptor, counters.format_pair(pair), 0)

    def forget(self, identity: str) -> None:
        """The agent is gone, or has a new key: its counters with it."""
        self.release(identity)
        (self.directory / identity).unlink(missing_ok=True)

    def release(self, identity: str) -> None:
        """Close its file, which stays."""
        descriptor = self._open.pop(identity, None)
        if descriptor is not None:
            os.close(descriptor)

    def vanished(self, identities: Iterable[str]) -> list[str]:
        """Those whose file is not there; looks only when the directory has changed since the last call."""
        try:
            stamp = self.directory.stat().st_mtime_ns
        except OSError:
            return []  # the next write will say it
        if stamp == self._stamp:
            return []
        self._stamp = stamp
        present = {path.name for path in self.directory.iterdir()}
        return [identity for identity in identities if identity not in present]

    def start_sending(self, now: float) -> None:
        """Begin above all that was ever sent: also where `queue/rids` was restored from a snapshot or deleted.

        The clock stands far above any count of messages (9,997 of them make one step), so it is the floor.
        """
        number, local = self.load(SENDER)
        self._sender = max((number, local), (int(now) % counters.WRAP, 0))

    def next(self) -> counters.Pair:
        """The pair for the next datagram, saved before it is used; on a full disk the clock is what counts."""
        self._sender = counters.following(self._sender)
        with suppress(OSError):  # the next process begins at the clock, which is ahead of it
            self.save(SENDER, self._sender)
        return self._sender

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
