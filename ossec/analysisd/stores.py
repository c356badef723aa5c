"""What the engine reads and writes outside itself, as small objects that the shell gives it.

`Stores.in_home` is the daemon's: real files below the home.  With `write=False` (ossec-logtest) the files are read and
what is new stays in memory.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ossec.analysisd import cdb
from ossec.analysisd.fts import Append, SeenLines
from ossec.layout import Layout

log = logging.getLogger("ossec.analysisd")

MAX_DIFF = 8192  # bytes of a log that check_diff keeps, as OSSEC
MAX_DIFFS = 10_000  # outputs kept in memory when nothing is written


class Diffs(Protocol):
    """The last output of each (host, rule)."""

    def read(self, host: bytes, sid: int) -> bytes | None:
        """What was stored last, None at first."""

    def write(self, host: bytes, sid: int, log: bytes) -> None:
        """Store the new one."""


class MemoryDiffs:
    """Last outputs in memory only."""

    def __init__(self) -> None:
        self._last: dict[tuple[bytes, int], bytes] = {}

    def read(self, host: bytes, sid: int) -> bytes | None:
        """What was stored last."""
        return self._last.get((host, sid))

    def write(self, host: bytes, sid: int, log: bytes) -> None:
        """Store the new one."""
        if len(self._last) >= MAX_DIFFS:
            del self._last[next(iter(self._last))]
        self._last[host, sid] = log


class FileDiffs:
    """`queue/diff/HOST/SID/last-entry`: the log and a NUL."""

    def __init__(self, layout: Layout, write: bool = True) -> None:
        self._layout = layout
        self._memory = None if write else MemoryDiffs()

    def read(self, host: bytes, sid: int) -> bytes | None:
        """What was stored last; None when there is nothing, or nothing readable."""
        if self._memory is not None:
            kept = self._memory.read(host, sid)
            if kept is not None:
                return kept
        try:
            return self._path(host, sid).read_bytes().removesuffix(b"\0")[:MAX_DIFF]
        except OSError:
            return None

    def write(self, host: bytes, sid: int, log: bytes) -> None:
        """Store the new one; a disk that refuses is told and survived."""
        if self._memory is not None:
            self._memory.write(host, sid, log)
            return
        path = self._path(host, sid)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            part = path.with_name(path.name + ".tmp")
            part.write_bytes(log[:MAX_DIFF] + b"\0")
            part.replace(path)
        except OSError as error:
            globals()["log"].error("cannot keep the output for check_diff: %s", error)

    def _path(self, host: bytes, sid: int) -> Path:
        safe = host.replace(b"/", b"_") if host not in (b"", b".", b"..") else b"_"
        return self._layout.diff_entry(os.fsdecode(safe), sid)


class Lists(Protocol):
    """CDB lists by the name that rules give (without `.cdb`)."""

    def find(self, name: str) -> dict[bytes, bytes] | None:
        """The pairs; None when the list is not declared or cannot be read."""

    def declared(self, name: str) -> bool:
        """Whether ossec.conf names it."""


class FileLists:
    """Lists declared in ossec.conf, read when first asked for: the `.cdb`, or the text when that is newer or alone."""

    def __init__(self, layout: Layout, names: frozenset[str], compat: bool = False) -> None:
        self._layout = layout
        self._names = frozenset(name.removesuffix(".cdb") for name in names)
        self._compat = compat  # only the .cdb counts
        self._read: dict[str, dict[bytes, bytes] | None] = {}

    def declared(self, name: str) -> bool:
        """Whether ossec.conf names it."""
        return name in self._names

    def find(self, name: str) -> dict[bytes, bytes] | None:
        """The pairs of a list."""
        if name not in self._names:
            return None
        if name not in self._read:
            self._read[name] = self._load(name)
        return self._read[name]

    def _load(self, name: str) -> dict[bytes, bytes] | None:
        compiled = self._layout.under(name + ".cdb")
        try:
            if not self._compat:
                text = self._text(name, compiled)
                if text is not None:
                    pairs: dict[bytes, bytes] = {}
                    for key, value in cdb.parse_text(text.read_bytes()):
                        pairs.setdefault(key, value)
                    return pairs
            if compiled.stat().st_size > cdb.MAX_FILE:
                log.error("the list %s is larger than %d bytes: not used", compiled, cdb.MAX_FILE)
                return None
            return cdb.decode(compiled.read_bytes())
        except (OSError, cdb.BadList) as error:
            log.warning("the list %s cannot be used, so nothing is in it: %s (ossec-makelists)", name, error)
            return None

    def _text(self, name: str, compiled: Path) -> Path | None:
        """The text of a list, when there is no compiled form that is as new."""
        for candidate in (self._layout.under(name), self._layout.under(name + ".txt")):
            if candidate.is_file() and candidate.stat().st_size <= cdb.MAX_FILE:
                if compiled.is_file() and compiled.stat().st_mtime >= candidate.stat().st_mtime:
                    return None
                return candidate
        return None


class NoLists:
    """No list at all."""

    def declared(self, name: str) -> bool:
        """Never."""
        return False

    def find(self, name: str) -> dict[bytes, bytes] | None:
        """Nothing."""
        return None


@dataclass(slots=True)
class Stores:
    """Everything together; without arguments all of it lives in memory."""

    fts: SeenLines = field(default_factory=SeenLines)
    ignored: SeenLines = field(default_factory=SeenLines)
    diffs: Diffs = field(default_factory=MemoryDiffs)
    lists: Lists = field(default_factory=NoLists)

    @classmethod
    def in_home(
        cls, layout: Layout, lists: frozenset[str] = frozenset(), *, write: bool, compat: bool = False
    ) -> Stores:
        """The files of a home."""
        return cls(
            fts=seen_lines(layout.fts_queue, write),
            ignored=seen_lines(layout.ignore_queue, write),
            diffs=FileDiffs(layout, write),
            lists=FileLists(layout, lists, compat),
        )


def seen_lines(path: Path, write: bool) -> SeenLines:
    """The lines of a file, to which new ones are appended when `write`."""
    try:
        known = path.read_bytes().split(b"\n")
    except OSError:
        known = []
    return SeenLines((line for line in known if line), _appender(path) if write else None)


def _appender(path: Path) -> Append:
    opened = None

    def append(line: bytes) -> None:
        nonlocal opened
        try:
            if opened is None:
                opened = path.open("ab", buffering=0)
            opened.write(line.replace(b"\n", b" ") + b"\n")
        except OSError as error:
            log.error("cannot append to %s: %s", path, error)

    return append
