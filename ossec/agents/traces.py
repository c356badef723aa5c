"""What a server keeps of an agent besides its key, and how it goes away with it (spec/protocol.md, section 9)."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

from ossec.agents.keyfile import Row
from ossec.layout import Layout


def last_contact(layout: Layout, row: Row) -> float | None:
    """When the agent sent its last keep-alive (seconds since the epoch); None: never."""
    try:
        return layout.agent_info(f"{row.name}-{row.address}").stat().st_mtime
    except OSError:
        return None


def back_up(layout: Layout, row: Row, now: float) -> Path:
    """Hard links to all of it in `backup/agents/NAME-IP-YYYY-MM-DD-HHMMSS/`; returns the folder.  OSError."""
    stamp = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(now))
    if not is_safe(row):
        raise OSError(errno.EINVAL, "its name leads out of the directory", row.name)
    folder = layout.agents_backup(f"{row.name}-{row.address}-{stamp}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    for name, path in layout.agent_traces(row.name, row.address).items():
        target = folder / name
        target.unlink(missing_ok=True)
        try:
            os.link(path, target)
        except FileNotFoundError:
            continue
        except OSError:  # another file system: a copy does as well
            shutil.copy2(path, target)
    return folder


def remove(layout: Layout, row: Row) -> list[str]:
    """Take all of it away, counters included; returns what could not be, one line each."""
    if not is_safe(row):
        return [f"Nothing is removed of agent {row.format()[:60]!r}: its name leads out of the directory"]
    paths = [layout.rids(row.id), *layout.agent_traces(row.name, row.address).values()]
    failures = []
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            failures.append(f"Cannot unlink {path}: {error.strerror}")
    outputs = layout.diff_outputs(row.name)
    if row.name != os.uname().nodename and outputs.is_dir() and not outputs.is_symlink():
        shutil.rmtree(outputs, onerror=lambda _, path, error: failures.append(f"Cannot remove {path}: {error[1]}"))
    return failures


def is_safe(row: Row) -> bool:
    """Whether the parts of a line, which somebody may have written by hand, can be parts of a path."""
    return not any("/" in part or part in (".", "..") for part in (row.id, row.name, row.address))
