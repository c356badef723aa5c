"""The journal of blocks: one record a line, `CRC32 JSON` (spec/active-response.md, "What ours does better", 2).

A block's entry is written before its `add` runs, again whenever it changes (the last one counts), and `Gone` when its
`delete` succeeded.  So after a crash the entries that are left are exactly what may still be in force.  A line that is
damaged costs that line only: an older entry of the same block, or a `delete` that runs twice.

    {crc:08x} ["boot","326f0542-…"]
    {crc:08x} ["block",7,"firewall-drop600","/var/ossec/active-response/bin/firewall-drop.sh",["-","192.0.2.1",…],…]
    {crc:08x} ["gone",7]
    {crc:08x} ["offender","/var/ossec/…/firewall-drop.sh","-","192.0.2.1",2,1795320577.1]
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ossec.errors import OssecError

MAX_COUNT = 2**53  # what JSON carries exactly
CRC_DIGITS = 8


class BadRecord(OssecError):
    """A line that is no record: cut by a crash, or damaged."""


class Key(NamedTuple):
    """What a block is on: one script does one thing to one user at one address at a time.

    `serial` is 0, except for a response that can meet no other one (no timeout, no user, no address).
    """

    script: bytes
    user: bytes
    address: bytes
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A block: what was asked for, until when, and how far it came.  Times are seconds since the epoch."""

    id: int
    name: bytes  # of the response in ar.conf
    script: bytes  # full path
    words: tuple[bytes, ...]  # of the message behind the name: user, address, …
    started: float
    expires: float
    alert: bytes  # TIME.ALERTID of the last message that asked for it
    made: bool = False  # an `add` has succeeded
    failures: int = 0  # attempts that failed since the last success or change of direction


@dataclass(frozen=True, slots=True)
class Gone:
    """The block with this id is undone, or was never made."""

    id: int


@dataclass(frozen=True, slots=True)
class Offender:
    """How often `key` came back after its first block."""

    key: Key
    count: int
    seen: float


@dataclass(frozen=True, slots=True)
class Boot:
    """The kernel's boot id: what was made under another one is no longer in the kernel's tables."""

    id: str


Record = Entry | Gone | Offender | Boot


@dataclass(slots=True)
class State:
    """What a journal says."""

    boot: str = ""
    entries: dict[int, Entry] = field(default_factory=dict)
    offenders: dict[Key, Offender] = field(default_factory=dict)
    last_id: int = 0
    damaged: int = 0  # lines that were no records

    def records(self) -> Iterable[Record]:
        """The shortest journal that says the same."""
        yield Boot(self.boot)
        yield from self.offenders.values()
        yield from self.entries.values()


def encode(record: Record) -> bytes:
    """The line, newline included."""
    payload = json.dumps(_fields(record), separators=(",", ":"), allow_nan=False).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(payload), payload)


def decode(line: bytes) -> Record:
    """The record in a line (with or without its newline); BadRecord."""
    checksum, _, payload = line.rstrip(b"\n").partition(b" ")
    if len(checksum) != CRC_DIGITS or checksum != b"%08x" % zlib.crc32(payload):
        raise BadRecord("the checksum does not fit")
    try:
        return _record(json.loads(payload))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BadRecord(f"no record of ours: {error}") from error


def replay(data: bytes) -> State:
    """What the bytes of a journal amount to; lines that are no records are counted and skipped."""
    state = State()
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            record = decode(line)
        except BadRecord:
            state.damaged += 1
            continue
        apply(state, record)
    return state


def apply(state: State, record: Record) -> None:
    """Let one record change the state."""
    match record:
        case Entry():
            state.entries[record.id] = record
            state.last_id = max(state.last_id, record.id)
        case Gone():
            state.entries.pop(record.id, None)
            state.last_id = max(state.last_id, record.id)
        case Offender():
            state.offenders.pop(record.key, None)
            if record.count >= 0:
                state.offenders[record.key] = record
        case Boot():
            state.boot = record.id


def _fields(record: Record) -> list[Any]:
    match record:
        case Entry():
            return [
                "block",
                record.id,
                _text(record.name),
                _text(record.script),
                [_text(word) for word in record.words],
                record.started,
                record.expires,
                _text(record.alert),
                record.made,
                record.failures,
            ]
        case Gone():
            return ["gone", record.id]
        case Offender():
            key = record.key
            return ["offender", _text(key.script), _text(key.user), _text(key.address), record.count, record.seen]
        case Boot():
            return ["boot", record.id]


def _record(fields: Any) -> Record:
    if not isinstance(fields, list):
        raise TypeError("not a list")
    match fields:
        case ["block", number, name, script, [*words], started, expires, alert, bool(made), failures]:
            return Entry(
                _count(number),
                _bytes(name),
                _bytes(script),
                tuple(_bytes(word) for word in words),
                _time(started),
                _time(expires),
                _bytes(alert),
                made,
                _count(failures),
            )
        case ["gone", number]:
            return Gone(_count(number))
        case ["offender", script, user, address, count, seen]:
            if count != -1:
                _count(count)
            return Offender(Key(_bytes(script), _bytes(user), _bytes(address)), count, _time(seen))
        case ["boot", str(boot)]:
            return Boot(boot)
    raise ValueError("unknown kind")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value.encode("utf-8", "surrogateescape")


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MAX_COUNT:
        raise ValueError("not a number of ours")
    return value


def _time(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("not a time")
    return float(value)
