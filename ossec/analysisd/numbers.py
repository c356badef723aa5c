"""Alert numbers that no restart repeats.

TIME.NUMBER names an alert for scripts and people, so NUMBER goes on from start to start.  Numbers are reserved in
blocks: the end of the block is on disk before its first number is used, which costs one small file in ten thousand
alerts and never a sync.  A clean stop gives the rest back; a crash skips it.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ossec.daemon.process import write_atomically

log = logging.getLogger("ossec.analysisd")

BLOCK = 10_000  # numbers reserved at a time
LARGEST = 1 << 62  # a file that says more is not ours


class AlertNumbers:
    """Gives the next number; `path` None keeps nothing (tests, tools)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.last = self._read()
        self._reserved = self.last
        self._broken = False

    def next(self) -> int:
        """1 on a fresh home."""
        self.last += 1
        if self.last > self._reserved:
            self._reserved = self.last + BLOCK
            self._write(self._reserved)
        return self.last

    def close(self) -> None:
        """Give back what was not used."""
        if self._reserved != self.last:
            self._reserved = self.last
            self._write(self.last)

    def _read(self) -> int:
        if self._path is None:
            return 0
        try:
            number = int(self._path.read_bytes()[:32])
        except (OSError, ValueError):
            return 0
        return number if 0 <= number < LARGEST else 0

    def _write(self, number: int) -> None:
        if self._path is None:
            return
        try:
            write_atomically(self._path, b"%d\n" % number)
            self._broken = False
        except OSError as error:
            if not self._broken:
                log.error("%s cannot be written, a restart may repeat alert numbers: %s", self._path, error.strerror)
            self._broken = True
