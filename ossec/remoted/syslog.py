"""Foreign syslog: datagrams and TCP streams to lines (spec/protocol.md, section 7).

A datagram is one event; a stream is cut at line feeds, or by octet counts (RFC 6587) where a message begins with one.
"""

from __future__ import annotations

import re

from ossec.config.addresses import AddressList
from ossec.messages import queue

MAX_LINE = 6141  # bytes of one event; a longer line is cut and its rest skipped
MAX_COUNT = 65536  # what an octet count may ask for; more is not one
_COUNT = re.compile(rb"([1-9][0-9]{0,5}) (?=<)")


def permitted(address: str, allowed: AddressList, denied: AddressList) -> bool:
    """`denied-ips` first, then `allowed-ips`; who is in neither is refused."""
    return not (denied and denied.contains(address)) and allowed.contains(address)


def clean(message: bytes) -> bytes:
    """Without its priority and one closing line feed, up to its first NUL."""
    end = message.find(b"\0")
    if end >= 0:
        message = message[:end]
    if message.endswith(b"\n"):
        message = message[:-1]
    if message.startswith(b"<"):
        close = message.find(b">")
        if close >= 0:
            message = message[close + 1 :]
    return message


def event(message: bytes, address: str) -> bytes:
    """The event for analysisd, its NUL included."""
    return queue.encode(queue.SYSLOG, address.encode(), clean(message))


class Stream:
    """One TCP connection.  `cut` counts lines that were too long."""

    def __init__(self) -> None:
        self.cut = 0
        self._held = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes, line ends removed."""
        self._held += data
        found: list[bytes] = []
        while self._held:
            counted = None if self._skipping else _COUNT.match(self._held)
            if counted and int(counted[1]) <= MAX_COUNT:
                end = counted.end() + int(counted[1])
                if len(self._held) < end:
                    return found
                self._take(self._held[counted.end() : end], found)
                self._held = self._held[end:]
                continue
            line, newline, rest = self._held.partition(b"\n")
            if not newline:
                if len(self._held) > MAX_LINE:
                    if not self._skipping:
                        self._take(self._held, found)
                    self._skipping = True
                    self._held = b""
                return found
            self._held = rest
            if self._skipping:
                self._skipping = False
            else:
                self._take(line, found)
        return found

    def close(self) -> list[bytes]:
        """What is left when the peer hangs up: a last line without its end."""
        found: list[bytes] = []
        if self._held and not self._skipping:
            self._take(self._held, found)
        self._held = b""
        return found

    def _take(self, line: bytes, found: list[bytes]) -> None:
        line = line.rstrip(b"\r\n")
        if len(line) > MAX_LINE:
            self.cut += 1
            line = line[:MAX_LINE]
        if line:
            found.append(line)
