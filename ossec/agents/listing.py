"""How the tools print agents: OSSEC's text, its comma form and JSON (spec/protocol.md, section 11)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from ossec.agents.status import LOCAL_ID, Agent, Scans, State

UNKNOWN = "Unknown"
NO_VERSION = "(null)"  # as OSSEC prints a keep-alive without one
NOT_AVAILABLE = "Not available"


def stamp(seconds: float | None, absent: str = UNKNOWN) -> str:
    """`Sun Nov 22 04:20:36 2026`, local time."""
    return absent if seconds is None else time.ctime(seconds)


def state_of(agent: Agent) -> str:
    return "Active/Local" if agent.row.id == LOCAL_ID else str(agent.state)


def version_of(agent: Agent) -> str:
    if agent.version is not None:
        return agent.version
    return UNKNOWN if agent.system is None else NO_VERSION


def system_of(agent: Agent) -> str:
    return UNKNOWN if agent.system is None else agent.system


def _name(agent: Agent) -> str:
    return f"{agent.row.name} (server)" if agent.row.id == LOCAL_ID else agent.row.name


def list_text(
    program: str, agents: Iterable[Agent], devices: Iterable[tuple[str, str]] | None, *, long: bool = False
) -> str:
    """`-l`, `-lc` (then `devices` is None); `long` adds since when and by whom superseded."""
    lines = [f"\nOSSEC HIDS {program}. List of available agents:\n"]
    for agent in agents:
        line = f"   ID: {agent.row.id}, Name: {_name(agent)}, IP: {agent.row.ip}, {state_of(agent)}"
        if agent.marker is not None:
            line += f", {agent.marker.tag}"
        if long:
            if agent.last_seen is not None:
                line += f", Last keep alive: {stamp(agent.last_seen)}"
            if agent.superseded_by is not None:
                line += f", Superseded by {agent.superseded_by}"
        lines.append(line + "\n")
    if devices is not None:
        lines.append("\nList of agentless devices:\n")
        lines += [f"   ID: na, Name: {name}, IP: {address}, agentless\n" for name, address in devices]
    lines.append("\n")
    return "".join(lines)


def list_csv(agents: Iterable[Agent], devices: Iterable[tuple[str, str]] | None, *, long: bool = False) -> str:
    """`-ls`."""
    lines = []
    for agent in agents:
        tag = agent.marker.tag if agent.marker is not None else ""
        line = f"{agent.row.id},{_name(agent)},{agent.row.ip},{state_of(agent)},{tag}"
        if long:
            seen = "" if agent.last_seen is None else stamp(agent.last_seen)
            line += f",{seen},{agent.superseded_by or ''}"
        lines.append(line + "\n")
    lines += [f"na,{name},{address},agentless,\n" for name, address in devices or ()]
    return "".join(lines) + "\n"


def list_values(agents: Iterable[Agent], devices: Iterable[tuple[str, str]] | None) -> list[dict[str, object]]:
    """`-l -j`: OSSEC's keys first; `lastKeepAlive` in seconds since the epoch, and `supersededBy`, are ours."""
    values: list[dict[str, object]] = []
    for agent in agents:
        value: dict[str, object] = {
            "id": agent.row.id,
            "name": agent.row.name,
            "ip": agent.row.ip,
            "status": str(agent.state),
        }
        if agent.marker is not None:
            value["fimMaintenance"] = agent.marker.tag
        if agent.last_seen is not None:
            value["lastKeepAlive"] = int(agent.last_seen)
        if agent.superseded_by is not None:
            value["supersededBy"] = agent.superseded_by
        values.append(value)
    values += [{"id": "na", "name": name, "ip": address, "status": "agentless"} for name, address in devices or ()]
    return values


def answer(response: object) -> str:
    """A success in JSON, without a line end, as OSSEC's."""
    return json.dumps({"error": 0, "response": response}, separators=(",", ":"))


def failure(number: int, description: str) -> str:
    return json.dumps({"error": number, "description": description}, separators=(",", ":"))


def _keep_alive(agent: Agent) -> str:
    return NOT_AVAILABLE if agent.row.id == LOCAL_ID else stamp(agent.last_seen)


def _address(agent: Agent) -> str:
    return agent.row.ip if agent.row.id == LOCAL_ID else agent.network


def maintenance_words(agent: Agent) -> str:
    if agent.marker is None:
        return "disabled"
    return "pending-end" if agent.marker.pending_end else "enabled"


def info_text(program: str, agent: Agent, scans: Scans, *, ends: bool = False) -> str:
    """`-i ID`, with `-e` (`ends`) the ends of scans too."""
    identity = agent.row.id + (" " if agent.row.id == LOCAL_ID else "")
    text = (
        f"\nOSSEC HIDS {program}. Agent information:\n"
        f"   Agent ID:   {identity}\n"
        f"   Agent Name: {agent.row.name}\n"
        f"   IP address: {_address(agent)}\n"
        f"   Status:     {state_of(agent)}\n\n"
        f"   Operating system:    {system_of(agent)}\n"
        f"   Client version:      {version_of(agent)}\n"
        f"   Encryption:          {agent.encryption or 'unknown'}\n"
        f"   Last keep alive:     {_keep_alive(agent)}\n\n"
    )
    if ends:
        text += (
            f"   Syscheck last started at:  {stamp(scans.syscheck_start)}\n"
            f"   Syscheck last ended   at:  {stamp(scans.syscheck_end)}\n"
            f"   Rootcheck last started at: {stamp(scans.rootcheck_start)}\n"
            f"   Rootcheck last ended   at: {stamp(scans.rootcheck_end)}\n\n"
        )
    else:
        text += (
            f"   Syscheck last started  at: {stamp(scans.syscheck_start)}\n"
            f"   Rootcheck last started at: {stamp(scans.rootcheck_start)}\n"
        )
    return text + f"   FIM maintenance mode:  {maintenance_words(agent)}\n"


def info_csv(agent: Agent, scans: Scans) -> str:
    """`-i ID -s`."""
    fields = (
        agent.row.id,
        agent.row.name,
        _address(agent),
        state_of(agent),
        system_of(agent),
        version_of(agent),
        _keep_alive(agent),
        stamp(scans.syscheck_start),
        stamp(scans.rootcheck_start),
    )
    return ",".join(fields) + ",\n"


def info_values(agent: Agent, scans: Scans, *, ends: bool = False) -> dict[str, object]:
    """`-i ID -j`."""
    values: dict[str, object] = {
        "id": agent.row.id,
        "name": agent.row.name,
        "ip": _address(agent),
        "status": str(agent.state),
        "os": system_of(agent),
        "version": version_of(agent),
        "encryption": agent.encryption or "unknown",
        "lastKeepAlive": _keep_alive(agent),
        "syscheckTime": stamp(scans.syscheck_start),
        "syscheckEndTime": stamp(scans.syscheck_end) if ends else "",
        "rootcheckTime": stamp(scans.rootcheck_start),
        "rootcheckEndTime": stamp(scans.rootcheck_end) if ends else "",
        "fimMaintenance": maintenance_words(agent),
    }
    if agent.superseded_by is not None:
        values["supersededBy"] = agent.superseded_by
    return values


def availability(agents: Iterable[Agent], wanted: State | None) -> str:
    """list_agents: those that connected once, all (None), active ones, or those that are silent."""
    words = {State.ACTIVE: "active", State.DISCONNECTED: "not active", None: "available"}[wanted]
    lines = [
        f"{agent.row.name}-{agent.row.address} is {words}.\n"
        for agent in agents
        if agent.state is not State.NEVER and wanted in (None, agent.state)
    ]
    return "".join(lines) or "** No agent available.\n"
