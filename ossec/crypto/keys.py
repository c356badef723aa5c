"""client.keys: one agent a line, `ID NAME IP KEY` (spec/protocol.md, section 1).

`parse` reads a file as OSSEC's daemons do and says what it had to skip; `AgentKey.format` gives the line back.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import cached_property

from ossec.config import addresses
from ossec.errors import OssecError

MAX_FIELD = 127  # longer ones are cut before use, as OSSEC's buffers do
REMOVED_MARK = "#*#*#*#*#*#*#*#*#*#*#"
DERIVED_ID_CHARS = 15


class KeyLineError(OssecError):
    """A line that is no agent's."""


@dataclass(frozen=True)
class AgentKey:
    """One agent.  `ip` is the text as written (`any`, an address, a CIDR, any of them negated by `!`)."""

    id: str
    name: str
    ip: str
    secret: str

    @classmethod
    def parse(cls, line: str) -> AgentKey:
        """The agent of a line without its line end; KeyLineError."""
        parts = line.split(" ", 3)
        if len(parts) < 4 or "\t" in line or not all(parts):
            raise KeyLineError(f"not `ID NAME IP KEY`: {line[:40]!r}")
        key = cls(*(part[:MAX_FIELD] for part in parts))
        key.entry  # noqa: B018  # judged here, so that a bad address is an error of its line
        return key

    def format(self) -> str:
        return f"{self.id} {self.name} {self.ip} {self.secret}"

    def export(self) -> str:
        """What `manage_agents -e` prints: the line in base64."""
        return base64.b64encode(self.format().encode("utf-8", "surrogateescape")).decode()

    @classmethod
    def from_export(cls, text: str) -> AgentKey:
        """An exported key pasted with line breaks, blanks or without its padding; KeyLineError."""
        letters = "".join(text.split()).rstrip("=")
        try:
            line = base64.b64decode(letters + "=" * (-len(letters) % 4), validate=False)
        except binascii.Error:
            raise KeyLineError("not an exported key") from None
        return cls.parse(line.decode("utf-8", "surrogateescape"))

    @cached_property
    def entry(self) -> addresses.Entry:
        """Where the agent may send from."""
        entry = addresses.parse(self.ip)
        if entry is None:
            raise KeyLineError(f"no address: {self.ip!r}")
        return entry

    @property
    def address_text(self) -> str:
        """The IP as OSSEC shows it in locations and file names: without its prefix length."""
        return self.ip.split("/", 1)[0]

    @property
    def single_host(self) -> bool:
        """Whether the agent has one fixed address, so that its datagrams carry no `!ID!`."""
        return self.entry.prefix == (32 if self.entry.family == addresses.IPV4 else 128)

    @cached_property
    def derived(self) -> bytes:
        """The 47 characters that both ciphers' keys are taken from."""
        owner = _md5(_md5(self.name) + _md5(self.id))[:DERIVED_ID_CHARS]
        return (_md5(self.secret) + owner).encode()


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a client.keys holds.  `removed` ids stay taken; `skipped` are (line number, reason) for the log."""

    keys: tuple[AgentKey, ...]
    removed: tuple[str, ...]
    skipped: tuple[tuple[int, str], ...]


def parse(data: bytes) -> KeyFile:
    """Any bytes: lines that are no agent's are reported, not fatal (OSSEC ends on a bad address)."""
    keys: list[AgentKey] = []
    removed: list[str] = []
    skipped: list[tuple[int, str]] = []
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        if not line:
            continue
        if line.startswith(("#", " ")):
            continue
        words = line.split(" ", 2)
        if len(words) > 1 and words[1].startswith("#"):
            removed.append(words[0])
            continue
        try:
            keys.append(AgentKey.parse(line))
        except KeyLineError as error:
            skipped.append((number, str(error)))
    return KeyFile(tuple(keys), tuple(removed), tuple(skipped))


def _md5(text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
