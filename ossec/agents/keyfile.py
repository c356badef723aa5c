"""client.keys for those who change it: manage_agents and ossec-authd (spec/protocol.md, sections 1 and 9).

`ossec.crypto.keys` reads the file as daemons do; here every line is kept as it is, comments and damaged ones included,
and each change gives a new `KeyFile`.  A removed agent's line keeps its ID and its length, and nothing of its key.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from ossec.config import addresses
from ossec.errors import OssecError

MIN_NAME, MAX_NAME = 2, 128
MAX_ID_DIGITS = 8  # an agent's `!ID!` has room for no more
MAX_KEY_LINE = 256  # of a key that an agent imports
HIGHEST_DEFAULT = 34560  # IDs above it do not move the default ID, as in OSSEC
FIRST_ENROLLED = 1024  # where authd begins to count
SECRET_BYTES = 32  # 64 hex digits, OSSEC's length
MAX_NAME_SUFFIX = 255  # authd: `NAME2` … `NAME255` where the name is taken

_NAME = re.compile(rf"[A-Za-z0-9._-]{{{MIN_NAME},{MAX_NAME}}}")
_ID = re.compile(rf"[0-9]{{1,{MAX_ID_DIGITS}}}")
_SECRET = re.compile(r"[0-9a-f]{64}")


class AgentError(OssecError):
    """A change that cannot be made.  The message is for people; `field` says what is wrong (name, ip, id, key)."""

    field = ""


class BadName(AgentError):
    """Not 2 to 128 of `A-Za-z0-9._-`."""

    field = "name"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Invalid name '{name}' given. Name must contain only alphanumeric characters (min=2, max=32)."
        )


class NameTaken(AgentError):
    field = "name"

    def __init__(self, name: str) -> None:
        super().__init__(f"Name '{name}' already present. Please enter a new name.")


class BadAddress(AgentError):
    field = "ip"

    def __init__(self, address: str) -> None:
        super().__init__(f"Invalid IP '{address}'. Please enter a valid IP Address.")


class AddressTaken(AgentError):
    """`owner` has this single address already."""

    field = "ip"

    def __init__(self, address: str, owner: Row) -> None:
        super().__init__(f"Duplicated IP '{address}'. Please enter an unique IP Address.")
        self.address = address
        self.owner = owner


class BadId(AgentError):
    field = "id"

    def __init__(self, identity: str) -> None:
        super().__init__(f"Invalid ID '{identity}' given. ID must be numeric (max {MAX_ID_DIGITS} digits).")


class IdTaken(AgentError):
    field = "id"

    def __init__(self, identity: str) -> None:
        super().__init__(f"ID '{identity}' already present. They must be unique.")


class UnknownId(AgentError):
    field = "id"

    def __init__(self, identity: str) -> None:
        super().__init__(f"Invalid ID '{identity}' given. ID is not present.")


class BadKey(AgentError):
    """A text that is no exported key, or whose parts are none of an agent's."""

    field = "key"


@dataclass(frozen=True, slots=True)
class Row:
    """One agent's line."""

    id: str
    name: str
    ip: str
    secret: str

    def format(self) -> str:
        return f"{self.id} {self.name} {self.ip} {self.secret}"

    @property
    def address(self) -> str:
        """The IP as file names and locations have it: without its prefix length."""
        return self.ip.split("/", 1)[0]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The lines of a client.keys, without their line ends."""

    lines: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> KeyFile:
        """Any bytes."""
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        if not lines[-1]:
            lines.pop()
        return cls(tuple(lines))

    def format(self) -> bytes:
        """The file; a last line without its line end gets one."""
        return "".join(f"{line}\n" for line in self.lines).encode("utf-8", "surrogateescape")

    @property
    def agents(self) -> list[Row]:
        """In the order of the file; neither removed ones nor lines that are none."""
        return [row for row in map(_row, self.lines) if row is not None]

    def taken_ids(self) -> set[str]:
        """IDs that a new agent cannot have: those of removed agents too."""
        return {line.split(" ", 1)[0] for line in self.lines if _holds_id(line)}

    def find(self, identity: str) -> Row | None:
        """The agent with this ID: as written, else padded to three digits, else the only one of that number."""
        agents = self.agents
        by_id = {row.id: row for row in reversed(agents)}
        found = by_id.get(identity)
        if found is None and identity.isascii() and identity.isdigit() and len(identity) <= MAX_ID_DIGITS:
            found = by_id.get(pad(identity))
            if found is None:
                same = [row for row in agents if row.id.isdigit() and int(row.id) == int(identity)]
                found = same[0] if len(same) == 1 else None
        return found

    def default_id(self) -> str:
        """What manage_agents proposes: one more than the highest up to `HIGHEST_DEFAULT`, and free."""
        taken = {int(identity) for identity in self.taken_ids() if _ID.fullmatch(identity)}
        number = max((number for number in taken if number <= HIGHEST_DEFAULT), default=0) + 1
        while number in taken:
            number += 1
        return pad(str(number))

    def free_id(self) -> str:
        """What authd gives: the lowest from 1024 that nobody has or had; IdTaken when none is left."""
        taken = {int(identity) for identity in self.taken_ids() if _ID.fullmatch(identity)}
        number = FIRST_ENROLLED
        while number in taken:
            number += 1
        if number >= 10**MAX_ID_DIGITS:
            raise IdTaken(str(number))
        return str(number)

    def free_name(self, name: str) -> str:
        """`name`, or the first of `NAME2` … `NAME255` that nobody has; NameTaken."""
        names = {row.name for row in self.agents}
        if name not in names:
            return name
        for number in range(2, MAX_NAME_SUFFIX + 1):
            candidate = f"{name}{number}"
            if candidate not in names and len(candidate) <= MAX_NAME:
                return candidate
        raise NameTaken(name)

    def owner_of(self, address: str) -> Row | None:
        """Who has this single address, as the same text."""
        return next((row for row in self.agents if row.ip == address), None)

    # what may be added
    def check_name(self, name: str) -> None:
        """BadName, NameTaken."""
        if not valid_name(name):
            raise BadName(name)
        if any(row.name == name for row in self.agents):
            raise NameTaken(name)

    def check_address(self, address: str, *, unique: bool = True) -> None:
        """BadAddress; AddressTaken for a single address where `unique`."""
        entry = addresses.parse(address) if address == address.strip() and " " not in address else None
        if entry is None:
            raise BadAddress(address)
        if unique and entry.single and not entry.negated:
            owner = self.owner_of(address)
            if owner is not None:
                raise AddressTaken(address, owner)

    def check_id(self, identity: str) -> None:
        """BadId, IdTaken; `identity` is padded already."""
        if not _ID.fullmatch(identity):
            raise BadId(identity)
        if identity in self.taken_ids():
            raise IdTaken(identity)

    def added(self, row: Row) -> KeyFile:
        """With one more agent; the checks above are the caller's."""
        return KeyFile((*self.lines, row.format()))

    def without(self, identity: str) -> KeyFile:
        """With that agent removed: its ID stays taken, its key is gone; UnknownId."""
        found = False
        lines = []
        for line in self.lines:
            row = _row(line)
            if row is not None and row.id == identity:
                found = True
                line = removal_mark(line)
            lines.append(line)
        if not found:
            raise UnknownId(identity)
        return KeyFile(tuple(lines))


def removal_mark(line: str) -> str:
    """The line of a removed agent: as long as it was, `ID #*#*…#`."""
    identity, _, rest = line.partition(" ")
    length = max(len(rest.encode("utf-8", "surrogateescape")), 21)  # OSSEC's own mark is 21 long
    return f"{identity} {('#*' * length)[: length - 1]}#"


def pad(identity: str) -> str:
    """An ID as the tools write it: at least three digits."""
    return identity.zfill(3) if identity.isascii() and identity.isdigit() else identity


def valid_name(name: str) -> bool:
    """2 to 128 of `A-Za-z0-9._-`, and not `..`, which would be a way out of a directory."""
    return _NAME.fullmatch(name) is not None and name != ".."


def make_secret() -> str:
    """A new key of an agent."""
    return secrets.token_hex(SECRET_BYTES)


def check_import(row: Row) -> None:
    """Whether a key that an agent is given can be one; BadKey.  OSSEC takes anything of four words."""
    if not _ID.fullmatch(row.id):
        raise BadKey(f"its ID is no number: {row.id[:40]!r}")
    if not valid_name(row.name):
        raise BadKey(f"its name is none: {row.name[:40]!r}")
    if addresses.parse(row.ip) is None:
        raise BadKey(f"its address is none: {row.ip[:40]!r}")
    if not row.secret or " " in row.secret or not row.secret.isprintable() or not row.secret.isascii():
        raise BadKey("its key is none")
    if len(row.format()) > MAX_KEY_LINE:
        raise BadKey(f"longer than {MAX_KEY_LINE} characters")


def is_secret(text: str) -> bool:
    """Whether a server made this key: 64 hex digits."""
    return _SECRET.fullmatch(text) is not None


def parse_row(line: str) -> Row:
    """The agent of one line, unchecked; BadKey."""
    row = _row(line)
    if row is None:
        raise BadKey("not `ID NAME IP KEY`")
    return row


def _holds_id(line: str) -> bool:
    return " " in line and not line.startswith(("#", " "))


def _row(line: str) -> Row | None:
    if line.startswith(("#", " ")):
        return None
    parts = line.split(" ", 3)
    if len(parts) < 4 or not all(parts) or parts[1].startswith("#") or "\t" in line:
        return None
    return Row(*parts)
