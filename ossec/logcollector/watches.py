"""What wakes the collector between two passes (part of the shell): growth of open files, names that come.

Watching is an improvement, never a need: where the kernel refuses, the next pass finds everything.
"""

# ruff: noqa: PTH116, PTH118, PTH120
from __future__ import annotations

import logging
import os
from collections.abc import Callable

from ossec.daemon import Loop
from ossec.daemon.inotify import IN_IGNORED, IN_Q_OVERFLOW, Inotify, is_exhausted
from ossec.logcollector.collector import Collector, Entry

log = logging.getLogger("ossec.logcollector")

Identity = tuple[int, int]


class Watches:
    """inotify, kept in step with the files that are open."""

    def __init__(self, loop: Loop, on_change: Callable[[set[bytes] | None], None]) -> None:
        """`on_change` gets the paths that something happened to; None when the kernel lost count: look at all."""
        self._loop = loop
        self._on_change = on_change
        self._files: dict[Identity, int] = {}
        self._directories: dict[bytes, tuple[Identity, int]] = {}
        self._paths: dict[int, bytes] = {}  # of a file's watch
        self._names: dict[int, bytes] = {}  # of a directory's watch
        self._exhausted = False
        try:
            self._inotify: Inotify | None = Inotify()
        except OSError as error:
            self._inotify = None
            log.warning("inotify is not available (%s): new lines are found once per pass.", error.strerror)
            return
        loop.on_readable(self._inotify.fileno(), self._read)

    def follow(self, collector: Collector) -> set[bytes]:
        """Watch what is open now and where names may appear; forget the rest.

        The paths that are watched from now on: they may have grown since they were read.
        """
        if self._inotify is None:
            return set()
        new: set[bytes] = set()
        wanted: dict[Identity, tuple[int, bytes]] = {}
        for tracked in collector.all_tracked():
            follower = tracked.follower
            if tracked.regular and tracked.handle is not None and follower.identity is not None:
                wanted[follower.identity] = (tracked.handle, follower.path)
        for identity in self._files.keys() - wanted.keys():
            watch = self._files.pop(identity)
            self._paths.pop(watch, None)
            self._inotify.forget(watch)
        for identity, (handle, path) in wanted.items():
            known = self._files.get(identity)
            if known is not None:
                self._paths[known] = path
                continue
            try:
                watch = self._inotify.watch_open_file(handle)
            except OSError as error:
                self._complain(error)
                continue
            self._files[identity] = watch
            self._paths[watch] = path
            new.add(path)
        self.follow_directories(collector)
        return new

    def follow_directories(self, collector: Collector) -> None:
        """Watch the directories that there are now: one may have come, or been replaced."""
        if self._inotify is None:
            return
        wanted = {directory for entry in collector.entries for directory in _directories(entry)}
        for directory in self._directories.keys() - wanted:
            self._forget_directory(directory)
        for directory in wanted:
            try:
                found = os.stat(directory)
            except (OSError, ValueError):
                self._forget_directory(directory)
                continue
            identity = found.st_dev, found.st_ino
            known = self._directories.get(directory)
            if known is not None and known[0] == identity:
                continue
            self._forget_directory(directory)
            try:
                watch = self._inotify.watch_new_names(directory)
            except OSError as error:
                self._complain(error)
                continue
            self._directories[directory] = identity, watch
            self._names[watch] = directory

    def _forget_directory(self, directory: bytes) -> None:
        known = self._directories.pop(directory, None)
        if known is not None and self._inotify is not None:
            self._names.pop(known[1], None)
            self._inotify.forget(known[1])

    def _read(self) -> None:
        assert self._inotify is not None
        changed: set[bytes] = set()
        lost = False
        for watch, mask, name in self._inotify.read():
            if mask & IN_Q_OVERFLOW:
                lost = True
            elif mask & IN_IGNORED:
                directory = self._names.pop(watch, None)
                if directory is not None:
                    self._directories.pop(directory, None)
            elif watch in self._paths:
                changed.add(self._paths[watch])
            elif watch in self._names:
                changed.add(os.path.join(self._names[watch], name))
        if lost:
            self._on_change(None)
        elif changed:
            self._on_change(changed)

    def _complain(self, error: OSError) -> None:
        if is_exhausted(error) and not self._exhausted:
            self._exhausted = True
            log.warning(
                "The kernel watches no more files for us (%s; fs.inotify.max_user_watches): lines of the others are "
                "found once per pass.",
                error.strerror,
            )

    def close(self) -> None:
        if self._inotify is not None:
            self._loop.forget(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None


def _directories(entry: Entry) -> set[bytes]:
    """Where names of an entry come and go."""
    if entry.factory is None:
        return set()
    found = {os.path.dirname(path) for path in entry.tracked}
    location = entry.dated_name if entry.dated_name else entry.source.location
    directory = os.path.dirname(location)
    if not any(char in directory for char in b"*?["):
        found.add(directory)
    return {directory or b"." for directory in found}
