"""What has been sent on a connection and may not have arrived (pure).

Syslog has no answer.  A message counts as arrived once the other side's kernel has it (TCP acknowledged it) and the
connection has held for a moment after that, in which a server that died would have let us know.  What is in doubt when
a connection is lost is sent again.  The window bounds how much that is, and with it how often an alert can come twice.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ossec.alertstream import Position


class Limits(NamedTuple):
    """How long a message is in doubt (seconds), and how much may be (bytes)."""

    age: float
    size: int


STREAM = Limits(0.25, 128 * 1024)  # some 600 alerts, and 2,000 a second
DATAGRAM = Limits(0.2, 64 * 1024)  # a receiver's default buffer holds thrice that, and bursts are not lost in it


class Sent(NamedTuple):
    end: int  # of the message, counted in the bytes of the connection
    size: int
    when: float
    position: Position


class Window:
    """One connection's."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._doubtful: deque[Sent] = deque()
        self._size = 0
        self._proven = False

    def __len__(self) -> int:
        return len(self._doubtful)

    @property
    def full(self) -> bool:
        """Until the first message has arrived, one is enough to try."""
        return self._size >= self._limits.size or (not self._proven and bool(self._doubtful))

    @property
    def proven(self) -> bool:
        """Something has arrived."""
        return self._proven

    def add(self, end: int, size: int, when: float, position: Position) -> None:
        self._doubtful.append(Sent(end, size, when, position))
        self._size += size

    def settle(self, arrived: int, now: float) -> Position | None:
        """The position behind the last message that is in doubt no more, if any is; `arrived`: bytes acknowledged."""
        position = None
        while self._doubtful:
            first = self._doubtful[0]
            if first.end > arrived or first.when + self._limits.age > now:
                break
            self._doubtful.popleft()
            self._size -= first.size
            self._proven = True
            position = first.position
        return position
