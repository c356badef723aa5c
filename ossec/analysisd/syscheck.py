"""File changes as syscheckd reports them: `SUM NAME[\\nDIFF]` on queue type 8 (spec/analysis.md, 11.1; syscheck.md, 5).

The message is compared with what the database of its location knows.  A difference becomes an event with one of five
decoder names, which the rules test, and a text of its own; everything else ends here, in silence.

A message is taken apart at its first newline before control characters are looked at, so the diff of `report_changes`
reaches the alert (OSSEC glues it to the file name).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ossec.analysisd.event import Event
from ossec.analysisd.filedb import BadLocation, Entry, SyscheckDatabase
from ossec.daemon import code

log = logging.getLogger("ossec.analysisd.syscheck")

CHANGED = ("syscheck_integrity_changed", "syscheck_integrity_changed_2nd", "syscheck_integrity_changed_3rd")
DELETED = "syscheck_deleted"
NEW = "syscheck_new_entry"
GONE = b"-1"
COMPLETED = b"syscheck-db-completed"
UNKNOWN = b"Unknown"
MAX_NAME = 756  # bytes of a file name in a text
MAX_DIFF = 4096  # bytes of a diff in a text: what syscheckd sends at most, and a daemon's line buffer holds twice over
NEXT_FLAGS = {b"+++": b"!++", b"!++": b"!!+", b"!!+": b"!!!", b"!!!": b"!!?", b"!!?": b"!!?"}
CHANGES = {b"+++": 0, b"!++": 1, b"!!+": 2}  # changes counted so far; any other flags: three or more
PLACEHOLDERS = (b"", b"xxx")

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_FIELD_WORDS = re.compile(
    rb"(?m)^(?=\*\* Alert |Rule: |Src |Dst |User: |Old \w+ was|New \w+ is|Size changed|Ownership was|Group owner|Perm)"
)


@dataclass(frozen=True, slots=True)
class Sums:
    """One SUM taken apart; a part that is missing is b""."""

    size: bytes = b""
    perm: bytes = b""
    uid: bytes = b""
    gid: bytes = b""
    md5: bytes = b""
    sha1: bytes = b""
    sha256: bytes = b""

    @classmethod
    def parse(cls, text: bytes) -> Sums:
        return cls(*text.split(b":")[:7])

    @property
    def mode(self) -> int:
        """st_mode: octal when it has three characters, else decimal; 0 for what is no number."""
        try:
            return int(self.perm, 8 if len(self.perm) == 3 else 10)
        except ValueError:
            return 0


@dataclass(frozen=True, slots=True)
class FileChange:
    """What an event says about a file; `before` and `after` hold only what differs (`perm` in decimal)."""

    path: bytes
    before: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)


class Maintenance(Protocol):
    """Whether changes of a location are expected, and where they are counted."""

    def active(self, location: bytes, now: int) -> bool: ...

    def count(self, location: bytes, name: bytes, new: bool, now: int) -> None: ...

    def scan_completed(self, location: bytes) -> None: ...

    def knows(self, location: bytes) -> bool:
        """Whether a scan of `location` was ever completed."""


class Syscheck:
    """Turns a syscheck message into an event, or into nothing."""

    def __init__(
        self,
        database: Callable[[bytes], SyscheckDatabase],
        maintenance: Maintenance,
        *,
        ignore: tuple[bytes, ...] = (),
        auto_ignore: bool | None = None,
        alert_new_files: bool = False,
        alert_first_scan: bool = False,
    ) -> None:
        """`ignore` are prefixes of file names, in any case.

        `auto_ignore`: True is silent after the third change, False tells every change as a first one; None tells the
        first three as OSSEC numbers them, and then goes on telling.  `alert_first_scan`: tell new files also before the
        first scan of their location was completed, as OSSEC does.
        """
        self._database = database
        self._maintenance = maintenance
        self._ignore = tuple(prefix.lower() for prefix in ignore)
        self._auto_ignore = auto_ignore
        self._alert_new_files = alert_new_files
        self._alert_first_scan = alert_first_scan
        self.refused = 0  # messages that no database could take

    def decode(self, event: Event) -> str | None:
        """Look at `event.full_log`.  None: nothing to say; else the decoder's name, with the event's text set."""
        sums, space, rest = event.full_log.partition(b" ")
        now = int(event.time)
        if not space:
            if sums.rstrip(b"\n") == COMPLETED:
                self._maintenance.scan_completed(event.location)
            else:
                log.error("Invalid syscheck message received.", extra=code(1755))
            return None
        name, _, diff = rest.partition(b"\n")
        name = _CONTROL.sub(_octal, name)
        if self._ignore and name.lower().startswith(self._ignore):
            return None
        try:
            return self._compare(event, sums, name, diff, now)
        except OSError as error:
            self.refused += 1
            if self.refused == 1 or not isinstance(error, BadLocation):
                log.error("The file database of %r cannot be used: %s", event.location, error)
            return None

    def _compare(self, event: Event, sums: bytes, name: bytes, diff: bytes, now: int) -> str | None:
        database = self._database(event.location)
        entry = database.get(name)
        if entry is None:
            database.add(b"+++", sums, now, name)
            if self._maintenance.active(event.location, now):
                self._maintenance.count(event.location, name, True, now)
                return None
            if not self._alert_new_files or not (self._alert_first_scan or self._maintenance.knows(event.location)):
                return None
            return self._tell_new(event, sums, name)
        if entry.sum == sums:
            return None
        old, new = Sums.parse(entry.sum), Sums.parse(sums)
        if GONE not in (entry.sum, sums) and _only_placeholders(old, new):
            database.add(b"+++", sums, now, name, entry)
            return None
        if self._maintenance.active(event.location, now):
            database.add(b"+++", sums, now, name, entry)
            self._maintenance.count(event.location, name, False, now)
            return None
        changes = CHANGES.get(entry.flags, 3)
        if self._auto_ignore and changes >= 3:
            return None
        database.add(NEXT_FLAGS.get(entry.flags, b"!!?"), sums, now, name, entry)
        return self._tell_change(event, entry, old, new, sums, name, diff, changes)

    def _tell_change(
        self, event: Event, entry: Entry, old: Sums, new: Sums, sums: bytes, name: bytes, diff: bytes, changes: int
    ) -> str:
        shown = name[:MAX_NAME]
        if sums == GONE:
            _set_text(event, name, b"File '%b' was deleted. Unable to retrieve checksum." % shown, FileChange(name))
            return DELETED
        if entry.sum == GONE:
            _set_text(event, name, b"File '%b' was re-added." % shown, FileChange(name))
            return NEW
        before, after = compare(old, new)
        text = [b"Integrity checksum changed for: '%b'" % shown, *describe(before, after)]
        if diff:
            text += [b"What changed:", _FIELD_WORDS.sub(b" ", diff[:MAX_DIFF]).strip(b"\n")]
        _set_text(event, name, b"\n".join(text) + b"\n", FileChange(name, before, after))
        return CHANGED[0] if self._auto_ignore is False or changes >= len(CHANGED) else CHANGED[changes]

    def _tell_new(self, event: Event, sums: bytes, name: bytes) -> str:
        new = Sums.parse(sums)
        after: dict[str, bytes] = {"md5": new.md5 or UNKNOWN, "sha1": new.sha1 or UNKNOWN}
        lines = [
            b"New file '%b' added to the file system." % name[:MAX_NAME],
            b"New sha1sum is : '%b'" % (new.sha1 or UNKNOWN),
            b"New md5sum is : '%b'" % (new.md5 or UNKNOWN),
        ]
        if new.sha256:
            after["sha256"] = new.sha256
            lines.append(b"New sha256sum is : '%b'" % new.sha256)
        _set_text(event, name, b"\n".join(lines) + b"\n", FileChange(name, {}, after))
        return NEW


def compare(old: Sums, new: Sums) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What differs, before and after.  Hashes only where both sides are known, modes only where both are above 0."""
    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}
    if old.size != new.size:
        before["size"], after["size"] = old.size, new.size
    if old.perm != new.perm and old.mode > 0 and new.mode > 0:
        before["perm"], after["perm"] = b"%d" % old.mode, b"%d" % new.mode
    for name, was, became in (("owner", old.uid, new.uid), ("gowner", old.gid, new.gid)):
        if was != became:
            before[name], after[name] = was, became
    for name in ("md5", "sha1", "sha256"):
        was, became = getattr(old, name), getattr(new, name)
        if was != became and was not in PLACEHOLDERS and became not in PLACEHOLDERS:
            before[name], after[name] = was, became
    return before, after


def describe(before: dict[str, bytes], after: dict[str, bytes]) -> list[bytes]:
    """The lines of the text, in OSSEC's order."""
    lines = []
    if "size" in before:
        lines.append(b"Size changed from '%b' to '%b'" % (before["size"], after["size"]))
    if "perm" in before:
        lines.append(b"Permissions changed from '%b' to '%b'" % (mode_text(before["perm"]), mode_text(after["perm"])))
    if "owner" in before:
        lines.append(b"Ownership was '%b', now it is '%b'" % (before["owner"], after["owner"]))
    if "gowner" in before:
        lines.append(b"Group ownership was '%b', now it is '%b'" % (before["gowner"], after["gowner"]))
    for name in ("md5", "sha1", "sha256"):
        if name in before:
            lines.append(b"Old %bsum was: '%b'" % (name.encode(), before[name]))
            lines.append(b"New %bsum is : '%b'" % (name.encode(), after[name]))
    return lines


def mode_text(mode: bytes) -> bytes:
    """A decimal st_mode as `rwxr-xr-x`: set-id shows as `s`, sticky as `t`, always small (OSSEC's)."""
    value = int(mode)
    text = bytearray(b"rwxrwxrwx")
    for index in range(9):
        if not value & (0o400 >> index):
            text[index] = 45
    for bit, index, letter in ((0o4000, 2, b"s"), (0o2000, 5, b"s"), (0o1000, 8, b"t")):
        if value & bit:
            text[index] = letter[0]
    return bytes(text)


def _only_placeholders(old: Sums, new: Sums) -> bool:
    """Whether nothing differs but hashes that one side does not know."""
    if (old.size, old.perm, old.uid, old.gid) != (new.size, new.perm, new.uid, new.gid):
        return False
    pairs = ((old.md5, new.md5), (old.sha1, new.sha1), (old.sha256, new.sha256))
    return all(was == became or was in PLACEHOLDERS or became in PLACEHOLDERS for was, became in pairs)


def _set_text(event: Event, name: bytes, text: bytes, change: FileChange) -> None:
    event.full_log = event.log = text
    event.filename = name
    event.file_change = change


def _octal(match: re.Match[bytes]) -> bytes:
    return b"\\%03o" % match.group()[0]
