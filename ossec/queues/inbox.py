"""The receiving end of a queue: a bound Unix datagram socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ossec.queues.address import closed_mark, socket_name

RECEIVE_BUFFER = 16 * 1024 * 1024  # asked of the kernel: what a burst may hold; it grants what it permits
SO_RCVBUFFORCE = 33  # beyond the limit for ordinary processes; Python does not name it
MAX_DATAGRAM = 65536  # more than any message of ours; a longer one arrives cut


class Inbox:
    """Bound at `path`, in place of whatever socket an earlier process left there."""

    def __init__(
        self, path: Path, mode: int = 0o660, group: int | None = None, max_datagram: int = MAX_DATAGRAM
    ) -> None:
        """`group` is a gid to give the socket to, as root.  OSError where the directory does not allow it."""
        self.path = path
        self.max_datagram = max_datagram
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            path.unlink(missing_ok=True)
            with socket_name(path) as name:
                self._socket.bind(name)
            path.chmod(mode)
            if group is not None:
                os.chown(path, -1, group)
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, error.strerror, str(path)) from None  # bind() leaves the name out
        self._inode = path.stat().st_ino
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self, limit: int) -> list[bytes]:
        """At most `limit` datagrams that are there now; an empty list when none is."""
        batch: list[bytes] = []
        receive, size, append = self._socket.recv, self.max_datagram, batch.append
        try:
            for _ in range(limit):
                append(receive(size))
        except BlockingIOError:
            pass
        return batch

    def close(self) -> None:
        """Close, and remove the socket's name if it is still ours.  Senders are told if nothing was left unread."""
        self._socket.shutdown(socket.SHUT_RD)  # from here on no sender gets rid of anything
        try:
            left = self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            left = b""
        try:
            if self.path.stat().st_ino == self._inode:
                if not left:
                    closed_mark(self.path).write_text(f"{self._inode}\n")
                self.path.unlink()
        except OSError:
            pass
        self._socket.close()
