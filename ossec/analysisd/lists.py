"""The lists that ossec.conf declares: where they lie, when they are out of date, what is in them (spec section 8).

`<list>PATH</list>` names a text, PATH or PATH.txt, and its compiled form, PATH.cdb.  The engine asks `FileLists` for
the pairs; `refresh`, called about once a second, looks whether a file has changed (three `stat` a list, nothing per
event) and then reads it again: a list is in force a second after ossec-makelists, or an editor, has written it.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from ossec.analysisd import cdb
from ossec.layout import Layout

log = logging.getLogger("ossec.analysisd")

FILE_MODE = 0o644  # as OSSEC writes it: analysisd and other tools read it
Mark = tuple[tuple[int, int, int] | None, ...]  # what `stat` says of each file of a list


@dataclass(frozen=True, slots=True)
class ListPlace:
    """One declared list."""

    name: str  # as ossec.conf has it, without .cdb
    compiled: Path
    texts: tuple[Path, ...]  # the first that exists counts

    @classmethod
    def of(cls, layout: Layout, declared: str) -> ListPlace:
        """The place of a list by the text of its `<list>`."""
        name = declared.removesuffix(".cdb")
        return cls(name, layout.under(name + ".cdb"), (layout.under(name), layout.under(name + ".txt")))

    @property
    def text(self) -> Path | None:
        """The text of the list, if there is one."""
        return next((path for path in self.texts if path.is_file()), None)

    @property
    def outdated(self) -> bool:
        """Whether there is a text and no compiled form that is as new."""
        return self._newest() != self.compiled

    def _newest(self) -> Path:
        text = self.text
        if text is None:
            return self.compiled
        try:
            return text if _written(self.compiled) < _written(text) else self.compiled
        except OSError:  # not compiled yet
            return text

    def mark(self) -> Mark:
        """What changes when one of the files does."""
        marks: list[tuple[int, int, int] | None] = []
        for path in (self.compiled, *self.texts):
            try:
                found = path.stat()
            except OSError:
                marks.append(None)
            else:
                marks.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(marks)

    def read(self, compiled_only: bool = False) -> dict[bytes, bytes]:
        """The pairs: of the compiled form, or of the text when that is newer or alone.  OSError, BadList."""
        path = self.compiled if compiled_only else self._newest()
        if path.stat().st_size > cdb.MAX_FILE:
            raise cdb.BadList(f"it is larger than {cdb.MAX_FILE} bytes", path)
        if path == self.compiled:
            return cdb.decode(path.read_bytes())
        pairs: dict[bytes, bytes] = {}
        for key, value in cdb.parse_text(path.read_bytes()):
            pairs.setdefault(key, value)
        return pairs

    def compile(self) -> list[tuple[bytes, bytes]]:
        """Write the compiled form of the text, through `PATH.tmp` and a rename; what it holds.  OSError, BadList."""
        text = self.text
        if text is None:
            raise FileNotFoundError(2, "there is no such list", str(self.texts[0]))
        if text.stat().st_size > cdb.MAX_FILE:
            raise cdb.BadList(f"it is larger than {cdb.MAX_FILE} bytes", text)
        pairs = cdb.parse_text(text.read_bytes())
        data = cdb.encode(pairs)
        beside = self.compiled.with_name(self.compiled.name.removesuffix(".cdb") + ".tmp")
        beside.unlink(missing_ok=True)
        try:
            new = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            with os.fdopen(new, "wb") as out:
                os.fchmod(out.fileno(), FILE_MODE)  # whatever the umask
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(self.compiled)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        return pairs


class FileLists:
    """Lists declared in ossec.conf, read when first asked for and when they change."""

    def __init__(self, layout: Layout, names: frozenset[str], compat: bool = False) -> None:
        self._places = {place.name: place for place in (ListPlace.of(layout, name) for name in names)}
        self._compat = compat  # only the .cdb counts
        self._read: dict[str, dict[bytes, bytes] | None] = {}
        self._marks: dict[str, Mark] = {}

    def declared(self, name: str) -> bool:
        """Whether ossec.conf names it."""
        return name in self._places

    def find(self, name: str) -> dict[bytes, bytes] | None:
        """The pairs of a list; None when it is not declared or cannot be read."""
        if name in self._read:
            return self._read[name]
        place = self._places.get(name)
        if place is None:
            return None
        self._marks[name] = place.mark()
        try:
            pairs = place.read(self._compat)
        except (OSError, cdb.BadList) as error:
            log.warning("the list %s cannot be used, so nothing is in it: %s (ossec-makelists)", name, _reason(error))
            pairs = None
        self._read[name] = pairs
        return pairs

    def refresh(self) -> None:
        """Read again what has changed; a list that cannot be read stays as it was."""
        for name, known in self._marks.items():
            place = self._places[name]
            mark = place.mark()
            if mark == known:
                continue
            self._marks[name] = mark  # before the files are read: what changes meanwhile is seen next time
            try:
                self._read[name] = place.read(self._compat)
            except (OSError, cdb.BadList) as error:
                log.warning("the list %s has changed and cannot be used: %s; it stays as it was", name, _reason(error))
            else:
                log.info("The list %s has changed and was read again.", name)


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)


class NoLists:
    """No list at all."""

    def declared(self, name: str) -> bool:
        """Never."""
        return False

    def find(self, name: str) -> dict[bytes, bytes] | None:
        """Nothing."""
        return None

    def refresh(self) -> None:
        """Nothing to do."""
