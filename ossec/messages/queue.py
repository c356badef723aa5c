"""The event line on `queue/ossec/queue`: `Q:LOCATION:LOG`, one datagram each (spec/analysis.md, section 1).

`encode` and `decode` are inverse for every location that the format can carry.
"""

from __future__ import annotations

from typing import NamedTuple

from ossec.errors import RemoteError

MAX_MESSAGE = 6144  # what analysisd reads of a datagram, the closing NUL included
MAX_TEXT = MAX_MESSAGE - 1
AGENT = ord("(")  # what the location of an agent begins with

LOCAL = b"1"  # log files, commands, the daemons' own notes
SYSLOG = b"2"  # remote syslog: the location is the sender
HOSTINFO = b"3"
RELAY = b"4"
SYSCHECK = b"8"
ROOTCHECK = b"9"
MYSQL = b"a"
POSTGRESQL = b"b"


class QueueMessage(NamedTuple):
    """One event as it crosses the queue.  `queue` is one byte; `log` is the text as sent, controls included."""

    queue: bytes
    location: bytes
    log: bytes


class BadQueueMessage(RemoteError):
    """A datagram that is not `Q:LOCATION:LOG`."""


def encode(queue: bytes, location: bytes, log: bytes) -> bytes:
    """The datagram, NUL included, cut at `MAX_MESSAGE`.  A `:` in the location is the caller's to escape."""
    return (queue + b":" + location + b":" + log)[:MAX_TEXT] + b"\0"


def decode(datagram: bytes) -> QueueMessage:
    """The parts of a datagram; BadQueueMessage when it has none or its location climbs with `..`."""
    return QueueMessage(*take_apart(datagram))


def take_apart(datagram: bytes) -> tuple[bytes, bytes, bytes]:
    """`decode` without a name for each part: quicker, for who takes them at once."""
    end = datagram.find(b"\0", 0, MAX_MESSAGE)
    if end < 0:
        end = MAX_MESSAGE
    try:
        queue, location, log = datagram[:end].split(b":", 2)
    except ValueError:
        return _take_apart_odd(datagram[:end])
    if len(queue) != 1 or not location or location.find(b"..") >= 0 or (location[0] == AGENT and b"->" not in location):
        return _take_apart_odd(datagram[:end])
    return queue, location, log


def _take_apart_odd(text: bytes) -> tuple[bytes, bytes, bytes]:
    """The same for any text: the location of an agent with an IPv6 address holds colons."""
    if len(text) < 4:
        raise BadQueueMessage(f"too short: {text!r}")
    search_from = 2
    if text[2:3] == b"(":
        arrow = text.find(b"->", 2)
        if arrow < 0:
            raise BadQueueMessage(f"no '->' after the agent: {text[:80]!r}")
        search_from = arrow
    colon = text.find(b":", search_from)
    if colon < 0:
        raise BadQueueMessage(f"no ':' after the location: {text[:80]!r}")
    location = text[2:colon]
    if b".." in location and b".." in location.split(b"/"):
        raise BadQueueMessage(f"a location with '..': {location!r}")
    return text[:1], location, text[colon + 1 :]
