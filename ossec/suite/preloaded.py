"""Answers given beforehand: etc/preloaded-vars.conf and the environment, with OSSEC's names (spec/configuration.md, 9).

The file holds shell assignments (`USER_INSTALL_TYPE="agent"`); it is read, never run.  It is looked for below the
current directory, where OSSEC's script has it, and counts only if nobody but its reader and root may have written it.
A variable of the environment goes before the file's; the command line goes before both.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ossec.errors import ConfigError

FILE = Path("etc/preloaded-vars.conf")
MAX_FILE = 64 * 1024  # bytes; OSSEC's example, all comments, has 4 KiB
ANSWERS = {"y": True, "yes": True, "n": False, "no": False}
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")

# Name -> answer, by what its value is.
TEXTS = {
    "USER_INSTALL_TYPE": "kind",
    "USER_DIR": "home",
    "USER_EMAIL_ADDRESS": "email",
    "USER_EMAIL_SMTP": "smtp_server",
    "USER_AGENT_SERVER_IP": "server_ip",
    "USER_AGENT_SERVER_NAME": "server_ip",
    "USER_AGENT_CONFIG_PROFILE": "profile",
}
SWITCHES = {
    "USER_ENABLE_EMAIL": "mail",
    "USER_ENABLE_SYSCHECK": "syscheck",
    "USER_ENABLE_ROOTCHECK": "rootcheck",
    "USER_ENABLE_ACTIVE_RESPONSE": "active_response",
    "USER_ENABLE_FIREWALL_RESPONSE": "firewall_response",
    "USER_ENABLE_SYSLOG": "remote_syslog",
    "USER_NO_STOP": "silent",
    "USER_UPDATE": "upgrade",
}
LISTS = {"USER_WHITE_LIST": "allow"}
# Nothing here is compiled, translated or deleted, and rules are upgraded as the manifest says.
WITHOUT_MEANING = frozenset(
    {"USER_LANGUAGE", "USER_BINARYINSTALL", "USER_DELETE_DIR", "USER_UPDATE_RULES", "USER_CLEANINSTALL"}
)
KINDS = ("server", "agent", "local", "hybrid")


@dataclass(frozen=True, slots=True)
class Preloaded:
    """`answers` by name, None never among them; `ignored` names that nothing follows."""

    answers: Mapping[str, str | bool | tuple[str, ...]]
    ignored: tuple[str, ...] = ()


def load(environment: Mapping[str, str], folder: Path) -> Preloaded:
    """What the environment and `folder`'s file say; ConfigError for what is no answer."""
    path = folder / FILE
    values = parse(_read(path))
    where = dict.fromkeys(values, str(path))
    for name in (*TEXTS, *SWITCHES, *LISTS):
        if name in environment:
            values[name] = environment[name]
            where[name] = "the environment"
    return choose(values, where)


def parse(text: str) -> dict[str, str]:
    """The assignments in a text; the last of a name holds, lines of another form say nothing."""
    values = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            continue
        try:
            words = shlex.split(match[2], comments=True)
        except ValueError:
            continue
        values[match[1]] = words[0] if words else ""
    return values


def choose(values: Mapping[str, str], where: Mapping[str, str]) -> Preloaded:
    """The answers in assignments; `where` each was found, for complaints.  An empty value is none."""
    answers: dict[str, str | bool | tuple[str, ...]] = {}
    ignored = []
    for name, value in values.items():
        if not value.strip():
            continue
        if name in TEXTS:
            answers.setdefault(TEXTS[name], value)
        elif name in SWITCHES:
            if value.lower() not in ANSWERS:
                raise ConfigError(f"{where[name]}: {name} wants y or n, got {value!r}")
            answers[SWITCHES[name]] = ANSWERS[value.lower()]
        elif name in LISTS:
            answers[LISTS[name]] = tuple(value.replace(",", " ").split())
        elif name.startswith("USER_") and name not in WITHOUT_MEANING:
            ignored.append(name)
    kind = answers.get("kind")
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"{where['USER_INSTALL_TYPE']}: USER_INSTALL_TYPE is one of {', '.join(KINDS)}, not {kind!r}")
    mail = answers.pop("mail", None)
    if mail is False:
        answers["email"] = ""
    elif mail is True and "email" not in answers:
        raise ConfigError(f"{where['USER_ENABLE_EMAIL']}: USER_ENABLE_EMAIL is y, so USER_EMAIL_ADDRESS must be set")
    return Preloaded(answers, tuple(ignored))


def _read(path: Path) -> str:
    """Its text; empty where there is none.  ConfigError for a file that a stranger may have written."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    with os.fdopen(descriptor, "rb") as source:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{path} is no file; move it away")
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & stat.S_IWOTH:
            raise ConfigError(f"{path}: others may have written it; make it yours (chown, chmod o-w), or move it away")
        return source.read(MAX_FILE).decode("utf-8", "surrogateescape")
