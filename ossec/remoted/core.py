"""Every agent session on this server, as plain state (spec/protocol.md, sections 2 to 7).

Theory of operation.  `receive` opens a datagram in the order of checks that the spec gives and hands on what it held;
`order` turns a message from `queue/alerts/ar` into datagrams; `tick` sends what is due of shared files on their way.
What leaves the core goes through `Ports`, plain functions given at construction: one event is one call.

A datagram that is refused changes nothing: not the counters, not the cipher, not the address of an agent.  It costs a
look-up and at most one decryption, and its complaint is logged once a minute with a count.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from ossec.crypto import counters
from ossec.crypto.channel import AES_MARK, BadSize, SealError, WrongKey, split_id
from ossec.crypto.keys import AgentKey
from ossec.daemon.complaints import Complaints
from ossec.messages import control, execq
from ossec.remoted.agents import Agent, AgentTable, Peer, UnknownSender, WrongSource
from ossec.remoted.shared import SharedFiles

MAX_DATAGRAM = 6144  # of one datagram OSSEC reads; a longer one arrives cut
MAX_FORWARD = 6143  # what analysisd reads of an event, its NUL not counted
MAX_ORDER = 1023  # OSSEC's limit for a control message made of an order
NOT_CONNECTED_AFTER = 1200.0  # seconds without a control message until an agent gets no orders
PUSH_BURST = 31  # datagrams of a shared file in one go; what an agent's socket buffer surely holds
PUSH_PAUSE = 1.0  # seconds to the next
MAX_PUSHES = 64  # agents served at a time: 64 * 31 datagrams a second are below 2 MB/s
MAX_ORDERS_WAITING = 64  # per agent that is away; responses are old news after that
INTRODUCTION_WAIT = 10.0  # seconds for a new agent's own word that it started; after them remoted says it
STARTED = b"1:ossec:ossec: Agent started: "
ORDER_LIFETIME = 600.0  # seconds that an order waits for its agent

INFO, WARNING, ERROR = logging.INFO, logging.WARNING, logging.ERROR


class Ports(Protocol):
    """What the core asks of its shell; none of it may wait."""

    def forward(self, event: bytes) -> None:
        """An event for analysisd: `Q:(NAME) IP->LOCATION:TEXT`."""

    def send(self, datagram: bytes, peer: Peer) -> None: ...

    def note(self, level: int, code: int | None, text: str) -> None:
        """A line for ossec.log; `code` is OSSEC's number."""

    def save_counter(self, agent: Agent) -> None:
        """Called before what the counter covers is handed on."""

    def take_sender_counter(self) -> counters.Pair:
        """The pair for the next datagram, already safe from being used twice."""

    def write_info(self, agent: Agent, content: bytes) -> bool:
        """The agent said something new about itself; returns whether it was never heard of before."""

    def touch_info(self, agent: Agent) -> None:
        """It said the same again: only the file's time matters."""


@dataclass(slots=True)
class Push:
    """Shared files on their way to one agent."""

    messages: deque[bytes]
    due: float


@dataclass(slots=True)
class Counts:
    """For the state file."""

    received: int = 0
    events: int = 0
    control: int = 0
    refused: dict[int, int] = field(default_factory=dict)  # by OSSEC's number
    orders_sent: int = 0
    orders_lost: int = 0

    def refuse(self, code: int) -> None:
        self.refused[code] = self.refused.get(code, 0) + 1


class Remoted:
    """`accepted_methods`: True for those of AES and Blowfish that `<crypto_accept>` lets in."""

    def __init__(self, ports: Ports, *, verify_counters: bool = True, complaint_interval: float = 60.0) -> None:
        self.ports = ports
        self.agents = AgentTable()
        self.shared = SharedFiles()
        self.verify_counters = verify_counters
        self.accept_aes = True
        self.accept_blowfish = True
        self.counts = Counts()
        self.complaints = Complaints(ports.note, complaint_interval)
        self._pushes: dict[Agent, Push] = {}
        self._introductions: dict[Agent, float] = {}  # new agents, and when remoted speaks for them
        self._behind: dict[Agent, None] = {}  # agents whose turn to get shared files comes, in order
        self._waiting: dict[str, deque[tuple[float, bytes]]] = {}

    # configuration
    def load_keys(self, keys: Iterable[AgentKey], counter_of: dict[str, counters.Pair]) -> None:
        """Take over a client.keys.  `counter_of` has what `queue/rids` says of agents new to this process."""
        fresh, gone = self.agents.load(keys)
        for agent in fresh:
            agent.counter = counter_of.get(agent.key.id, counters.START)
        for agent in gone:
            self._introductions.pop(agent, None)
            self._pushes.pop(agent, None)
            self._behind.pop(agent, None)
            self._waiting.pop(agent.key.id, None)

    def share(self, shared: SharedFiles, now: float) -> None:
        """The directory changed: agents that are there get the new files now, not at their next keep-alive."""
        self.shared = shared
        for agent in self.agents:
            there = agent.last_contact is not None and now - agent.last_contact < NOT_CONNECTED_AFTER
            if there and agent.listed is not None and shared.lacking(agent.listed):
                self._behind[agent] = None

    # datagrams
    def receive(self, datagram: bytes, peer: Peer, now: float) -> None:
        """One datagram from the network."""
        self.counts.received += 1
        try:
            identity, body = split_id(datagram)
        except SealError:
            self._refuse(1403, f"Incorrectly formatted message from '{peer[0]}'.", now)
            return
        try:
            agent = self.agents.find(identity, peer[0])
        except WrongSource:
            self._refuse(1408, f"Invalid ID {identity} for the source ip: '{peer[0]}'.", now)
            return
        except UnknownSender:
            self._refuse(1213, f"Message from '{peer[0]}' not allowed.", now, WARNING)
            return
        if not self._permitted(body, peer, now):
            return
        key = agent.key
        try:
            opened = agent.channel.open(body)
        except SealError as error:
            self._refuse(error.code, error.complaint(key, peer[0]), now)
            return
        if self.verify_counters and not counters.accepts(agent.counter, opened.counter):
            self._refuse_counter(agent, opened.counter, peer[0], now)
            return
        agent.counter = opened.counter
        agent.method = opened.method
        self.ports.save_counter(agent)
        text = opened.text
        if text[:3] != control.HEAD:
            if text[1:2] != b":":
                self._refuse(1106, "String not correctly formatted.", now)
            elif not text.startswith(b"keepalive", 2):
                self.counts.events += 1
                if not agent.introduced and text.startswith(STARTED):
                    agent.introduced = True
                    self._introductions.pop(agent, None)
                location = f"({key.name}) {key.address_text}->".encode("utf-8", "surrogateescape")
                self.ports.forward((text[:2] + location + text[2:])[:MAX_FORWARD])
            return
        self._control(agent, control.parse_from_agent(text), peer, now)

    def _permitted(self, body: bytes, peer: Peer, now: float) -> bool:
        """`<crypto_accept>`."""
        if body.startswith(AES_MARK):
            if not self.accept_aes:
                self._refuse(0, f"Rejected AES message from {peer[0]} (Policy: Blowfish only)", now, WARNING)
            return self.accept_aes
        if not self.accept_blowfish:
            self._refuse(0, f"Rejected Blowfish message from {peer[0]} (Policy: AES only)", now, WARNING)
        return self.accept_blowfish

    def _refuse_counter(self, agent: Agent, pair: counters.Pair, source: str, now: float) -> None:
        """An old datagram, or an agent that counts from anew: both look the same, so it stays refused and says why."""
        last = agent.counter
        if pair[0] == last[0]:
            self._refuse(1407, f"Duplicated counter for '{agent.key.name}'.", now)
        else:
            self._refuse(1404, WrongKey.text(source), now)
            self.complaints.say(
                WARNING,
                None,
                f"Agent '{agent.key.name}' ({agent.key.id}) counts from {pair[0]}:{pair[1]}, but "
                f"{last[0]}:{last[1]} was seen before: a replay, or its queue/rids is older than its key (reinstalled,"
                f" restored). If it is the latter: agent_control --reset-counter {agent.key.id}",
                now,
            )

    def _refuse(self, code: int, text: str, now: float, level: int = ERROR) -> None:
        self.counts.refuse(code)
        self.complaints.say(level, code or None, text, now)

    # control messages
    def _control(self, agent: Agent, message: control.FromAgent, peer: Peer, now: float) -> None:
        self.counts.control += 1
        first = agent.last_contact is None
        agent.peer = peer
        agent.last_contact = now
        self._send(agent, control.ACK)
        if isinstance(message, control.Keepalive):
            self._keepalive(agent, message, now)
        if first and self._waiting.get(agent.key.id):
            self._send_waiting(agent, now)

    def _keepalive(self, agent: Agent, message: control.Keepalive, now: float) -> None:
        if message.uname is None:
            text = f"Invalid message from agent id: '{agent.key.id}'(uname)"
            self.complaints.say(WARNING, None, text, now)
            return
        info = message.uname + b"\ncrypto_method:" + agent.method.value.encode() + b"\n"
        if info == agent.info:
            self.ports.touch_info(agent)
        else:
            agent.info = info
            if not self.ports.write_info(agent, info):
                agent.introduced = True
            elif not agent.introduced:
                self._introductions[agent] = now + INTRODUCTION_WAIT
        if message.fault is not None:
            address = agent.key.address_text
            self.complaints.say(WARNING, None, f"Invalid message from '{address}' ({message.fault})", now)
        agent.listed = message
        if agent not in self._pushes and self.shared.lacking(message):
            self._behind[agent] = None
            self.tick(now)

    def _send(self, agent: Agent, text: bytes) -> bool:
        if agent.peer is None:
            return False
        try:
            datagram = agent.channel.seal(text, self.ports.take_sender_counter(), agent.method)
        except BadSize as error:
            self.ports.note(ERROR, None, str(error))
            return False
        self.ports.send(datagram, agent.peer)
        return True

    # shared files
    def tick(self, now: float) -> float | None:
        """Send what is due; returns when the next is, None when nothing is on its way."""
        if self._introductions:
            self._introduce(now)
        for agent in list(self._behind)[: MAX_PUSHES - len(self._pushes)]:
            if agent in self._pushes:
                continue  # what is on its way is old already: after it
            del self._behind[agent]
            lacking = self.shared.lacking(agent.listed) if agent.listed is not None else []
            if lacking:
                agent.listed = agent.listed and agent.listed.having({file.name: file.digest for file in lacking})
                self._pushes[agent] = Push(deque(text for file in lacking for text in file.messages()), now)
        for agent, push in list(self._pushes.items()):
            if push.due > now:
                continue
            for _ in range(min(PUSH_BURST, len(push.messages))):
                self._send(agent, push.messages.popleft())
            if push.messages:
                push.due = now + PUSH_PAUSE
            else:
                del self._pushes[agent]
        if self._behind and len(self._pushes) < MAX_PUSHES:
            return now
        due = [push.due for push in self._pushes.values()]
        due += self._introductions.values()
        return min(due, default=None)

    def close(self) -> None:
        """This process ends: say now what would be said later."""
        self._introduce(math.inf)

    def _introduce(self, now: float) -> None:
        """A new agent whose own event was lost, or that sends none, must not go unnoticed: the event in its words."""
        for agent, due in list(self._introductions.items()):
            if now >= due:
                del self._introductions[agent]
                agent.introduced = True
                started = f"1:{agent.label}->ossec:ossec: Agent started: '{agent.key.name}->{agent.key.address_text}'."
                self.ports.forward(started.encode("utf-8", "surrogateescape"))

    # orders from queue/alerts/ar
    def order(self, datagram: bytes, now: float) -> None:
        """Send a response or a control text to the agents that it names."""
        try:
            order = execq.decode_order(datagram[: execq.MAX_SENT])
        except execq.BadResponse:
            text = f"Invalid active response (execd) message {datagram[:200]!r}."
            self.complaints.say(WARNING, 1310, text, now)
            return
        body = (control.EXECD if order.is_response else control.HEAD) + order.text
        if order.to_all:
            targets = list(self.agents)
        else:
            if order.to_origin:
                wanted, agent = order.agent, self.agents.by_name.get(_text(order.agent))
            elif order.to_agent and order.agent_id is not None:
                wanted, agent = order.agent_id, self.agents.by_id.get(_text(order.agent_id))
            else:
                return
            if agent is None:
                self.ports.note(ERROR, 1320, f"Agent '{_text(wanted)}' not found.")
                return
            targets = [agent]
        for agent in targets:
            self._deliver(agent, body[:MAX_ORDER], now, named=not order.to_all)

    def _deliver(self, agent: Agent, body: bytes, now: float, *, named: bool) -> None:
        """To an agent that is there; what is meant for one that is away waits for it, with a bound, and is said."""
        if agent.last_contact is not None and now - agent.last_contact < NOT_CONNECTED_AFTER:
            if self._send(agent, body):
                self.counts.orders_sent += 1
            return
        if not named:
            return
        waiting = self._waiting.setdefault(agent.key.id, deque())
        if len(waiting) >= MAX_ORDERS_WAITING:
            waiting.popleft()
            self.counts.orders_lost += 1
        waiting.append((now, body))
        text = f"Agent '{agent.key.name}' ({agent.key.id}) is not connected: what was sent to it waits for it"
        self.complaints.say(WARNING, None, text, now)

    def _send_waiting(self, agent: Agent, now: float) -> None:
        for since, body in self._waiting.pop(agent.key.id, ()):
            if now - since <= ORDER_LIFETIME and self._send(agent, body):
                self.counts.orders_sent += 1
            else:
                self.counts.orders_lost += 1


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
