"""The sending end of a queue: a Unix datagram socket that connects when it can, and again when the reader returned.

What the kernel took is not yet read: a reader that is killed loses what waited in its queue.  The sender therefore
remembers the last datagrams, as many as such a queue holds, until it sees that they were read, and sends them again to
the reader that comes next.  So the death of a reader loses nothing, and may double what it had read last.  A reader
that leaves in order says so (`Inbox.close`), and nothing is sent again.
"""

from __future__ import annotations

import enum
import fcntl
import socket
import struct
import termios
from collections import deque
from pathlib import Path

from ossec.queues.address import closed_mark, socket_name

SEND_BUFFER = 4 * 1024 * 1024  # what may wait in flight before the reader takes it
QUEUE_LENGTH = Path("/proc/sys/net/unix/max_dgram_qlen")  # datagrams that wait in a reader's queue
DEFAULT_QUEUE_LENGTH = 512  # where the kernel does not say
_INT = struct.Struct("i")


class Delivery(enum.Enum):
    """What became of a datagram."""

    SENT = "sent"
    FULL = "full"  # the reader is behind: wait until the socket is writable
    GONE = "gone"  # nobody listens: try again later


class Outbox:
    """Sends to `path`.  Never blocks; what to do with FULL and GONE is the caller's named policy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: OSError | None = None  # why the last GONE
        self._socket: socket.socket | None = None
        self._inode = 0  # of the socket that we are connected to
        self._unread: deque[bytes] = deque(maxlen=_queue_length() + 1)  # sent; not known to be read
        self._again: deque[bytes] = deque()  # were unread when their reader died

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def fileno(self) -> int:
        """For `loop.on_writable`; -1 while not connected."""
        return -1 if self._socket is None else self._socket.fileno()

    def connect(self) -> bool:
        """Connect unless connected; False (and `error`) when nobody listens."""
        if self._socket is not None:
            return True
        new = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        try:
            with socket_name(self.path) as name:
                new.connect(name)
            self._inode = self.path.stat().st_ino
        except OSError as error:
            new.close()
            self.error = error
            return False
        self._socket = new
        self.error = None
        return True

    def send(self, datagram: bytes) -> Delivery:
        """Send one datagram; a reader that was restarted is found again within the call."""
        return self.send_many([datagram])[1]

    def send_many(self, datagrams: list[bytes]) -> tuple[int, Delivery]:
        """Send in order until one does not go: how many went, and what became of the next (SENT: all went)."""
        sent = 0
        for _ in range(2):
            if not self.connect():
                return sent, Delivery.GONE
            assert self._socket is not None
            put, unread, again = self._socket.send, self._unread, self._again
            were_read = bool(unread) and self._queue_is_empty()
            try:
                while again:
                    put(again[0])
                    unread.append(again.popleft())
                while sent < len(datagrams):
                    put(datagrams[sent])
                    if were_read:  # and the reader lives, so it was not its death that emptied the queue
                        unread.clear()
                        were_read = False
                    unread.append(datagrams[sent])
                    sent += 1
            except BlockingIOError:
                return sent, Delivery.FULL
            except OSError as error:
                self.error = error
                if not self._was_closed_in_order():
                    again.extendleft(reversed(unread))
                unread.clear()
                self.close()
            else:
                return sent, Delivery.SENT
        return sent, Delivery.GONE

    def _was_closed_in_order(self) -> bool:
        try:
            return closed_mark(self.path).read_text() == f"{self._inode}\n"
        except OSError:
            return False

    def _queue_is_empty(self) -> bool:
        """Whether nothing of ours waits in the reader's queue (or the reader is dead)."""
        assert self._socket is not None
        (waiting,) = _INT.unpack(fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(_INT.size)))
        return bool(waiting == 0)

    def close(self) -> None:
        """Also to be called with `loop.forget(fileno())` before it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _queue_length() -> int:
    try:
        return int(QUEUE_LENGTH.read_text())
    except (OSError, ValueError):
        return DEFAULT_QUEUE_LENGTH
