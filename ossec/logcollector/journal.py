"""The systemd journal, through `journalctl --follow --output=export` (spec/logcollector.md, sections 5.11 and 9.13).

The child process works with the journal of every version and needs no library.  Each entry of the export format is
lines `NAME=value`, or `NAME` followed by a little-endian 64-bit length and that many bytes; an empty line ends it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping

from ossec.errors import RemoteError
from ossec.messages.queue import LOCAL, MAX_TEXT

PROGRAM = "journalctl"
FIELDS = ("MESSAGE", "SYSLOG_IDENTIFIER", "_HOSTNAME")
MAX_IDENTIFIER = 127  # bytes of it that are sent
MAX_ENTRY = 1 << 20  # bytes of one entry that we hold; the journal takes larger fields, of which we would send 6 KiB
CURSOR_SHAPE = re.compile(rb"[\x21-\x7e]{1,256}\Z")

Entry = Mapping[bytes, bytes]


class BadEntry(RemoteError):
    """What journalctl wrote is not the export format."""


class ExportParser:
    """Bytes as they come, to entries."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0  # where the next field starts
        self._entry: dict[bytes, bytes] = {}
        self._size = 0

    def feed(self, data: bytes) -> list[dict[bytes, bytes]]:
        """The entries that `data` completes.  BadEntry when it cannot be the export format."""
        self._data += data
        entries = []
        while True:
            end = self._data.find(b"\n", self._at)
            if end < 0:
                if len(self._data) - self._at > MAX_ENTRY * 2:
                    raise BadEntry("a field without end")
                break
            line = bytes(self._data[self._at : end])
            name, equals, value = line.partition(b"=")
            if not line:
                if self._entry:
                    entries.append(self._entry)
                self._entry, self._size = {}, 0
            elif equals:
                self._put(name, value)
            else:
                length = int.from_bytes(self._data[end + 1 : end + 9], "little")
                after = end + 9 + length
                if len(self._data) > end + 8 and length > MAX_ENTRY * 1024:
                    raise BadEntry(f"a field of {length} bytes")
                if len(self._data) <= after:
                    break
                if self._data[after] != 0x0A:
                    raise BadEntry("a binary field without its newline")
                self._put(name, bytes(self._data[end + 9 : min(after, end + 9 + MAX_ENTRY)]))
                end = after
            self._at = end + 1
        del self._data[: self._at]
        self._at = 0
        return entries

    def _put(self, name: bytes, value: bytes) -> None:
        self._size += len(value)
        if self._size <= MAX_ENTRY:
            self._entry.setdefault(name, value)


class Journal:
    """The `journald` sources together: which entries each wants, and how they are sent."""

    def __init__(self, wanted: Iterable[bytes]) -> None:
        """`wanted`: the locations; an identifier, or a text that starts with `all` or `/` for every entry."""
        self.wanted = list(wanted)
        self._every = [name.startswith((b"all", b"/")) for name in self.wanted]

    @property
    def identifiers(self) -> list[bytes]:
        """What to ask journalctl for; empty: everything."""
        return [] if any(self._every) else sorted(set(self.wanted))

    def datagrams(self, entry: Entry) -> list[bytes]:
        """One for each source that wants the entry."""
        identifier = entry.get(b"SYSLOG_IDENTIFIER")
        host = entry.get(b"_HOSTNAME")
        message = entry.get(b"MESSAGE")
        stamp = entry.get(b"__REALTIME_TIMESTAMP", b"")
        if identifier is None or host is None or message is None or not stamp.isdigit() or len(stamp) > 18:
            return []
        count = sum(every or name == identifier for name, every in zip(self.wanted, self._every, strict=True))
        if not count:
            return []
        text = b"%b %b %b: %b\n" % (
            iso_time(int(stamp) // 1_000_000),
            host,
            identifier[:MAX_IDENTIFIER],
            message.removesuffix(b"\n"),
        )
        datagram = (LOCAL + b":journald:" + text.replace(b"\0", b" "))[:MAX_TEXT] + b"\0"
        return [datagram] * count


def iso_time(seconds: int) -> bytes:
    """Local time with its offset, `2026-11-22T03:58:11+05:30`."""
    local = time.localtime(seconds)
    minutes = abs(local.tm_gmtoff) // 60
    sign = "-" if local.tm_gmtoff < 0 else "+"
    offset = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    return (time.strftime("%Y-%m-%dT%H:%M:%S", local) + offset).encode("ascii")


def cursor_of(entry: Entry) -> bytes | None:
    """Where reading may go on after this entry."""
    cursor = entry.get(b"__CURSOR", b"")
    return cursor if CURSOR_SHAPE.match(cursor) else None


def _place(directory: str | None) -> list[str]:
    return [f"--directory={directory}"] if directory else []


def last_entry_command(directory: str | None) -> list[str]:
    """Prints the newest entry, to learn its cursor."""
    return [PROGRAM, *_place(directory), "--lines=1", "--output=export", "--quiet", "--no-pager"]


def follow_command(
    directory: str | None, identifiers: Iterable[bytes], cursor: bytes | None, narrow: bool
) -> list[bytes | str]:
    """Prints every entry after `cursor` (None: every entry that there is) and waits for more.

    `narrow` asks for the fields that we need only, which journalctl knows since version 236.
    """
    command: list[bytes | str] = [PROGRAM, *_place(directory), "--follow", "--output=export", "--quiet", "--no-pager"]
    command.append(b"--after-cursor=" + cursor if cursor else "--lines=all")
    if cursor:
        command.append("--lines=all")
    if narrow:
        command.append("--output-fields=" + ",".join(FIELDS))
    return command + [b"--identifier=" + name for name in identifiers]
