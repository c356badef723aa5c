"""Mails that wait, and the state that goes with them, on disk (queue/mail).

A mail is `NUMBER.mail`: the line `ossec-mail 1`, a line of JSON (sender, recipients), the message.  `state` is the line
`ossec-maild 1`, a line of JSON (see `encode_state`), the texts of the alerts that wait.  Both are replaced whole.

A mail whose number the state does not know yet was written by a process that died before it took the alerts off the
list: it is removed at start, its alerts are still in the state or in the stream.  It has not been sent, because sending
comes after the state.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ossec.alertstream import Position, RecordReader
from ossec.daemon.process import write_atomically
from ossec.errors import OssecError
from ossec.layout import Layout
from ossec.maild.batching import MAX_BATCH, MAX_LEFT_OUT, Item, Waiting

log = logging.getLogger("ossec.maild")

MAIL_HEAD = b"ossec-mail 1\n"
STATE_HEAD = b"ossec-maild 1\n"
MAX_MAILS = 10_000  # mails that wait; then alerts stay in their files: a month of a server that is down, at 12 an hour
MAX_REFUSED = 1_000  # kept for the administrator, the oldest goes first
MAX_MAIL = 16 << 20  # bytes; 96 sections of 7 kB, thrice as long when quoted, are 2 MB


class BadSpool(OssecError):
    """Bytes that are no mail of the spool, or no state."""


class Mail(NamedTuple):
    """An envelope and its message (lines ended by CR LF, dots not doubled)."""

    sender: str
    recipients: tuple[str, ...]
    message: bytes

    def encode(self) -> bytes:
        envelope = {"from": self.sender, "to": list(self.recipients)}
        return MAIL_HEAD + json.dumps(envelope).encode("ascii") + b"\n" + self.message

    @classmethod
    def decode(cls, data: bytes) -> Mail:
        """BadSpool for what `encode` does not write."""
        envelope, message = _split(data, MAIL_HEAD)
        sender, recipients = envelope.get("from"), envelope.get("to")
        if not isinstance(sender, str) or not isinstance(recipients, list) or not recipients:
            raise BadSpool("no envelope")
        if not all(isinstance(address, str) for address in recipients):
            raise BadSpool("no envelope")
        return cls(sender, tuple(recipients), message)


@dataclass(slots=True)
class State:
    """What a restart goes on with."""

    position: Position | None = None
    number: int = 1  # of the next mail
    waiting: Waiting = field(default_factory=Waiting)


def encode_state(state: State) -> bytes:
    waiting = state.waiting
    values = {
        "position": state.position.encode().decode("ascii").strip() if state.position else "",
        "number": state.number,
        "hour": waiting.hour,
        "made": waiting.made,
        "held": waiting.held,
        "left_out": [[rule, comment, count] for rule, (comment, count) in waiting.left_out.items()],
        "sizes": [len(item.raw) for item in waiting.items],
    }
    return STATE_HEAD + json.dumps(values).encode("ascii") + b"\n" + b"".join(item.raw for item in waiting.items)


def decode_state(data: bytes) -> State:
    """BadSpool for what `encode_state` does not write."""
    values, texts = _split(data, STATE_HEAD)
    try:
        position = Position.decode(values["position"].encode("ascii")) if values["position"] else None
        waiting = Waiting(
            items=_items(texts, [int(size) for size in values["sizes"]]),
            hour=str(values["hour"]),
            made=int(values["made"]),
            held=bool(values["held"]),
            left_out={int(rule): (str(comment), int(count)) for rule, comment, count in values["left_out"]},
        )
        number = int(values["number"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OssecError) as error:
        raise BadSpool(f"no state: {error}") from None
    if len(waiting.items) > MAX_BATCH + 1 or len(waiting.left_out) > MAX_LEFT_OUT + 1 or number < 1:
        raise BadSpool("no state: out of bounds")
    return State(position, number, waiting)


def _split(data: bytes, head: bytes) -> tuple[dict[str, Any], bytes]:
    if not data.startswith(head):
        raise BadSpool(f"begins with {data[:20]!r}")
    line, newline, rest = data[len(head) :].partition(b"\n")
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not newline or not isinstance(values, dict):
        raise BadSpool("no JSON")
    return values, rest


def _items(texts: bytes, sizes: list[int]) -> list[Item]:
    if any(size < 0 for size in sizes) or sum(sizes) != len(texts):
        raise BadSpool("the alerts have other sizes")
    items = []
    at = 0
    for size in sizes:
        raw = texts[at : at + size]
        at += size
        reader = RecordReader()
        found = reader.feed(raw) + reader.finish()
        if len(found) != 1:
            raise BadSpool(f"no alert: {raw[:80]!r}")
        items.append(Item(found[0].record, raw))
    return items


class Spool:
    """The directory.  Methods raise OSError."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.count = 0

    def load(self) -> tuple[State, list[str]]:
        """The state, and the names of the mails that wait, the oldest first."""
        self._layout.refused_mail_dir.mkdir(mode=0o750, exist_ok=True)
        try:
            state = decode_state(self._layout.mail_state.read_bytes())
            known = True
        except FileNotFoundError:
            state, known = State(), False
        except BadSpool as error:
            aside = self._layout.mail("state.damaged")
            self._layout.mail_state.replace(aside)
            log.error("%s is damaged (%s): it is put aside as %s.", self._layout.mail_state, error, aside)
            state, known = State(), False
        names = []
        for name in sorted(path.name for path in self._layout.mail_dir.glob("*.mail")):
            number = int(name[:-5]) if name[:-5].isascii() and name[:-5].isdigit() else 0
            if known and number >= state.number:
                self._layout.mail(name).unlink()
            else:
                names.append(name)
                state.number = max(state.number, number + 1)
        self.count = len(names)
        return state, names

    def write(self, number: int, mail: Mail) -> str:
        name = f"{number:010d}.mail"
        write_atomically(self._layout.mail(name), mail.encode())
        self.count += 1
        return name

    def replace(self, name: str, mail: Mail) -> None:
        """Fewer recipients than before."""
        write_atomically(self._layout.mail(name), mail.encode())

    def save(self, state: State) -> None:
        write_atomically(self._layout.mail_state, encode_state(state))

    def read(self, name: str) -> Mail:
        """BadSpool where it is damaged."""
        with self._layout.mail(name).open("rb") as file:
            return Mail.decode(file.read(MAX_MAIL))

    def remove(self, name: str) -> None:
        self._layout.mail(name).unlink(missing_ok=True)
        self.count -= 1

    def refuse(self, name: str) -> Path:
        """Put a mail aside for good; the oldest of those goes when there are too many."""
        aside = self._layout.refused_mail_dir / name  # a name that `write` made
        self._layout.mail(name).replace(aside)
        self.count -= 1
        for old in self.refused()[:-MAX_REFUSED]:
            old.unlink(missing_ok=True)
        return aside

    def refused(self) -> list[Path]:
        return sorted(self._layout.refused_mail_dir.glob("*.mail"))

    def take_back(self) -> list[str]:
        """Mails that were refused wait again: the administrator has restarted or reloaded us."""
        names = []
        for path in self.refused():
            path.replace(self._layout.mail(path.name))
            self.count += 1
            names.append(path.name)
        return names
