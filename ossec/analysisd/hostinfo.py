"""Host information of agentless scans on queue type 3 (spec/analysis.md, 11.3).

`Host: IP (name), open ports: …` is remembered in `queue/fts/hostinfo` as `IP open ports: …`.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ossec.analysisd.event import Event
from ossec.daemon import plain

log = logging.getLogger("ossec.analysisd.hostinfo")

NEW = "hostinfo_new"
MODIFIED = "hostinfo_modified"
MAX_ERRORS = 30  # lines about bad messages; OSSEC stops looking at the type there, ours only stops to complain
MAX_LINES = 100_000  # hosts and their changes held in memory
START = b"Host: "


class Hostinfo:
    """What is known of scanned hosts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._errors = 0
        try:
            self._lines = dict.fromkeys(path.read_bytes().splitlines())
        except FileNotFoundError:
            self._lines = {}

    def decode(self, event: Event) -> str | None:
        """None: nothing new, or a bad message; else the decoder's name."""
        text = event.full_log
        event.log = text
        host, comma, ports = text[len(START) :].partition(b", ")
        if not text.startswith(START) or not comma:
            self._complain()
            return None
        address = host.partition(b" ")[0]
        line = address + b" " + ports
        if line in self._lines:
            return None
        known = any(old.startswith(address) for old in self._lines)
        if len(self._lines) < MAX_LINES:
            self._lines[line] = None
        try:
            with self._path.open("ab") as out:
                out.write(line + b"\n")
        except OSError as error:
            log.error("%s cannot be written: %s", self._path, error)
        return MODIFIED if known else NEW

    def _complain(self) -> None:
        self._errors += 1
        if self._errors <= MAX_ERRORS:
            log.error("Error handling host information database.", extra=plain)
