"""Folders to the names of files that an entry reports (part of the shell; spec/syscheck.md, 3).

Folders are entered in no particular order; one is open at a time, so neither depth nor size costs descriptors.  What is
held are the names of folders that wait.
"""

# ruff: noqa: PTH116
from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator

from ossec.daemon import plain
from ossec.syscheckd.entries import Entry, Policy

log = logging.getLogger("ossec.syscheckd")

NETWORK_TYPES = frozenset((b"nfs", b"nfs4", b"cifs", b"smb3", b"smbfs"))
MOUNTS = "/proc/self/mountinfo"
Entered = Callable[[bytes], None]


class Walker:
    """Walks by a policy.  `unopened`: numbers of entries that were not there, or could not be opened, this time."""

    def __init__(self, policy: Policy, *, quiet: bool = False) -> None:
        self._policy = policy
        self._quiet = quiet
        self._network = network_devices() if policy.skip_nfs else frozenset()
        self.unopened: set[int] = set()

    def walk(self, entry: Entry, entered: Entered, top: bytes | None = None) -> Iterator[bytes]:
        """Names of files below `top` (the whole entry), and now and then b"" where nothing came for a while.

        `entered` is told of each folder before it is read.
        """
        first = entry.path if top is None else top
        rivals = self._policy.rivals(entry)
        ignores = self._policy.ignore.hold
        restrict = entry.restrict
        waiting = [first]
        while waiting:
            folder = waiting.pop()
            if self._network and self._is_remote(folder):
                continue
            entered(folder)
            try:
                names = os.scandir(folder)
            except NotADirectoryError:
                if folder == first and self._is_wanted(entry, rivals, first):
                    yield first
                continue
            except OSError as error:
                self._say_unopened(entry, folder, error)
                continue
            with names:
                for found in names:
                    path = found.path
                    if ignores(path):
                        continue
                    try:
                        if found.is_dir(follow_symlinks=False):
                            if entry.recurse:
                                waiting.append(path)
                            continue
                        is_link = found.is_symlink()
                        if not is_link and not found.is_file(follow_symlinks=False):
                            continue
                    except OSError:
                        continue
                    if is_link and not entry.recurse and self._leads_to_folder(path):
                        continue
                    if restrict is not None and not restrict.test(path):
                        continue
                    if rivals and any(rival.covers(path) for rival in rivals):
                        continue
                    yield path
            yield b""

    def _is_wanted(self, entry: Entry, rivals: tuple[Entry, ...], path: bytes) -> bool:
        return (
            not self._policy.ignore.hold(path)
            and (entry.restrict is None or entry.restrict.test(path))
            and not any(rival.covers(path) for rival in rivals)
        )

    def _say_unopened(self, entry: Entry, folder: bytes, error: OSError) -> None:
        if folder == entry.path:
            self.unopened.add(entry.number)
        if not self._quiet:
            log.warning("Error opening directory: '%s': %s ", os.fsdecode(folder), error.strerror)

    def _leads_to_folder(self, path: bytes) -> bool:
        try:
            return stat.S_ISDIR(os.stat(path).st_mode)
        except OSError as error:
            if not self._quiet:
                log.warning("ERR: Cannot stat %s: %s", os.fsdecode(path), error.strerror, extra=plain)
            return False

    def _is_remote(self, folder: bytes) -> bool:
        try:
            return os.stat(folder).st_dev in self._network
        except OSError:
            return False


def network_devices(mounts: str = MOUNTS) -> frozenset[int]:
    """Device numbers of what is mounted over the network."""
    try:
        with open(mounts, "rb") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:
        return frozenset()
    return frozenset(parse_mounts(lines))


def parse_mounts(lines: list[bytes]) -> Iterator[int]:
    """`36 35 98:0 /root /mount ... - TYPE SOURCE ...` (proc(5)) to device numbers."""
    for line in lines:
        words = line.split()
        try:
            kind = words[words.index(b"-") + 1]
            major, minor = map(int, words[2].split(b":"))
        except (ValueError, IndexError):
            continue
        if kind in NETWORK_TYPES:
            yield os.makedev(major, minor)
