"""Which agents went silent since the last look (spec/protocol.md, section 8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ossec.messages import queue


class Seen(NamedTuple):
    """An agent of client.keys; `last` is the time of its last keep-alive, None where there was none."""

    name: str
    address: str
    last: float | None

    @property
    def label(self) -> str:
        return f"{self.name}-{self.address}"


@dataclass(slots=True)
class Watch:
    """`silence`: seconds without a keep-alive after which an agent counts as disconnected."""

    silence: float
    active: set[str] = field(default_factory=set)

    def look(self, agents: Iterable[Seen], now: float) -> list[Seen]:
        """Those that were active at the last look, are still in client.keys, and are silent now.

        Nobody is reported at the first look: who was silent before this process began was reported by an earlier one.
        """
        present = list(agents)
        active = {agent.label for agent in present if agent.last is not None and now - agent.last < self.silence}
        gone = [agent for agent in present if agent.label in self.active and agent.label not in active]
        self.active = active
        return gone


def disconnected(agent: Seen) -> bytes:
    """The event that says so.  Colons of an IPv6 address need the agents' form of a location."""
    location = f"({agent.name}) {agent.address}->" if ":" in agent.address else f"{agent.label}->"
    text = f"ossec: Agent disconnected: '{agent.label}'."
    return queue.encode(
        queue.LOCAL,
        (location + "ossec-monitord").encode("utf-8", "surrogateescape"),
        text.encode(errors="surrogateescape"),
    )


STARTED = queue.encode(queue.LOCAL, b"ossec-monitord", b"ossec: Ossec started.")
