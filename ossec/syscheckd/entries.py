"""What is watched and how: `<directories>`, `<ignore>`, `<nodiff>` as questions about a path (spec/syscheck.md, 2).

Paths are bytes.  A file belongs to the first entry that covers it, as the entry that meets it first in a scan.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ossec.config.model import Check, Directory, Exclusion, Syscheck
from ossec.regex import Matcher, compile_match

Expand = Callable[[str], list[str]]  # a pattern to the names that it matches now

# In the order of OSSEC's line about an entry.
_CHECK_NAMES = (
    (Check.PERM, "perm"),
    (Check.SIZE, "size"),
    (Check.OWNER, "owner"),
    (Check.GROUP, "group"),
    (Check.MD5, "md5sum"),
    (Check.SHA1, "sha1sum"),
    (Check.SHA256, "sha256sum"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder of `<directories>`.  `number` is its place in the order; `inside` begins all paths below."""

    number: int
    path: bytes
    checks: int
    realtime: bool = False
    report_changes: bool = False
    recurse: bool = True
    restrict: Matcher | None = None

    @property
    def inside(self) -> bytes:
        return self.path.rstrip(b"/") + b"/"

    @property
    def bare(self) -> bytes:
        """The path without slashes at its end."""
        return self.path.rstrip(b"/") or b"/"

    def covers(self, path: bytes) -> bool:
        """Whether a file of this path is this entry's to report."""
        inside = self.inside
        if not path.startswith(inside):
            if path != self.bare:
                return False
        elif not self.recurse and b"/" in path[len(inside) :]:
            return False
        return self.restrict is None or self.restrict.test(path)

    def describe(self) -> str:
        """`perm | size | ...`, as OSSEC lists it at the start."""
        checks = Check(self.checks)
        names = [name for check, name in _CHECK_NAMES if check in checks]
        names += [
            name
            for name, wanted in (
                ("realtime", self.realtime),
                ("report_changes", self.report_changes),
                ("no_recurse", not self.recurse),
            )
            if wanted
        ]
        return " | ".join(names)


class Exclusions:
    """`<ignore>` or `<nodiff>`: beginnings of paths in any case, and patterns.  An empty one has no effect."""

    def __init__(self, exclusions: Iterable[Exclusion]) -> None:
        given = [one for one in exclusions if one.text]
        self.plain = tuple(one.text for one in given if not one.is_pattern)
        self._beginnings = tuple(_raw(text).lower() for text in self.plain)
        self._tests = tuple(compile_match(one.text).test for one in given if one.is_pattern)

    def hold(self, path: bytes) -> bool:
        if self._beginnings and path.lower().startswith(self._beginnings):
            return True
        return any(test(path) for test in self._tests)


@dataclass(frozen=True, slots=True)
class Policy:
    """All of `<syscheck>` that a scan needs to know."""

    entries: tuple[Entry, ...]
    ignore: Exclusions
    nodiff: Exclusions
    skip_nfs: bool = False
    prefilter: tuple[bytes, ...] = ()  # words of a command, the path is added

    @classmethod
    def make(cls, settings: Syscheck, expand: Expand) -> Policy:
        """`expand` turns a glob into names; one that matches nothing brings no entry."""
        entries: list[Entry] = []
        for directory in settings.directories:
            is_glob = any(mark in directory.path for mark in "*?[")
            for name in sorted(expand(directory.path)) if is_glob else [directory.path]:
                entries.append(_entry(len(entries), name, directory))
        prefilter = tuple(_raw(word) for word in (settings.prefilter_cmd or "").split())
        return cls(
            tuple(entries), Exclusions(settings.ignore), Exclusions(settings.nodiff), settings.skip_nfs, prefilter
        )

    def owner(self, path: bytes) -> Entry | None:
        """The entry that reports a file of this path; None: nobody, or it is ignored."""
        for entry in self.entries:
            if entry.covers(path):
                return None if self.ignore.hold(path) else entry
        return None

    def realtime_entry(self, directory: bytes) -> Entry | None:
        """The entry that asks to be told at once of what happens in this directory."""
        inside = directory.rstrip(b"/") + b"/"
        for entry in self.entries:
            if entry.realtime and inside.startswith(entry.inside) and (entry.recurse or inside == entry.inside):
                return entry
        return None

    def rivals(self, entry: Entry) -> tuple[Entry, ...]:
        """Earlier entries that may cover some of the same files."""
        return tuple(
            other
            for other in self.entries[: entry.number]
            if other.inside.startswith(entry.inside) or entry.inside.startswith(other.inside)
        )


def _entry(number: int, name: str, directory: Directory) -> Entry:
    return Entry(
        number,
        _raw(name),
        directory.checks.value,
        directory.realtime,
        directory.report_changes,
        directory.recurse,
        compile_match(directory.restrict) if directory.restrict else None,
    )


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def expand_glob(pattern: str) -> list[str]:
    """The names on this machine, as glob(3) finds them."""
    return glob.glob(pattern)  # noqa: PTH207 (Path.glob finds hidden names too)
