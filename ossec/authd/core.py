"""Who gets a key, and who asks too often: plain values (spec/protocol.md, section 10).

A request is judged in two steps.  `judge` looks at its bytes: password, grammar, name.  `enrol` looks at client.keys,
in the process that may write it.  Both give lines for the log and the bytes to answer; whoever is refused is told why
(OSSEC closes without a word), but never whether it was the password's beginning or its end.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import OrderedDict
from dataclasses import dataclass

from ossec.agents import keyfile
from ossec.agents.keyfile import AddressTaken, AgentError, BadName, KeyFile, NameTaken, Row
from ossec.messages import enrolment

ANY = "any"
SHOWN = 160  # characters of a stranger's name in a log line
RATE_CAPACITY = 30.0  # connections that one address may make at once: a rack behind one address is enrolled
RATE_REFILL = 0.5  # more of them each second
REFUSAL_COST = 5.0  # connections that a wrong password counts for: six guesses, then one in ten seconds
MAX_ADDRESSES = 10_000  # remembered; the one heard longest ago is forgotten, which costs it nothing
IPV6_NETWORK = 64  # one customer has so many addresses, so they count as one

INFO, ERROR = logging.INFO, logging.ERROR
Line = tuple[int, str]  # level, text


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that may go on to client.keys."""

    name: str
    source: str  # the agent's address
    log: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a dialogue: what to answer and what to log.  `guess`: a password was tried in vain."""

    answer: bytes
    log: tuple[Line, ...]
    guess: bool = False
    row: Row | None = None


def judge(data: bytes, source: str, password: str | None) -> Wish | Verdict:
    """What becomes of the bytes of a request."""
    try:
        name = enrolment.decode_request(data, password)
    except enrolment.BadPassword:
        text = f"Invalid password provided by {source}. Closing connection."
        return Verdict(enrolment.encode_errors("Invalid password"), ((ERROR, text),), guess=True)
    except enrolment.BadRequest:
        text = f"Invalid request for new agent from: {source}"
        return Verdict(enrolment.encode_errors("Invalid request for new agent"), ((ERROR, text),), guess=True)
    received = (INFO, f"Received request for a new agent ({_shown(name)}) from: {source}")
    if not keyfile.valid_name(name):
        text = f"Invalid agent name: {_shown(name)} from {source}"
        return Verdict(enrolment.encode_errors(f"Invalid agent name: {name}"), (received, (ERROR, text)))
    return Wish(name, source, (received,))


def enrol(known: KeyFile, wish: Wish, *, use_source: bool) -> tuple[KeyFile, Row]:
    """client.keys with the new agent; AgentError.

    A name that is taken gets a number.  An address that a registered agent has for its own is refused even without
    `use_source`, as in OSSEC: its datagrams would be taken for that agent's.
    """
    name = known.free_name(wish.name)
    known.check_name(name)
    known.check_address(wish.source)
    row = Row(known.free_id(), name, wish.source if use_source else ANY, keyfile.make_secret())
    return known.added(row), row


def granted(row: Row, wish: Wish) -> Verdict:
    """The answer with the key."""
    log = tuple(
        (INFO, f"Agent key {done} for {row.name} (requested by {wish.source})") for done in ("generated", "created")
    )
    return Verdict(enrolment.encode_key(row.format()), log, row=row)


def denied(error: AgentError, wish: Wish) -> Verdict:
    """The answer to a wish that client.keys does not allow."""
    match error:
        case AddressTaken():
            reply = f"Invalid IP address: {wish.source}"
            text = f"Invalid IP address {wish.source} (duplicated: agent {error.owner.id} has it)"
        case NameTaken() | BadName():
            reply = f"Invalid agent name: {wish.name}"
            text = f"Invalid agent name {wish.name} (duplicated)"
        case _:
            return failed(wish, "internal error")
    return Verdict(enrolment.encode_errors(reply), ((ERROR, text),))


def failed(wish: Wish, reason: str) -> Verdict:
    """The answer when the server cannot do it."""
    text = f"Unable to add agent: {wish.name} ({reason})"
    return Verdict(enrolment.encode_errors(f"Internal manager error adding agent: {wish.name}"), ((ERROR, text),))


class RateLimit:
    """A bucket of tokens for each address: `admit` takes one, `penalise` more, `refund` gives it back."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float, bool]] = OrderedDict()  # tokens, when, told

    def admit(self, address: str, now: float) -> bool:
        """Whether a connection from there is served."""
        return self._take(address, 1.0, now)

    def refund(self, address: str, now: float) -> None:
        """An agent was enrolled from there: that costs nothing."""
        self._take(address, -1.0, now)

    def penalise(self, address: str, now: float) -> None:
        """A request from there was refused."""
        self._take(address, REFUSAL_COST, now, force=True)

    def first_refusal(self, address: str) -> bool:
        """Whether to log that the address is not served: once until it is served again."""
        key = _network(address)
        tokens, when, told = self._buckets.get(key, (0.0, 0.0, True))
        self._buckets[key] = (tokens, when, True)
        return not told

    def _take(self, address: str, cost: float, now: float, *, force: bool = False) -> bool:
        key = _network(address)
        tokens, when, told = self._buckets.pop(key, (RATE_CAPACITY, now, False))
        tokens = min(RATE_CAPACITY, tokens + max(now - when, 0.0) * RATE_REFILL)
        served = tokens >= cost
        if served or force:
            tokens = min(max(tokens - cost, 0.0), RATE_CAPACITY)
        self._buckets[key] = (tokens, now, told and not served)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return served


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))


def _shown(name: str) -> str:
    """A stranger's text for the log: nothing that a terminal obeys."""
    return "".join(character if character.isprintable() else "?" for character in name[:SHOWN])
