"""Who may speak: the agents of client.keys, found by id or address in constant time (spec/protocol.md, section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ossec.config.addresses import AddressList
from ossec.crypto.channel import Channel, Method
from ossec.crypto.counters import START, Pair
from ossec.crypto.keys import AgentKey
from ossec.errors import RemoteError
from ossec.messages.control import Keepalive

# Address in plain text (IPv4-mapped ones as IPv4), port, and what the shell wants to know for an answer: the address
# of ours that was asked.
Peer = tuple[str, int] | tuple[str, int, bytes]


class UnknownSender(RemoteError):
    """Nobody of client.keys sends from there."""


class WrongSource(UnknownSender):
    """The id is known, or not, but not from this address."""


@dataclass(slots=True, eq=False)
class Agent:
    """One agent and what this process knows of it."""

    key: AgentKey
    channel: Channel
    allowed: AddressList
    counter: Pair = START  # of the last datagram accepted
    method: Method = Method.AES  # of the last datagram accepted: replies use it
    peer: Peer | None = None  # where the last control message came from: replies go there
    last_contact: float | None = None  # time of that message
    info: bytes | None = None  # what its file in agent-info holds
    introduced: bool = False  # analysisd has been told that it is there, now or in an earlier run
    listed: Keepalive | None = None  # the shared files that it has, as it said or as it was sent since

    @classmethod
    def of(cls, key: AgentKey) -> Agent:
        return cls(key, Channel(key), AddressList([key.ip]))

    @property
    def label(self) -> str:
        """As locations name it: `(NAME) IP`."""
        return f"({self.key.name}) {self.key.address_text}"

    @property
    def info_name(self) -> str:
        """The name of its file in agent-info."""
        return f"{self.key.name}-{self.key.address_text}"


@dataclass(slots=True)
class AgentTable:
    """All agents.  `load` keeps what is known of an agent whose key did not change."""

    by_id: dict[str, Agent] = field(default_factory=dict)
    by_address: dict[str, Agent] = field(default_factory=dict)
    by_name: dict[str, Agent] = field(default_factory=dict)

    def load(self, keys: Iterable[AgentKey]) -> tuple[list[Agent], list[Agent]]:
        """Take over a client.keys; returns (new or changed, gone or changed).  The first of an id or address counts."""
        known, self.by_id, self.by_address, self.by_name = self.by_id, {}, {}, {}
        fresh: list[Agent] = []
        for key in keys:
            agent = known.get(key.id)
            if agent is None or agent.key != key:
                agent = Agent.of(key)
                fresh.append(agent)
            self.by_id.setdefault(key.id, agent)
            self.by_address.setdefault(key.address_text, agent)
            self.by_name.setdefault(key.name, agent)
        gone = [agent for identity, agent in known.items() if self.by_id.get(identity) is not agent]
        return fresh, gone

    def find(self, identity: str | None, address: str) -> Agent:
        """Whose datagram this is, by its `!ID!` (None without one) and source address; UnknownSender, WrongSource."""
        if identity is None:
            agent = self.by_address.get(address)
            if agent is None:
                raise UnknownSender(address)
            return agent
        agent = self.by_id.get(identity)
        if agent is None or not agent.allowed.contains(address):
            raise WrongSource(identity)
        return agent

    def __iter__(self) -> Iterator[Agent]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)
