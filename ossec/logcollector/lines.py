"""Bytes as they come, cut anywhere, to whole lines (spec/logcollector.md, sections 5.1, 6 R2 and R9, 9.1).

A line is complete when its newline is there.  A longer line than the limit gives its first bytes and still counts as
one line.  A run of NULs (a file truncated under a writer that keeps its offset leaves one) vanishes at the start of a
line and is one blank elsewhere.  The lines are the same however the bytes were split.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import NamedTuple

NULS = re.compile(rb"\0+")


class TooLong(NamedTuple):
    """A line that was cut: its whole length, and its first bytes."""

    length: int
    text: bytes


class LineSplitter:
    """Collects bytes until their newline.  Memory: at most `limit` bytes between two calls."""

    __slots__ = ("_dropped", "_pending", "limit", "pending_raw", "too_long")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._pending = b""  # the start of the unfinished line: no leading NULs, at most `limit` bytes
        self._dropped = 0  # its bytes beyond those
        self.pending_raw = 0  # all its bytes as they stand in the file, leading NULs included
        self.too_long: list[TooLong] = []  # lines cut by the last call

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without newlines."""
        too_long = self.too_long
        if too_long:
            too_long.clear()
        lines = data.split(b"\n")
        rest = lines.pop()
        if not lines:
            if rest:
                self._keep(rest)
            return lines
        if self.pending_raw:
            lines[0] = self._finish(lines[0])
        if b"\0" in data or b"\0" in lines[0] or len(max(lines, key=len)) > self.limit:
            lines = [self._clean(line) for line in lines]
        if rest:
            self._keep(rest)
        return lines

    def feed_with_starts(self, data: bytes, offset: int) -> tuple[list[bytes], list[int]]:
        """As `feed`, with the offset of each line's first byte; `offset` is that of `data`."""
        base = offset - self.pending_raw
        ends = list(accumulate(map(len, data.split(b"\n")), lambda end, length: end + length + 1, initial=offset))
        lines = self.feed(data)
        return lines, [base, *ends[1 : len(lines)]] if lines else []

    def finish(self) -> list[bytes]:
        """The unfinished line as it is, if there is one: its newline will never come."""
        self.too_long.clear()
        if not self.pending_raw:
            return []
        line = self._finish(b"")
        return [self._clean(line)] if line else []

    def clear(self) -> None:
        self._pending, self._dropped, self.pending_raw = b"", 0, 0

    def _keep(self, rest: bytes) -> None:
        self.pending_raw += len(rest)
        if not self._pending:
            rest = rest.lstrip(b"\0")
        room = self.limit - len(self._pending)
        self._pending += rest[:room]
        self._dropped += max(0, len(rest) - room)

    def _finish(self, rest: bytes) -> bytes:
        """The pending line, completed by `rest`; over-long ones are cut here."""
        self._keep(rest)
        line = self._pending
        if self._dropped:
            self.too_long.append(TooLong(len(line) + self._dropped, line))
        self.clear()
        return line

    def _clean(self, line: bytes) -> bytes:
        """Cut, and without NULs.  Cut first: what counts is the line as it stands in the file."""
        if line.startswith(b"\0"):
            line = line.lstrip(b"\0")
        if len(line) > self.limit:
            self.too_long.append(TooLong(len(line), line[: self.limit]))
            line = line[: self.limit]
        return NULS.sub(b" ", line) if b"\0" in line else line
