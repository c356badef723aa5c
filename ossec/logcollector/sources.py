"""What a `<localfile>` asks for, as plain values (spec/logcollector.md, section 2)."""

from __future__ import annotations

import fnmatch
import time
from dataclasses import dataclass

PLAIN_FORMATS = frozenset({"syslog", "generic", "snort-fast", "apache", "iis", "squid", "syslog-pipe"})
COMMAND_FORMATS = frozenset({"command", "full_command"})
WINDOWS_FORMATS = frozenset({"eventlog", "eventchannel"})  # accepted everywhere, without effect here
JOURNAL_FORMAT = "journald"
DEFAULT_FREQUENCY = 360  # seconds between two runs of a command


@dataclass(frozen=True, slots=True)
class Source:
    """One `<localfile>`.  Paths and commands are bytes, as they stand in the file; `place` is `file:line`."""

    log_format: str
    location: bytes = b""
    attributes: tuple[tuple[str, str], ...] = ()
    command: bytes = b""
    alias: bytes = b""
    frequency: int = DEFAULT_FREQUENCY
    place: str = ""

    @property
    def is_glob(self) -> bool:
        return any(char in self.location for char in b"*?[")

    @property
    def is_dated(self) -> bool:
        return b"%" in self.location

    def dated(self, now: time.struct_time) -> bytes:
        """The location with its strftime parts filled in (local time)."""
        text = self.location.decode("utf-8", "surrogateescape")
        return time.strftime(text.replace("\0", ""), now).encode("utf-8", "surrogateescape")

    def matches(self, path: bytes) -> bool:
        """Whether the glob would find this path: part by part, leading dots only if written."""
        wanted, given = self.location.split(b"/"), path.split(b"/")
        return len(wanted) == len(given) and all(
            fnmatch.fnmatchcase(name, pattern) and (not name.startswith(b".") or pattern.startswith(b"."))
            for pattern, name in zip(wanted, given, strict=True)
        )
