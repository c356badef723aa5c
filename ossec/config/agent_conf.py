"""etc/shared/agent.conf: what the server gives its agents to collect, added to an agent's own ossec.conf.

Roots are `agent_config`; their attributes say whom a block is for (spec/configuration.md, section 4).  Of the sections
only `localfile`, `syscheck` and `rootcheck` count.  Mistakes stop nobody: the lines are OSSEC's, but where OSSEC loses
the rest of the file, ours loses what is wrong.  A block without attributes is for all agents, also before the agent has
written down who it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ossec import COMPATIBLE_VERSION
from ossec.config import dialect
from ossec.config.dialect import DialectError, Node
from ossec.config.loader import build, read, read_child, refuse_file
from ossec.config.model import Configuration
from ossec.config.problems import IN_FILE, Problems, Refusal
from ossec.config.schema import Machine, Reading, place_of
from ossec.layout import Layout
from ossec.regex import PatternError, compile_match

ROOT = "agent_config"
VERIFIER = "verify-agent-conf"
REFUSED = 255  # exit status of verify-agent-conf
MAX_AGENT_INFO = 4096  # bytes; agentd writes four short lines

# What a program takes; OSSEC's syscheckd reads the file once for each, and says everything twice.
PASSES = {
    "ossec-logcollector": (("localfile",),),
    "ossec-syscheckd": (("syscheck",), ("rootcheck",)),
    VERIFIER: (("localfile",),),
}


@dataclass(frozen=True, slots=True)
class Agent:
    """What a block's attributes are compared with; None: not known (yet), matches nothing."""

    name: str | None = None
    os: str | None = None
    profile: str | None = None


def this_agent(layout: Layout) -> Agent:
    """What agentd has written down about this agent, and what the machine says it is."""
    system = os.uname()
    described = " ".join((system.sysname, system.nodename, system.release, system.version, system.machine))
    described += f" - OSSEC HIDS {COMPATIBLE_VERSION}"
    try:
        with layout.agent_info_file.open("rb") as file:
            lines = file.read(MAX_AGENT_INFO).decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        return Agent(os=described)
    return Agent(lines[0] or None, described, lines[3] if len(lines) > 3 and lines[3] else None)


def load(
    layout: Layout,
    path: Path | None = None,
    program: str = "ossec-logcollector",
    *,
    remote_commands: bool = False,
    agent: Agent | None = None,
    machine: Machine | None = None,
) -> Configuration:
    """An agent's ossec.conf with agent.conf added.

    ConfigurationError for mistakes in ossec.conf only; those of agent.conf are among `.warnings`.  `remote_commands`:
    the internal option logcollector.remote_commands.
    """
    reading = read(layout, path, program, "agent", machine=machine)
    if reading.problems.failed:
        raise reading.problems.error()
    lines = tuple(reading.problems.lines())
    lines += tuple(add(reading, agent or this_agent(layout), remote_commands=remote_commands))
    return replace(build(reading), warnings=lines)


def check(
    layout: Layout,
    path: Path | None = None,
    program: str = "ossec-logcollector",
    *,
    remote_commands: bool = False,
    agent: Agent | None = None,
    machine: Machine | None = None,
) -> tuple[list[str], int]:
    """What `-t` prints on an agent, and its exit status, which agent.conf has no say in."""
    reading = read(layout, path, program, "agent", machine=machine)
    lines, failed = reading.problems.lines(), reading.problems.failed
    if not failed:
        lines += add(reading, agent or this_agent(layout), remote_commands=remote_commands)
    return lines, int(failed)


def verify(layout: Layout, path: Path) -> tuple[list[str], int]:
    """What verify-agent-conf prints of a file, all blocks of it, and its exit status.

    OSSEC's looks at `localfile` only; ours goes on to the other sections and says what an agent would say to them.  An
    attribute that nobody knows is a mistake too: the block would be for all agents.
    """
    upstream: list[str] = []
    ours: list[str] = []
    refused = False
    for program, sections in ((VERIFIER, ("localfile",)), ("ossec-syscheckd", ("syscheck", "rootcheck"))):
        problems = Problems(VERIFIER, path, shared=True)
        reading = Reading(program, layout, problems, Machine(), remote_commands=True)
        try:
            roots = dialect.read(path)
        except DialectError as error:
            refuse_file(reading, error)
        else:
            _read_blocks(reading, roots, None, sections)
        refused = refused or problems.failed or any("): ERROR: " in line for line in problems.upstream)
        upstream += [line for line in problems.upstream if line not in upstream]
        ours += [line for line in problems.own_lines() if line not in ours]
    return upstream + ours, REFUSED if refused else 0


def add(reading: Reading, agent: Agent, *, remote_commands: bool) -> list[str]:
    """Add etc/shared/agent.conf to what was read; the lines to log.  A missing file is none."""
    path = reading.layout.agent_conf
    own, allowed = reading.problems, reading.remote_commands
    lines: list[str] = []
    ours: list[str] = []
    reading.remote_commands = remote_commands
    try:
        for sections in PASSES.get(reading.program or "", ()):
            reading.problems = Problems(own.program, path, shared=True)
            try:
                roots = dialect.read(path)
            except DialectError as error:
                if not path.exists():
                    return []
                refuse_file(reading, error)
            else:
                _read_blocks(reading, roots, agent, sections)
            lines += reading.problems.upstream
            ours += [line for line in reading.problems.own_lines() if line not in ours]
    finally:
        reading.problems, reading.remote_commands = own, allowed
    return lines + ours


def _read_blocks(reading: Reading, roots: list[Node], agent: Agent | None, sections: tuple[str, ...]) -> None:
    """Read the blocks that are for `agent`; for None all of them."""
    for root in roots:
        if root.name != ROOT:
            refusal = Refusal(
                f"the root element is called {ROOT}, not '{root.name}'",
                f"(1230): ERROR: Invalid element in the configuration: '{root.name}'.",
            )
            reading.problems.refuse(refusal, place_of(root), IN_FILE)
            return
        if not _applies(reading, root, agent):
            continue
        for node in root.children:
            read_child(reading, node, sections)


def _applies(reading: Reading, block: Node, agent: Agent | None) -> bool:
    applies = True
    known = {"name", "os", "profile"}
    for key, pattern in block.attributes:
        if key == "overwrite":
            continue
        if key not in known:
            reading.problems.say(
                f"(1243): ERROR: Invalid attribute '{key}' in the configuration: '{reading.problems.path}'."
            )
            reading.warn(f"<{ROOT}> knows name, os and profile, not '{key}'; it is ignored", block)
            continue
        try:
            matcher = compile_match(pattern)
        except PatternError as error:
            reading.warn(f"the pattern '{pattern}' does not compile, the block is skipped: {error.message}", block)
            applies = False
            continue
        fact = getattr(agent, key) if agent is not None else None
        if agent is not None:
            applies = applies and fact is not None and matcher.test(fact.encode("utf-8", "surrogateescape"))
    return applies
