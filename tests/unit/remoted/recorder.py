"""The ports of remoted's core, recording what it asks for."""

from __future__ import annotations

from ossec.crypto import counters
from ossec.crypto.channel import Channel
from ossec.remoted.agents import Agent, Peer
from ossec.remoted.core import Remoted

LEVELS = {20: "INFO", 30: "WARN", 40: "ERROR"}


class Recorder:
    """Lists of all that left the core."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.sent: list[tuple[bytes, Peer]] = []
        self.log: list[str] = []
        self.info: dict[str, bytes] = {}
        self.counter: counters.Pair = counters.START

    def forward(self, event: bytes) -> None:
        self.events.append(event)

    def send(self, datagram: bytes, peer: Peer) -> None:
        self.sent.append((datagram, peer))

    def note(self, level: int, code: int | None, text: str) -> None:
        self.log.append(f"ossec-remoted({code}): {LEVELS[level]}: {text}" if code else f"{LEVELS[level]}: {text}")

    def save_counter(self, agent: Agent) -> None:
        pass

    def take_sender_counter(self) -> counters.Pair:
        self.counter = counters.following(self.counter)
        return self.counter

    def write_info(self, agent: Agent, content: bytes) -> bool:
        new = agent.info_name not in self.info
        self.info[agent.info_name] = content
        return new

    def touch_info(self, agent: Agent) -> None:
        pass

    def texts(self, core: Remoted) -> list[tuple[str, bytes]]:
        """(agent id, text) of every datagram sent, opened with the key of the agent at that address."""
        found = []
        for datagram, peer in self.sent:
            agent = next(agent for agent in core.agents if agent.peer == peer)
            found.append((agent.key.id, Channel(agent.key).open(datagram).text))
        return found
