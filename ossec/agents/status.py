"""Who is active, who has been silent since when, who never came, and whose place another entry has taken.

All of it comes from the agents' files in `queue/agent-info` (spec/protocol.md, section 8): the first line is what the
agent says of its host, the file's time is its last keep-alive.

*Superseded.*  A host that moves to another network is often given a new entry, and the old one stays in every list as
if a machine were down.  Its keep-alives name the host, so: an entry that is silent, whose host name one active entry
has too, and only one, is superseded by that.  Two active entries of one host name show that names tell nothing there;
`localhost` tells nothing anywhere; a Windows agent's keep-alive names no host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from ossec import COMPATIBLE_VERSION
from ossec.agents import maintenance
from ossec.agents.keyfile import KeyFile, Row
from ossec.agents.maintenance import Marker
from ossec.config import addresses
from ossec.layout import Layout

NOTIFY_TIME = 600  # seconds between keep-alives, where internal_options.conf says nothing else
GRACE = 30  # seconds that three missed ones may be late
MAX_INFO = 4096  # bytes of an agent's file that are looked at; an agent sends 1023
LOCAL_ID = "000"  # the server itself
LOCAL_ADDRESS = "127.0.0.1"
NAMELESS = frozenset({"localhost", "localhost.localdomain", "(none)", "unknown"})

_METHOD = re.compile(r"crypto_method:(\w+)")


class State(StrEnum):
    ACTIVE = "Active"
    DISCONNECTED = "Disconnected"
    NEVER = "Never connected"


@dataclass(frozen=True, slots=True)
class Agent:
    """One entry of client.keys and what its file says.  Times are seconds since the epoch."""

    row: Row
    state: State
    last_seen: float | None = None
    system: str | None = None  # the host in its own words
    version: str | None = None
    encryption: str | None = None
    marker: Marker | None = None
    superseded_by: str | None = None  # an ID

    @property
    def host(self) -> str | None:
        """The host's name, where its words tell it: `Linux web01 6.1.0 …`."""
        words = (self.system or "").split(" ")
        if len(words) < 4 or words[0] == "Microsoft" or words[1].lower() in NAMELESS:
            return None
        return words[1].lower()

    @property
    def label(self) -> str:
        """As locations and file names have it: `(NAME) IP`."""
        return f"({self.row.name}) {self.row.address}"

    @property
    def network(self) -> str:
        """The address with its prefix length: `10.9.0.11/32`, `any/0`."""
        if "/" in self.row.ip:
            return self.row.ip
        entry = addresses.parse(self.row.ip)
        return f"{self.row.ip}/{entry.prefix}" if entry is not None else self.row.ip


def silent_after(notify_time: int = NOTIFY_TIME) -> int:
    """Seconds without a keep-alive after which an agent counts as disconnected."""
    return 3 * notify_time + GRACE


def judge(row: Row, info: bytes | None, last_seen: float | None, now: float, silence: int) -> Agent:
    """An entry from what its file holds (None: it has none) and when that was written."""
    if info is None or last_seen is None:
        return Agent(row, State.NEVER)
    first, _, rest = info.decode("utf-8", "surrogateescape").partition("\n")
    system, separator, version = first.partition(" - ")
    method = _METHOD.search(rest)
    return Agent(
        row,
        State.ACTIVE if now - last_seen < silence else State.DISCONNECTED,
        last_seen,
        system,
        version if separator else None,
        method[1] if method else None,
    )


def mark_superseded(agents: Iterable[Agent]) -> list[Agent]:
    """The same agents, silent ones with the active entry of their host."""
    listed = list(agents)
    active: dict[str, list[Agent]] = {}
    for agent in listed:
        if agent.state is State.ACTIVE and agent.host is not None:
            active.setdefault(agent.host, []).append(agent)
    marked = []
    for agent in listed:
        others = active.get(agent.host or "", [])
        if agent.state is State.DISCONNECTED and len(others) == 1:
            agent = replace(agent, superseded_by=others[0].row.id)
        marked.append(agent)
    return marked


def survey(layout: Layout, known: KeyFile, now: float, silence: int) -> list[Agent]:
    """Every agent of a home, in the order of client.keys."""
    agents = []
    for row in known.agents:
        info, seen = _read_info(layout, row)
        agent = judge(row, info, seen, now, silence)
        agents.append(replace(agent, marker=maintenance.read(layout.maintenance_mark(agent.label))))
    return mark_superseded(agents)


def local_agent(layout: Layout) -> Agent:
    """The server itself, as agent 000."""
    host = os.uname()
    return Agent(
        Row(LOCAL_ID, host.nodename, LOCAL_ADDRESS, ""),
        State.ACTIVE,
        system=f"{host.sysname} {host.nodename} {host.release} {host.version} {host.machine}",
        version=f"OSSEC HIDS {COMPATIBLE_VERSION}",
        marker=maintenance.read(layout.maintenance_mark(maintenance.LOCAL)),
    )


def agentless(layout: Layout) -> list[tuple[str, str]]:
    """(name, address) of every agentless device that was asked once: files `(SCRIPT) USER@HOST`."""
    try:
        names = sorted(path.name for path in layout.agentless_queue_dir.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    return [(name, name.rpartition("@")[2]) for name in names]


def _read_info(layout: Layout, row: Row) -> tuple[bytes | None, float | None]:
    if "/" in row.name:
        return None, None
    try:
        with layout.agent_info(f"{row.name}-{row.address}").open("rb") as file:
            return file.read(MAX_INFO), os.fstat(file.fileno()).st_mtime
    except OSError:
        return None, None


@dataclass(frozen=True, slots=True)
class Scans:
    """When an agent's scans last began and ended; None where that is not known."""

    syscheck_start: float | None = None
    syscheck_end: float | None = None
    rootcheck_start: float | None = None
    rootcheck_end: float | None = None


_SCANS = (
    ("syscheck_start", "Starting syscheck scan"),
    ("syscheck_end", "Ending syscheck scan"),
    ("rootcheck_start", "Starting rootcheck scan"),
    ("rootcheck_end", "Ending rootcheck scan"),
)
_STAMP = re.compile(r".(\d{1,11})")
MAX_ROOTCHECK = 16 * 1024 * 1024  # bytes; a database of findings has a few thousand lines


def scans(layout: Layout, agent: Agent) -> Scans:
    """From the agent's rootcheck database: `!TIME!TIME Starting syscheck scan.` and its like, the last one counts."""
    local = agent.row.id == LOCAL_ID
    try:
        with layout.rootcheck_database("rootcheck" if local else f"{agent.label}->rootcheck").open("rb") as file:
            text = file.read(MAX_ROOTCHECK).decode("utf-8", "replace")
    except OSError:
        return Scans()
    found: dict[str, float] = {}
    for line in text.split("\n"):
        for name, words in _SCANS:
            if words in line and (match := _STAMP.match(line)):
                found[name] = float(match[1])
    return Scans(**found)
