"""The sending end of a queue: a Unix datagram socket that connects when it can, and again when the reader returned."""

from __future__ import annotations

import enum
import socket
from pathlib import Path

from ossec.queues.address import socket_name

SEND_BUFFER = 4 * 1024 * 1024  # what may wait in flight before the reader takes it


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
        except OSError as error:
            new.close()
            self.error = error
            return False
        self._socket = new
        self.error = None
        return True

    def send(self, datagram: bytes) -> Delivery:
        """Send one datagram; a reader that was restarted is found again within the call."""
        for _ in range(2):
            if not self.connect():
                return Delivery.GONE
            assert self._socket is not None
            try:
                self._socket.send(datagram)
            except BlockingIOError:
                return Delivery.FULL
            except OSError as error:
                self.error = error
                self.close()
            else:
                return Delivery.SENT
        return Delivery.GONE

    def send_many(self, datagrams: list[bytes]) -> tuple[int, Delivery]:
        """Send in order until one does not go: how many went, and what became of the next (SENT: all went)."""
        send = self.send
        for number, datagram in enumerate(datagrams):
            delivery = send(datagram)
            if delivery is not Delivery.SENT:
                return number, delivery
        return len(datagrams), Delivery.SENT

    def close(self) -> None:
        """Also to be called with `loop.forget(fileno())` before it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
