"""FIM maintenance: while its marker exists, file changes of a host are taken over in silence (spec/syscheck.md, 7).

The marker is `queue/syscheck/.BASE.maint`, BASE = `syscheck` for this host or `(name) ip` for all of an agent's
locations.  `agent_control -M` makes and removes it; this side counts what it let pass and ends it after a scan.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

log = logging.getLogger("ossec.analysisd.syscheck")

HEAD = "#!maint"
LONG = 24 * 3600  # seconds after which it is said to be still on
REMIND = 3600  # seconds between two such lines
LOCAL = b"syscheck"
COMPLETED_MARK = b"#!X"


class MaintenanceFiles:
    """The markers in `directory` and the log of what they let pass."""

    def __init__(self, directory: Path, log_file: Path) -> None:
        self.directory = directory
        self.log_file = log_file
        self._known: set[bytes] = set()  # locations whose mark of a completed scan was seen
        self._on: dict[bytes, int] = {}  # base -> since when, or when it was last mentioned

    def active(self, location: bytes, now: int) -> bool:
        """Whether the marker of the host of `location` exists; says so when that changes."""
        base = _base(location)
        exists = self._path(base).exists()
        if exists and base not in self._on:
            self._on[base] = now
            log.info("Syscheck maintenance mode enabled for '%s'.", os.fsdecode(base))
        elif not exists and self._on.pop(base, None) is not None:
            log.info("Syscheck maintenance mode disabled for '%s'.", os.fsdecode(base))
        if exists and now - self._on[base] >= REMIND and now - self._read(base)["enabled_at"] >= LONG:
            self._on[base] = now
            log.warning(
                "Syscheck maintenance mode still enabled for '%s' for 24 hours; FIM changes are silently accepted.",
                os.fsdecode(base),
            )
        return exists

    def count(self, location: bytes, name: bytes, new: bool, now: int) -> None:
        """Add one silent change to the marker and a line to the log."""
        base = _base(location)
        values = self._read(base)
        values["silent_updates"] += 1
        text = f"{HEAD}\n" + "".join(f"{key}={value}\n" for key, value in values.items())
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)).encode()
        try:
            self._path(base).write_text(text)
            with self.log_file.open("ab") as out:
                out.write(b"%b %b %b %b\n" % (stamp, location, b"new" if new else b"modify", name))
        except OSError as error:
            log.error("A silent change cannot be written down: %s", error)

    def scan_completed(self, location: bytes) -> None:
        """A baseline scan of `location` ended: mark it, and end maintenance that waits for it."""
        if not location or b"/" in location or location[:1] == b".":
            return
        try:
            self._mark(location).write_bytes(COMPLETED_MARK)
            base = _base(location)
            if self._path(base).exists() and self._read(base)["pending_end"] == 1:
                self._path(base).unlink(missing_ok=True)
                self._on.pop(base, None)
                log.info("Syscheck maintenance mode ended for '%s' after baseline scan.", os.fsdecode(base))
        except OSError as error:
            log.error("The end of a scan cannot be marked: %s", error)

    def knows(self, location: bytes) -> bool:
        """Whether a scan of `location` was ever completed."""
        if location not in self._known and self._mark(location).exists():
            self._known.add(location)
        return location in self._known

    def _mark(self, location: bytes) -> Path:
        return self.directory / f".{os.fsdecode(location)}.cpt"

    def _path(self, base: bytes) -> Path:
        return self.directory / f".{os.fsdecode(base)}.maint"

    def _read(self, base: bytes) -> dict[str, int]:
        path = self._path(base)
        values = {"enabled_at": 0, "pending_end": 0, "silent_updates": 0}
        try:
            values["enabled_at"] = int(path.stat().st_mtime)
            for line in path.read_text(errors="replace").splitlines():
                key, _, value = line.partition("=")
                if key in values and value.isdigit():
                    values[key] = int(value)
        except OSError:
            pass
        return values


def _base(location: bytes) -> bytes:
    """`(name) ip` of an agent's location, `syscheck` for this host."""
    if location.startswith(b"("):
        return location.partition(b"->")[0].replace(b"/", b"_")
    return LOCAL
