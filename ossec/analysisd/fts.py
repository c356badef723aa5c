"""What was seen before: first-time-seen tuples and ignored tuples (spec/analysis.md, sections 7.1 and 7.3).

Both are lines of a file, fields joined by single spaces, a field that does not take part empty.  The sets below hold
the lines; whoever builds them gives a function that also writes a new line down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ossec.analysisd.event import Event

# Words of <fts>, in the order in which they are looked for inside what is written, and the field each stands for.
FTS_FIELDS = {
    "srcuser": "dstuser",  # kept: srcuser counts as user
    "user": "dstuser",
    "srcip": "srcip",
    "dstip": "dstip",
    "location": "location",
    "extra_data": "data",
    "data": "data",
    "system_name": "system_name",
    "name": "name",
    "id": "id",
}
# Words of <ignore> and <check_if_ignored>.
IGNORE_FIELDS = ("user", "srcip", "dstip", "id", "location", "data", "name")

MAX_TUPLES = 1_000_000  # lines kept in memory, about 150 MB at the worst; the oldest go

Append = Callable[[bytes], None]


class SeenLines:
    """Lines seen so far, the oldest forgotten first."""

    def __init__(self, known: Iterable[bytes] = (), append: Append | None = None, limit: int = MAX_TUPLES) -> None:
        self._lines = dict.fromkeys(known)
        self._append = append
        self._limit = limit
        self.forgotten = 0  # lines that had to go because of the limit

    def __contains__(self, line: bytes) -> bool:
        return line in self._lines

    def __len__(self) -> int:
        return len(self._lines)

    def clear(self) -> None:
        """Forget every line (a file keeps what it has)."""
        self._lines.clear()

    def add(self, line: bytes) -> bool:
        """Note a line; whether it is new."""
        if line in self._lines:
            return False
        if len(self._lines) >= self._limit:
            del self._lines[next(iter(self._lines))]
            self.forgotten += 1
        self._lines[line] = None
        if self._append is not None:
            self._append(line)
        return True


class FirstSeen:
    """The first-time-seen tuples of all decoders.

    Events of type ids: when more than 2 of the last `list_size` tuples share a beginning longer than `prefix_size` with
    a new one, those `prefix_size` characters stand for it, so that what else begins so is known.
    """

    SIMILAR = 2

    def __init__(self, seen: SeenLines, list_size: int = 32, prefix_size: int = 14) -> None:
        self.seen = seen
        self.prefix_size = prefix_size
        self.recent: deque[bytes] = deque(maxlen=list_size)

    def note(self, event: Event) -> bool:
        """Whether the event's tuple is new; it is known from now on.  Decoders without <fts>: never."""
        decoder = event.decoder
        if decoder is None or not decoder.fts:
            return False
        line = fts_line(event, decoder.name, decoder.fts)
        if line in self.seen:
            return False
        if event.type == "ids":
            size = self.prefix_size
            similar = 0
            for other in self.recent:
                if len(other) > size and line[: size + 1] == other[: size + 1]:
                    similar += 1
                    if similar > self.SIMILAR:
                        line = line[:size]
                        break
            if line in self.seen:
                return False
            self.recent.append(line)
        return self.seen.add(line)


def fts_line(event: Event, name: str, fields: frozenset[str]) -> bytes:
    """`DECODER ID DSTUSER SRCUSER SRCIP DSTIP DATA SYSTEMNAME LOCATION`."""
    return b" ".join(
        (
            name.encode("utf-8", "surrogateescape"),
            (event.id or b"") if "id" in fields else b"",
            (event.dstuser or b"") if "dstuser" in fields else b"",
            (event.srcuser or b"") if "srcuser" in fields else b"",
            (event.srcip or b"") if "srcip" in fields else b"",
            (event.dstip or b"") if "dstip" in fields else b"",
            (event.data or b"") if "data" in fields else b"",
            (event.system_name or b"") if "system_name" in fields else b"",
            event.location if "location" in fields else b"",
        )
    )


def ignore_line(event: Event, fields: frozenset[str]) -> bytes:
    """`NAME ID DSTUSER SRCIP DSTIP DATA SYSTEMNAME LOCATION` for <ignore> and <check_if_ignored>."""
    decoder = event.decoder
    name = decoder.name if decoder is not None and "name" in fields else ""
    return b" ".join(
        (
            name.encode("utf-8", "surrogateescape"),
            (event.id or b"") if "id" in fields else b"",
            (event.dstuser or b"") if "user" in fields else b"",
            (event.srcip or b"") if "srcip" in fields else b"",
            (event.dstip or b"") if "dstip" in fields else b"",
            (event.data or b"") if "data" in fields else b"",
            b"",
            event.location if "location" in fields else b"",
        )
    )
