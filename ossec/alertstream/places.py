"""Directories that an output keeps its state in, made where the installer has not (a home of OSSEC's own)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def make_directory(path: Path, user: str | None, group: str | None) -> None:
    """Called before privileges are dropped; OSError."""
    if path.is_dir():
        return
    path.mkdir(0o750, parents=True, exist_ok=True)
    if os.geteuid() == 0 and user and group:
        try:
            shutil.chown(path, user, group)
        except LookupError:  # a home without users of its own: nothing is dropped
            pass
