"""The table of a home: directories with mode and owner, and the programs of bin/ (spec/configuration.md, section 1)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import ossec
from ossec.suite.template import InstallType

MAIN_USER = "ossec"
MAIL_USER = "ossecm"
REMOTE_USER = "ossecr"
GROUP = "ossec"
USERS = (MAIN_USER, MAIL_USER, REMOTE_USER)

CONFIGURATION_MODE = 0o640  # etc/*.conf, rules, decoders, client.keys: root:ossec
PROGRAM_MODE = 0o550
LOG_MODE = 0o660  # ossec.log, active-responses.log: ossec:ossec
SHARED_MODE = 0o640
OWNER_WRITES = 0o200  # added to directories where the owner is not root, who needs no such bit


@dataclass(frozen=True, slots=True)
class Directory:
    path: str
    mode: int
    owner: str = "root"
    group: str = GROUP


_COMMON = (
    Directory(".", 0o550),
    Directory(".ssh", 0o700),
    Directory("active-response", 0o550),
    Directory("active-response/bin", 0o550),
    Directory("agentless", 0o550),
    Directory("backup", 0o550),
    Directory("backup/agents", 0o750, MAIN_USER),
    Directory("bin", 0o550, group="root"),
    Directory("etc", 0o550),
    Directory("etc/shared", 0o770),
    Directory("logs", 0o750, MAIN_USER),
    Directory("queue", 0o550),
    Directory("queue/alerts", 0o770, MAIN_USER),
    Directory("queue/diff", 0o750, MAIN_USER),
    Directory("queue/ossec", 0o750, MAIN_USER),
    Directory("queue/syscheck", 0o750, MAIN_USER),
    Directory("tmp", 0o1550),
    Directory("var", 0o550),
    Directory("var/run", 0o770),
)
_AGENT = (Directory("queue/rids", 0o750, MAIN_USER),)
_MANAGER = (
    Directory("etc/lists", 0o550),  # CDB lists; OSSEC leaves it to the administrator
    Directory("logs/alerts", 0o750, MAIN_USER),
    Directory("logs/archives", 0o750, MAIN_USER),
    Directory("logs/firewall", 0o750, MAIN_USER),
    Directory("queue/agent-info", 0o750, REMOTE_USER),
    Directory("queue/agentless", 0o750, MAIN_USER),
    Directory("queue/fts", 0o750, MAIN_USER),
    Directory("queue/mail", 0o750, MAIL_USER),
    Directory("queue/readers", 0o750, MAIL_USER),
    Directory("queue/rids", 0o750, REMOTE_USER),
    Directory("queue/rootcheck", 0o750, MAIN_USER),
    Directory("rules", 0o550),
    Directory("stats", 0o750, MAIN_USER),
)


def directories(kind: InstallType) -> tuple[Directory, ...]:
    """Parents before children."""
    rows = _COMMON + (_AGENT if kind is InstallType.AGENT else _MANAGER)
    return tuple(sorted(rows, key=lambda row: row.path))


# Programs of bin/.  Those that this version does not have get no wrapper.
_BOTH = (
    "agent-auth",
    "agent_control",
    "manage_agents",
    "ossec-control",
    "ossec-execd",
    "ossec-logcollector",
    "ossec-syscheckd",
)
_AGENT_PROGRAMS = ("ossec-agentd",)
_MANAGER_PROGRAMS = (
    "clear_stats",
    "list_agents",
    "ossec-agentlessd",
    "ossec-analysisd",
    "ossec-authd",
    "ossec-csyslogd",
    "ossec-dbd",
    "ossec-logtest",
    "ossec-maild",
    "ossec-makelists",
    "ossec-monitord",
    "ossec-regex",
    "ossec-remoted",
    "ossec-reportd",
    "ossec-ruletest",
    "rootcheck_control",
    "syscheck_control",
    "syscheck_update",
    "verify-agent-conf",
)


def programs(kind: InstallType) -> dict[str, str]:
    """Program -> module with its `main`, for those that exist."""
    names = _BOTH + (_AGENT_PROGRAMS if kind is InstallType.AGENT else _MANAGER_PROGRAMS)
    found = ((name, module_of(name)) for name in sorted(names))
    return {name: module for name, module in found if module is not None}


def module_of(program: str) -> str | None:
    """`ossec-execd` -> `ossec.execd.__main__`, `ossec-logtest` -> `ossec.cli.logtest`; None where there is neither."""
    package = Path(ossec.__file__).parent
    short = program.removeprefix("ossec-").replace("-", "_")
    if (package / short / "__main__.py").is_file():
        return f"ossec.{short}.__main__"
    return f"ossec.cli.{short}" if (package / "cli" / f"{short}.py").is_file() else None


def wrapper(program: str, module: str) -> str:
    """bin/PROGRAM: sh and Python at once, so that the interpreter's path may be long and hold blanks.

    The process stays `python HOME/bin/PROGRAM`: ossec-control knows it by that, and the program finds its home by it.
    """
    root = Path(ossec.__file__).resolve().parent.parent
    installed = any("-packages" in part for part in root.parts)
    path = "" if installed else f"sys.path.insert(1, {str(root)!r})\n"
    return f"""#!/bin/sh
'''exec' "{sys.executable}" -P "$0" "$@"
' '''
\"\"\"{program} of this home; written by ossec-install.\"\"\"

import sys

{path}from {module} import main

sys.exit(main())
"""
