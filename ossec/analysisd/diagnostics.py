"""What loading rules and decoders has to say: OSSEC's lines in OSSEC's order, and ours with file, line and remedy.

The first mistake that OSSEC dies of is told in OSSEC's words; loading then goes on to find the others, which are told
in ours only, and ends in `LoadError`.  The shell prints `lines` with its time stamp and name, then `notes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ossec.errors import ConfigError

MAX_NOTES = 1000  # a file of garbage must not fill the log; the count goes on


class LoadError(ConfigError):
    """Rules or decoders cannot be used; every mistake is in the report.  `message` is that of the first."""


@dataclass(frozen=True, slots=True)
class Note:
    """One mistake (`fatal`) or warning of ours."""

    message: str
    path: Path | str
    line: int
    fatal: bool

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


@dataclass(slots=True)
class Report:
    """Collects while loading.  `program` is the name that OSSEC's shared code signs with."""

    program: str = "ossec-analysisd"
    lines: list[str] = field(default_factory=list)  # OSSEC's, without time stamp
    notes: list[Note] = field(default_factory=list)
    failed: bool = False
    dropped: int = 0  # notes over MAX_NOTES

    def say(self, *lines: str) -> None:
        """OSSEC's own lines; nothing once it would have exited."""
        if not self.failed:
            self.lines.extend(lines)

    def warn(self, message: str, path: Path | str, line: int = 0) -> None:
        """Something OSSEC swallows in silence."""
        self._note(Note(message, path, line, fatal=False))

    def fail(self, message: str, path: Path | str, line: int = 0, *ossec: str) -> None:
        """A mistake that OSSEC refuses; `ossec` are its lines.  Loading may go on to find more."""
        self.say(*ossec)
        self.failed = True
        self._note(Note(message, path, line, fatal=True))

    def error(self) -> LoadError:
        """What to raise when `failed`."""
        first = next(note for note in self.notes if note.fatal)
        return LoadError(first.message, first.path, first.line)

    def _note(self, note: Note) -> None:
        if len(self.notes) >= MAX_NOTES and not note.fatal:
            self.dropped += 1
        else:
            self.notes.append(note)
