"""Shared files as they arrive: judged, taken apart, put in place (spec/protocol.md, section 6).

The core says what a transfer means; `apply` does it in a directory, each file in one step, the merge last, so that a
death in between leads to the same transfer again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ossec.daemon.process import write_atomically
from ossec.errors import RemoteError
from ossec.messages import control, merged

MODE = 0o640


class BadTransfer(RemoteError):
    """A shared file that is not what was announced, or that must not be stored."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a transfer does to the directory: files to write, in order, and whether the list is complete."""

    files: tuple[tuple[str, bytes], ...]
    refused: tuple[str, ...] = ()  # names that would leave the directory
    complete: bool = False  # these are all files that the server shares


def judge(name: str, digest: str, content: bytes) -> Change:
    """What a transfer means; BadTransfer."""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != digest:
        raise BadTransfer(f"'{name}' did not arrive whole (its sum is {found}, announced was {digest})")
    if name != control.MERGED:
        safe = merged.safe_name(re.sub(r"^\.|/", "-", name))
        if safe is None:
            raise BadTransfer(f"a shared file cannot be called {name!r}")
        return Change(((safe, content),))
    files, refused = [], []
    for inner, part in merged.parse_merged(content):
        if merged.safe_name(inner) is None or inner == control.MERGED:
            refused.append(inner)
        else:
            files.append((inner, part))
    return Change((*files, (control.MERGED, content)), tuple(refused), complete=True)


def apply(change: Change, path_of: Callable[[str], Path], origin: Path) -> list[str]:
    """Put the files in place and remove what the server shares no more; returns the names that changed.  OSError."""
    changed = []
    for name, content in change.files:
        path = path_of(name)
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content, MODE)
            changed.append(name)
    if change.complete:
        now = {name for name, _ in change.files}
        before = set(origin.read_text("utf-8", "surrogateescape").split("\n")) if origin.is_file() else set()
        for name in sorted(before - now):
            if name and merged.safe_name(name) is not None:
                path_of(name).unlink(missing_ok=True)
                changed.append(name)
        listing = "".join(f"{name}\n" for name in sorted(now)).encode("utf-8", "surrogateescape")
        write_atomically(origin, listing, MODE)
    return changed
