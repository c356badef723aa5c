"""Finding the file of a saved position again, also one rotated while we were away (spec/logcollector.md, 9.9)."""

# ruff: noqa: PTH119
from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection

from ossec.logcollector.follower import Disk, Seen
from ossec.logcollector.positions import Position, digest

COMPRESSED = (b".gz", b".bz2", b".xz", b".zst", b".lz4", b".zip")  # never new lines, though a name may match
ROTATED_NAME = re.compile(rb"[.-]\d")
Identity = tuple[int, int]

MAX_SIBLINGS = 1000  # files of the same name's beginning that are opened to look for one


def continues(disk: Disk, handle: int, saved: Position) -> bool:
    """Whether an open file is the one that the position was saved of, grown or not."""
    seen = disk.seen(handle)
    if not disk.is_regular(handle) or seen.size < max(saved.offset, saved.tail_end):
        return False
    if not saved.head_length and not saved.tail_length:
        return seen.identity == (saved.device, saved.inode)
    tail_start = saved.tail_end - saved.tail_length
    return (
        digest(disk.read(handle, 0, saved.head_length)) == saved.head
        and digest(disk.read(handle, tail_start, saved.tail_length)) == saved.tail
    )


def find_predecessor(
    disk: Disk, path: bytes, saved: Position, is_followed: Callable[[bytes], bool], read: Collection[Identity] = ()
) -> tuple[int, list[bytes]] | None:
    """Where the file of a position went: a handle on it, and the files of that name that came after it, in order.

    Looked for in the same directory, among names that begin like it, by content: a rename and a copy are both found.
    `read` are files that we know to have read.
    """
    name = os.path.basename(path)
    stem = name.partition(b".")[0] or name
    related: list[tuple[bytes, Seen]] = []
    for sibling in disk.siblings(path):
        if os.path.basename(sibling).startswith(stem) and not sibling.endswith(COMPRESSED):
            seen = disk.look(sibling)
            if seen is not None:
                related.append((sibling, seen))
    related.sort(key=lambda item: (item[1].identity != (saved.device, saved.inode), item[0]))
    for sibling, seen in related[:MAX_SIBLINGS]:
        try:
            handle = disk.open(sibling)
        except OSError:
            continue
        if continues(disk, handle, saved):
            followed = [path for path, _ in related if is_followed(path)]
            return handle, files_between(disk, path, seen.changed + 1, {seen.identity, *read}, followed)
        disk.close(handle)
    return None


def files_between(
    disk: Disk, path: bytes, since: int, read: Collection[Identity], followed: Collection[bytes] = ()
) -> list[bytes]:
    """Files that had a name and were rotated away before we could look, oldest first.

    They were written to at or after `since` (nanoseconds).  `read` are files that we know to have read, `followed` are
    names that are followed by themselves.
    """
    found = []
    for sibling in disk.siblings(path):
        if sibling.startswith(path) and ROTATED_NAME.match(sibling[len(path) :]) and not sibling.endswith(COMPRESSED):
            seen = disk.look(sibling)
            if seen is not None and seen.changed >= since and seen.identity not in read:
                found.append((seen.changed, sibling))
    return [sibling for _, sibling in sorted(found) if sibling not in followed]
