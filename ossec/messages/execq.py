"""Response messages: the datagrams on `queue/alerts/execq` and `queue/alerts/ar` (spec/active-response.md, 2 to 4).

    execq  NAME USER IP TIME.ALERTID RULEID LOCATION FILENAME
    ar     ORIGIN FLAGS AGENTID NAME USER IP TIME.ALERTID RULEID LOCATION FILENAME

A name with `!` before it asks for the undoing of that response: `!fw600 - 192.0.2.1 …`.  OSSEC's execd, which cannot
undo by order, finds no response of such a name (1311) and does nothing; no word behind the name would keep it from
blocking.

One datagram each, closed by a NUL.  Words are separated by exactly one space and nothing is quoted, so a location with
a blank becomes two words: what a receiver can rely on is the name and the first four words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ossec.errors import RemoteError

MAX_SENT = 1023  # what analysisd sends and remoted reads, the NUL not counted; a longer message is cut
MAX_READ = 6143  # what execd looks at: a message written by hand may be longer than analysisd's
ABSENT = b"-"
LIFT_MARK = b"!"  # before the name
AR_ABSENT = b"(null)"  # an absent file name or agent on the ar queue

_AR = re.compile(rb"\(([^)]*)\)(.*?) ([AN])([RN!])([SN]) (\S+) (.*)", re.DOTALL)


class BadResponse(RemoteError):
    """A datagram that is not a response message."""


class Response(NamedTuple):
    """What execd is asked to run: the response's name in ar.conf and the words for the script after `add`.

    `lifts`: not to run it, but to undo it before its time.
    """

    name: bytes
    words: tuple[bytes, ...]
    lifts: bool = False

    @property
    def user(self) -> bytes:
        """The account, `-` for none."""
        return self.words[0] if self.words else ABSENT

    @property
    def address(self) -> bytes:
        """The source address, `-` for none."""
        return self.words[1] if len(self.words) > 1 else ABSENT


class Order(NamedTuple):
    """A message for remoted: where `text` goes.

    `agent` is the name between the brackets of the origin (`local_source` and `msg_to_agent` name none); `flags` say to
    whom: all agents, that agent, the agent with `agent_id`.  `is_response` is False for `!` (`syscheck restart`).
    """

    agent: bytes
    origin: bytes  # the whole first part, `(agent) 10.0.0.1->/var/log/auth.log`
    to_all: bool
    to_origin: bool
    to_agent: bool
    is_response: bool
    agent_id: bytes | None
    text: bytes  # the response message as execd reads it, without NUL


def compose(
    name: bytes, user: bytes, address: bytes, alert: bytes, rule: bytes, location: bytes, filename: bytes
) -> bytes:
    """The text that both queues carry; absent fields are the caller's to mark (`-`, `(null)` for a file name on ar)."""
    return b"%b %b %b %b %b %b %b" % (name, user, address, alert, rule, location, filename)


def encode(text: bytes) -> bytes:
    """The datagram for execq: cut at `MAX_SENT`, closed by a NUL."""
    return text[:MAX_SENT] + b"\0"


def encode_response(response: Response) -> bytes:
    """The datagram for execq of a response given in words (agent_control, tests)."""
    return encode(text_of(response))


def text_of(response: Response) -> bytes:
    """The text of a response given in words, as both queues carry it."""
    mark = LIFT_MARK if response.lifts else b""
    return mark + b" ".join((response.name, *response.words))


def decode(datagram: bytes) -> Response:
    """The response in a datagram from execq; BadResponse where no name can be told from the words.

    Ends at the first NUL or at `MAX_READ`.  One closing newline is dropped, so that a line from a shell works
    (OSSEC keeps it inside the last word).  Fewer than two words is the caller's to refuse, with a line of its own.
    """
    text = _text(datagram, MAX_READ)
    if text.endswith(b"\n"):
        text = text[:-1]
    name, space, rest = text.partition(b" ")
    if not space:
        raise BadResponse(f"no words after the name: {text[:80]!r}")
    lifts = name.startswith(LIFT_MARK)
    return Response(name.removeprefix(LIFT_MARK), tuple(rest.split(b" ")), lifts)


def encode_order(order: Order) -> bytes:
    """The datagram for the ar queue: cut at `MAX_SENT`, closed by a NUL."""
    flags = (
        (b"A" if order.to_all else b"N")
        + ((b"R" if order.to_origin else b"N") if order.is_response else b"!")
        + (b"S" if order.to_agent else b"N")
    )
    head = b"%b %b %b " % (order.origin, flags, AR_ABSENT if order.agent_id is None else order.agent_id)
    return (head + order.text)[:MAX_SENT] + b"\0"


def decode_order(datagram: bytes) -> Order:
    """The order in a datagram from the ar queue; BadResponse when its parts are missing.

    The flags are found by their shape, so a location or an agent's name with blanks is read right (OSSEC: the third
    word from the left, which loses such responses).
    """
    text = _text(datagram, MAX_READ)
    match = _AR.fullmatch(text)
    if match is None:
        raise BadResponse(f"not (ORIGIN) FLAGS AGENT NAME …: {text[:80]!r}")
    agent, _, everyone, middle, single, agent_id, rest = match.groups()
    return Order(
        agent=agent,
        origin=text[: match.start(3) - 1],
        to_all=everyone == b"A",
        to_origin=middle == b"R",
        to_agent=single == b"S",
        is_response=middle != b"!",
        agent_id=None if agent_id == AR_ABSENT else agent_id,
        text=rest,
    )


def _text(datagram: bytes, limit: int) -> bytes:
    end = datagram.find(b"\0", 0, limit)
    return datagram[: end if end >= 0 else limit]
