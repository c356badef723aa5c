"""State files: `var/run/NAME.state`, lines `key='value'`, replaced whole (spec/analysis.md, section 14)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ossec import __version__
from ossec.daemon.process import write_atomically


def format_state(values: Mapping[str, object]) -> str:
    """One `key='value'` line each; a quote or newline in a value becomes `_`."""
    lines = [f"{key}='{str(value).translate({39: '_', 10: '_'})}'" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def parse_state(text: str) -> dict[str, str]:
    """The values of a state file; lines of another form are left out."""
    values = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and len(value) >= 2 and value[0] == value[-1] == "'" and not key.startswith("#"):
            values[key] = value[1:-1]
    return values


def write_reload_mark(path: Path, count: int, problem: str) -> None:
    """Tell whoever sent SIGHUP that it was done: the how-manieth time, and why it was refused if it was."""
    values = {"version": __version__, "pid": os.getpid(), "reloads": count, "problem": problem}
    write_atomically(path, format_state(values).encode("utf-8", "surrogateescape"))


class StateFile:
    """Written only when a value changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: dict[str, object] | None = None

    def write(self, values: Mapping[str, object]) -> None:
        """OSError where the file cannot be written."""
        current = dict(values)
        if current == self._last:
            return
        head = {"version": __version__, "pid": os.getpid()}
        write_atomically(self.path, format_state(head | current).encode())
        self._last = current
