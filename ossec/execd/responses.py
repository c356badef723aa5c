"""The table of responses: lines of ar.conf made into commands (spec/active-response.md, section 4, "Lookup")."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from ossec.config import ar_conf
from ossec.execd.effects import Command, Log


def make_table(
    data: bytes, path: str, bin_dir: bytes, present: Callable[[bytes], bool], first: bool
) -> tuple[dict[bytes, Command], list[Log]]:
    """Commands by name, and what there is to say about the lines, in their order.

    A name that stands twice has the script of the first line whose script is `present`, and the timeout of the first
    line (`restart-ossec0` relies on it).  A script that is missing is said the `first` time only.
    """
    table: dict[bytes, Command] = {}
    lines: list[Log] = []
    for entry in ar_conf.parse(data):
        if entry is None:
            lines.append(Log(logging.ERROR, f"Invalid active response config: '{path}'.", 1313))
            continue
        script = b""
        shown = entry.executable.decode("utf-8", "surrogateescape")
        if b".." in entry.executable.split(b"/"):
            text = f"Active response command '{shown}' vulnerable to directory transversal attack. Ignoring."
            lines.append(Log(logging.WARNING, text, bare=True))
        else:
            script = bin_dir + b"/" + entry.executable
            if not present(script):
                if first:
                    text = f"Active response command not present: '{os.fsdecode(script)}'. Not using it on this system."
                    lines.append(Log(logging.INFO, text))
                script = b""
        known = table.get(entry.name)
        if known is None:
            table[entry.name] = Command(script, entry.timeout)
        elif not known.script:
            table[entry.name] = Command(script, known.timeout)
    return table, lines
