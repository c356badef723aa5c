"""What the kernel tells of watched folders (part of the shell; spec/syscheck.md, 4).

Every folder of a `realtime` entry has a watch, and so has the folder above the entry, for the entry's own name: that is
how a single file is watched, and how a folder that comes back is found.
"""

# ruff: noqa: PTH118
from __future__ import annotations

import logging
import os
from typing import Protocol

from ossec.daemon import Loop, inotify
from ossec.daemon.inotify import Inotify

log = logging.getLogger("ossec.syscheckd")

INSIDE = (
    inotify.IN_MODIFY
    | inotify.IN_ATTRIB
    | inotify.IN_MOVED_FROM
    | inotify.IN_MOVED_TO
    | inotify.IN_CREATE
    | inotify.IN_DELETE
    | inotify.IN_ONLYDIR
    | inotify.IN_MASK_ADD
)
ABOVE = INSIDE & ~(inotify.IN_MODIFY | inotify.IN_ATTRIB)  # for a folder only coming and going counts
CAME = inotify.IN_CREATE | inotify.IN_MOVED_TO
WENT = inotify.IN_DELETE | inotify.IN_MOVED_FROM


class Listener(Protocol):
    """Who is told."""

    def file_changed(self, path: bytes) -> None: ...

    def folder_came(self, path: bytes) -> None: ...

    def folder_went(self, path: bytes) -> None: ...

    def events_lost(self) -> None: ...


class Watches:
    """One inotify instance.  OSError where the kernel grants none."""

    def __init__(self, loop: Loop, listener: Listener) -> None:
        self._loop = loop
        self._listener = listener
        self._inotify = Inotify()
        self._folders: dict[bytes, int] = {}  # folder -> watch
        self._names: dict[int, dict[bytes, set[bytes] | None]] = {}  # watch -> folder -> names that count; None: all
        self._exhausted = False
        loop.on_readable(self._inotify.fileno(), self._read)

    def __len__(self) -> int:
        return len(self._folders)

    def add(self, folder: bytes) -> None:
        """Watch all that is in a folder; before it is read, so that nothing is missed."""
        watch = self._watch(folder, INSIDE)
        if watch is not None:
            self._names[watch][folder] = None

    def add_name(self, path: bytes, is_folder: bool) -> None:
        """Watch for this one name."""
        folder, name = os.path.split(path)
        if name:
            watch = self._watch(folder, ABOVE if is_folder else INSIDE)
            if watch is not None:
                names = self._names[watch].setdefault(folder, set())
                if names is not None:
                    names.add(name)

    def _watch(self, folder: bytes, mask: int) -> int | None:
        try:
            watch = self._inotify.watch(folder, mask)
        except OSError as error:
            if not inotify.is_exhausted(error):
                return None  # it is gone, or is no folder
            if not self._exhausted:
                self._exhausted = True
                log.error(
                    "Unable to add directory to real time monitoring: '%s': %s (fs.inotify.max_user_watches); this "
                    "and others are looked at by scans only.",
                    os.fsdecode(folder),
                    error.strerror,
                )
            return None
        known = self._folders.get(folder)
        if known != watch:
            if known is not None:
                self._drop(folder, known)
            self._folders[folder] = watch
        self._names.setdefault(watch, {})
        return watch

    def _drop(self, folder: bytes, watch: int) -> None:
        names = self._names.get(watch)
        if names is not None:
            names.pop(folder, None)
            if not names:
                del self._names[watch]
                self._inotify.forget(watch)

    def _forget_below(self, folder: bytes) -> None:
        """It is no longer where it was: its watches would tell of names that are not."""
        inside = folder + b"/"
        for known in [one for one in self._folders if one == folder or one.startswith(inside)]:
            self._drop(known, self._folders.pop(known))

    def _read(self) -> None:
        for event in self._inotify.read():
            if event.mask & inotify.IN_Q_OVERFLOW:
                self._listener.events_lost()
            elif event.mask & inotify.IN_IGNORED:
                for folder in self._names.pop(event.watch, ()):
                    if self._folders.get(folder) == event.watch:
                        del self._folders[folder]
            elif event.name:
                for folder, names in list(self._names.get(event.watch, {}).items()):
                    if names is None or event.name in names:
                        self._tell(os.path.join(folder, event.name), event.mask)

    def _tell(self, path: bytes, mask: int) -> None:
        listener = self._listener
        if mask & inotify.IN_ISDIR:
            if mask & WENT:
                self._forget_below(path)
                listener.folder_went(path)
            elif mask & CAME:
                listener.folder_came(path)
                listener.file_changed(path)  # in the place of a file, perhaps
        else:
            listener.file_changed(path)

    def close(self) -> None:
        self._loop.forget(self._inotify.fileno())
        self._inotify.close()
