"""The marker of FIM maintenance: while it exists, an agent's file changes make no alerts (spec/syscheck.md, section 7).

`agent_control -M` makes and removes it, analysisd counts in it what it lets pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HEAD = "#!maint"
LOCAL = "syscheck"  # the server's own base; an agent's is `(NAME) IP`

_LINE = re.compile(r"(enabled_at|pending_end|silent_updates)=([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Marker:
    """`pending_end`: it goes away when the next scan has ended."""

    enabled_at: int
    pending_end: bool = False
    silent_updates: int = 0

    @property
    def tag(self) -> str:
        """As lists show it."""
        return "Maint(pending-end)" if self.pending_end else "Maint"

    def format(self) -> str:
        return (
            f"{HEAD}\nenabled_at={self.enabled_at}\npending_end={int(self.pending_end)}\n"
            f"silent_updates={self.silent_updates}\n"
        )

    @classmethod
    def parse(cls, text: str, written_at: int) -> Marker:
        """Any text; what it does not say is as in a file with the first line only, enabled when it was written."""
        values = {match[1]: int(match[2]) for line in text.splitlines() if (match := _LINE.fullmatch(line))}
        return cls(
            values.get("enabled_at", written_at), values.get("pending_end", 0) == 1, values.get("silent_updates", 0)
        )


def read(path: Path) -> Marker | None:
    """The marker at `path`; None where there is none."""
    try:
        with path.open(errors="replace") as file:
            return Marker.parse(file.read(4096), int(path.stat().st_mtime))
    except OSError:
        return None
