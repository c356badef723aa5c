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

from ossec.analysisd.fts import Append, SeenLines
from ossec.analysisd.lists import FileLists, NoLists
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

    def clear(self) -> None:
        """Forget every output."""
        self._last.clear()


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

    def refresh(self) -> None:
        """Read again what has changed."""


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
