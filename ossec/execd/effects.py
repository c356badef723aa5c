"""What the policy asks of the shell, and what the shell tells it: plain values.

Effects of one turn are performed in this order: all `Journal` records (one write, one sync), then the rest as listed.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ossec.execd.journal import Key, Record

ADD = b"add"
DELETE = b"delete"
# A start that failed so is worth another try.
TRANSIENT = frozenset({errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ETXTBSY})


@dataclass(frozen=True, slots=True)
class Command:
    """A response as ar.conf names it.  `script` is its full path, empty when it cannot run on this system."""

    script: bytes
    timeout: int


@dataclass(frozen=True, slots=True)
class Run:
    """One call of a script: `script action words…`."""

    id: int
    key: Key
    name: bytes
    action: bytes
    words: tuple[bytes, ...]
    timeout: int  # of the response; 0: nothing will undo it
    expires: float  # when it will be undone; 0.0 with timeout 0
    block: int = 0  # the journal's number; 0 for a response that is not undone

    @property
    def script(self) -> bytes:
        return self.key.script

    @property
    def argv(self) -> tuple[bytes, ...]:
        return (self.key.script, self.action, *self.words)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: an exit status, a signal, or an `errno` when it never began."""

    status: int = 0
    signal: int = 0
    errno: int = 0
    said: bytes = b""  # the end of what it wrote to stderr

    @property
    def hopeless(self) -> bool:
        """It could not start, and will not a minute later."""
        return self.errno != 0 and self.errno not in TRANSIENT

    @property
    def good(self) -> bool:
        return not (self.status or self.signal or self.errno)


@dataclass(frozen=True, slots=True)
class Journal:
    """Write these down; with `sync` they must be on the disk before any `Start` of the turn."""

    records: tuple[Record, ...]
    sync: bool


@dataclass(frozen=True, slots=True)
class Start:
    run: Run


@dataclass(frozen=True, slots=True)
class Kill:
    """End the script and what it started: `hard` after a word of warning has not helped."""

    run: int
    hard: bool


@dataclass(frozen=True, slots=True)
class Log:
    """A line for ossec.log.  `bare`: the text is the whole line; `plain`: no level in it."""

    level: int
    text: str
    code: int | None = None
    plain: bool = False
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """An event for analysisd: somebody has to look."""

    text: str


Table = tuple[Mapping[bytes, Command], Sequence[Log]]  # ar.conf: commands by name, and what there is to say
Effect = Journal | Start | Kill | Log | Alert
