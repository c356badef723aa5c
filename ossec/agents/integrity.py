"""The databases of file changes, for those who look at them or empty them (spec/syscheck.md, sections 5 and 8).

analysisd writes them, `queue/syscheck/LOCATION`; a line is `FLAGS SUM !EPOCH PATH` without a blank after FLAGS.  The
tools change flags in place and cut a file to nothing; a running analysisd notices both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ossec.agents.status import LOCAL_ID, Agent
from ossec.layout import Layout

FLAGS_LENGTH = 3
ZEROED, IGNORED = b"!++", b"!!?"
NUMBERS = {b"!++": 0, b"#++": 0, b"!!+": 2, b"#!+": 2, b"!!!": 3, b"#!!": 3}  # what OSSEC shows; others: 4
ORDINALS = {0: "1st", 2: "2nd", 3: "3rd"}
GONE = b"-1"
LOCAL_DATABASE = "syscheck"
NAMES = ("size", "perm", "uid", "gid", "md5", "sha1", "sha256")


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `at` is where it begins in the file."""

    flags: bytes
    sums: bytes
    when: int
    path: bytes
    at: int

    @property
    def is_change(self) -> bool:
        return self.flags[:1] in (b"!", b"#")

    @property
    def number(self) -> int:
        """How often the file had changed, as OSSEC counts (0: once)."""
        return 0 if self.flags == b"+++" else NUMBERS.get(self.flags, 4)

    @property
    def moment(self) -> str:
        """`2023 Nov 14 22:13:20`, local time."""
        local = time.localtime(self.when)
        return time.strftime("%Y ", local) + time.ctime(self.when)[4:7] + time.strftime(" %d %H:%M:%S", local)

    def format(self) -> bytes:
        return b"%b%b !%d %b" % (self.flags, self.sums, self.when, self.path)


def parse(line: bytes, at: int = 0) -> Line | None:
    """None for what is no line of a database."""
    sums, space, rest = line[FLAGS_LENGTH:].partition(b" ")
    when, second, path = rest[1:].partition(b" ")
    if not space or not second or rest[:1] != b"!" or not when.isdigit() or len(when) > 15:
        return None
    return Line(line[:FLAGS_LENGTH], sums, int(when), path, at)


def read(path: Path) -> Iterator[Line]:
    """In the order of the file; nothing where there is none."""
    try:
        with path.open("rb") as file:
            at = 0
            for raw in file:
                line = parse(raw.rstrip(b"\n"), at)
                at += len(raw)
                if line is not None:
                    yield line
    except FileNotFoundError:
        return


@dataclass(frozen=True, slots=True)
class Event:
    """A line and what it meant; `before` is the SUM that it followed, None for none."""

    line: Line
    before: bytes | None

    @property
    def kind(self) -> str:
        if self.line.sums == GONE:
            return "deleted"
        if self.before is None:
            return "added"
        return "restored" if self.before == GONE else "modified"

    @property
    def title(self) -> str:
        times = ORDINALS.get(self.line.number, "4th or later")
        return {
            "deleted": "File deleted.",
            "added": "File added to the database. ",
            "restored": "File restored. ",
            "modified": f"File changed. - {times} time modified.",
        }[self.kind]

    def values(self) -> list[tuple[str, str, bool]]:
        """(name, value, whether it differs from before) of what was compared."""
        if self.kind == "deleted":
            return []
        now = self.line.sums.decode("ascii", "replace").split(":")[: len(NAMES)]
        then = (self.before or b"").decode("ascii", "replace").split(":") if self.kind == "modified" else now
        then += [""] * (len(now) - len(then))
        shown = zip(NAMES, now, then, strict=False)
        return [(name, mode_text(new) if name == "perm" else new, new != old) for name, new, old in shown]


def mode_text(mode: str) -> str:
    """A decimal st_mode as `rwxr-xr-x`, set-id and sticky as OSSEC shows them."""
    value = int(mode) if mode.isdigit() and len(mode) < 12 else 0
    text = ["rwx"[index % 3] if value & (0o400 >> index) else "-" for index in range(9)]
    for bit, index, letter in ((0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")):
        if value & bit:
            text[index] = letter
    return "".join(text)


def events(path: Path, wanted: Callable[[bytes], bool]) -> Iterator[Event]:
    """What happened to the files that `wanted` holds for."""
    before: dict[bytes, bytes] = {}
    for line in read(path):
        if wanted(line.path):
            yield Event(line, before.get(line.path))
            before[line.path] = line.sums


def set_flags(path: Path, wanted: Callable[[bytes], bool], flags: bytes) -> bytes | None:
    """Change the flags of the first current line that `wanted` holds for; its path, None for none.  OSError."""
    for line in read(path):
        if line.flags[:1] != b"#" and wanted(line.path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, flags, line.at)
            finally:
                os.close(descriptor)
            return line.path
    return None


def databases(layout: Layout, agent: Agent) -> list[Path]:
    """Where an agent's changes are; the registry's last."""
    if agent.row.id == LOCAL_ID:
        return [layout.syscheck_database(LOCAL_DATABASE)]
    return [layout.syscheck_database(f"{agent.label}->{kind}") for kind in ("syscheck", "syscheck-registry")]


def clear(layout: Layout, agent: Agent) -> None:
    """Empty an agent's databases; its first scan counts as none, maintenance ends.  OSError."""
    for path in databases(layout, agent):
        empty(path)
    layout.maintenance_mark(LOCAL_DATABASE if agent.row.id == LOCAL_ID else agent.label).unlink(missing_ok=True)


def clear_all(layout: Layout) -> None:
    """Every database there is, of agentless devices too.  OSError."""
    for path in layout.syscheck_dir.iterdir():
        if path.name.startswith("."):
            if path.name.endswith((".cpt", ".maint")):
                path.unlink(missing_ok=True)
        elif path.is_file() and not path.is_symlink():
            empty(path)


def empty(path: Path) -> None:
    """In place: a running analysisd has it open.  Its mark of a completed scan goes."""
    with path.open("ab") as file:
        file.truncate(0)
    path.with_name(f".{path.name}.cpt").unlink(missing_ok=True)
