"""Control messages between agents and server: texts that start with `#!-` (spec/protocol.md, sections 4 and 5).

`parse_from_agent` and `parse_from_server` tell what a text is; the `format_*` functions and constants write them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ossec import COMPATIBLE_VERSION

HEAD = b"#!-"
STARTUP = b"#!-agent startup "
ACK = b"#!-agent ack "
EXECD = b"#!-execd "
SYSCHECK_RESTART = b"#!-syscheck restart"
FILE_HEAD = b"#!-up file "
FILE_END = b"#!-close file "

MAX_KEEPALIVE = 1023  # bytes an agent of OSSEC sends
MAX_FILE_LIST = 1024  # bytes of it that the server looks at
MERGED = "merged.mg"
NO_SUM = "x"  # stands for a file that the agent does not have


@dataclass(frozen=True, slots=True)
class Event:
    """`Q:LOCATION:TEXT`, to be handed on."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Startup:
    """The agent asks to be answered."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """What an agent says about itself.

    `uname` is the first line without `#!-` (None: it has no line end, so nothing else is believed); `files` are
    (md5 or `x`, name) as listed; `fault` is the part that broke the list, as OSSEC names it.
    """

    uname: bytes | None
    text: bytes
    files: tuple[tuple[str, str], ...] = ()
    fault: str | None = None

    def having(self, sums: dict[str, str]) -> Keepalive:
        """The same agent with these files as well."""
        kept = tuple((digest, name) for digest, name in self.files if name not in sums)
        return replace(self, files=(*kept, *((digest, name) for name, digest in sums.items())))

    def sum_of(self, name: str) -> str | None:
        return next((digest for digest, listed in self.files if listed == name), None)


@dataclass(frozen=True, slots=True)
class Ack:
    """The server is there."""


@dataclass(frozen=True, slots=True)
class Execd:
    """A response, for the agent's execq."""

    text: bytes


@dataclass(frozen=True, slots=True)
class SyscheckRestart:
    """Scan now."""


@dataclass(frozen=True, slots=True)
class FileStart:
    """A shared file follows: its md5 in lower hex, its name as sent."""

    digest: str
    name: str


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The shared file is complete."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A control message that we do not know: `#!-` and this."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """A text without `#!-`: part of the shared file that is open."""

    text: bytes


FromAgent = Event | Startup | Keepalive
FromServer = Ack | Execd | SyscheckRestart | FileStart | FileEnd | Unknown | Content


def parse_from_agent(text: bytes) -> FromAgent:
    """Any text is one of them; whether an event is well-formed is judged where it is handed on."""
    if not text.startswith(HEAD):
        return Event(text)
    if text == STARTUP:
        return Startup()
    return parse_keepalive(text)


def parse_keepalive(text: bytes) -> Keepalive:
    """`#!-UNAME`⏎ then lines `SUM NAME`; the line of merged.mg ends the list, and so does an empty one."""
    body = text[len(HEAD) :]
    uname, newline, listing = body.partition(b"\n")
    if not newline:
        return Keepalive(None, body)
    files: list[tuple[str, str]] = []
    rest = listing[:MAX_FILE_LIST]
    fault = None
    while rest:
        line, newline, rest = rest.partition(b"\n")
        if not newline:
            fault = "strchr \\n" if b" " in line and line.split(b" ", 1)[1] else "strchr ' '"
            break
        digest, space, name = line.partition(b" ")
        if not space:
            fault = "strchr ' '"
            break
        files.append((digest.decode("latin-1"), name.decode("utf-8", "surrogateescape")))
        if name == MERGED.encode():
            break
    return Keepalive(uname, body, tuple(files), fault)


def format_keepalive(uname: str, agent_conf_sum: str | None, merged_sum: str | None, noise: str) -> bytes:
    """What an agent sends.  `uname` from `format_uname`; sums are md5 in lower hex, None where there is no file."""
    head = uname + (f" / {agent_conf_sum}" if agent_conf_sum else "")
    text = f"#!-{head}\n{merged_sum or NO_SUM} {MERGED}\n\n{noise}"
    return text.encode("utf-8", "surrogateescape")[:MAX_KEEPALIVE]


def format_uname(system: str, node: str, release: str, version: str, machine: str) -> str:
    """How an agent names its host and itself; agent.conf's `os` is matched against it."""
    return f"{system} {node} {release} {version} {machine} - OSSEC HIDS {COMPATIBLE_VERSION}"


_FILE_START = re.compile(rb"(\S*) ([^\n]*)")


def parse_from_server(text: bytes) -> FromServer:
    """Any text is one of them."""
    if not text.startswith(HEAD):
        return Content(text)
    if text == ACK:
        return Ack()
    if text.startswith(EXECD):
        return Execd(text[len(EXECD) :])
    if text == SYSCHECK_RESTART:
        return SyscheckRestart()
    if text == FILE_END:
        return FileEnd()
    if text.startswith(FILE_HEAD):
        match = _FILE_START.match(text, len(FILE_HEAD))
        if match:
            return FileStart(match[1].decode("latin-1"), match[2].decode("utf-8", "surrogateescape"))
    return Unknown(text[len(HEAD) :])


def format_execd(command: bytes) -> bytes:
    """A response for an agent: `NAME USER IP …`."""
    return EXECD + command


def format_file_start(digest: str, name: str) -> bytes:
    return FILE_HEAD + f"{digest} {name}\n".encode("utf-8", "surrogateescape")
