"""etc/shared/ar.conf: the responses that execd may run, on this host and on every agent.

One line for each: `NAME - EXECUTABLE - TIMEOUT` (spec/active-response.md, sections 1 and 4).  The two lines of
`restart-ossec0` come first, one for Unix and one for Windows, then the responses in the order of ossec.conf, duplicates
included.  A server or local home writes the file when analysisd starts or reloads; an agent gets it from the server.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ossec.config.model import MAX_RESPONSE_NAME, ActiveResponse, Configuration
from ossec.config.schema import leading_integer
from ossec.layout import Layout

MODE = 0o440  # as OSSEC: scripts' names are nobody's to change
GROUP = "ossec"  # remoted reads it
MAX_NAME = 256  # bytes of a name that execd keeps
MAX_FILE = 1024 * 1024  # far above what execd needs; keeps a wrong file from filling the memory

_LEADING = re.compile(rb"\s*[+-]?[0-9]{1,40}")


class Line(NamedTuple):
    """One response: its name, the file under active-response/bin, seconds until it is undone (0: never)."""

    name: bytes
    executable: bytes
    timeout: int


RESTART = (Line(b"restart-ossec0", b"restart-ossec.sh", 0), Line(b"restart-ossec0", b"restart-ossec.cmd", 0))


def parse(data: bytes) -> Iterator[Line | None]:
    """Each line as execd reads it, None for one that is none (blank and `#` lines too)."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        parts = line.split(b" - ", 2)
        if len(parts) < 3:
            yield None
            continue
        match = _LEADING.match(parts[2])
        yield Line(parts[0][:MAX_NAME], parts[1], leading_integer(match[0].decode()) if match else 0)


def format_lines(lines: Iterable[Line]) -> bytes:
    """The bytes of the file; the inverse of `parse` for names and executables without ` - ` and line ends."""
    return b"".join(b"%b - %b - %d\n" % line for line in lines)


def content(responses: Iterable[ActiveResponse]) -> bytes:
    """The whole file for the responses of a configuration.

    A line end in a name or executable becomes a blank: nobody writes a second line through it.
    """
    lines = list(RESTART)
    for response in responses:
        name, executable = (
            text.encode("utf-8", "surrogateescape").translate(bytes.maketrans(b"\r\n", b"  "))
            for text in (response.name, response.command.executable)
        )
        lines.append(Line(name[:MAX_RESPONSE_NAME], executable, response.timeout))
    return format_lines(lines)


def write(layout: Layout, configuration: Configuration) -> bool:
    """Write the file of a valid configuration if its content, mode or group is not what it should be; whether it did.

    Atomic: a reader sees the old or the new file.  0440, and of group ossec where we are root and the group exists.
    Never on an agent, which gets it from its server.  To be called before root is dropped.  OSError when the folder
    cannot be written.
    """
    if configuration.kind == "agent":
        return False
    path = layout.ar_conf
    wanted = content(configuration.responses)
    group = _group()
    if _is_as_wanted(path, wanted, group):
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(wanted)
            if group is not None:
                os.fchown(out.fileno(), 0, group)
            os.fchmod(out.fileno(), MODE)
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return True


def _group() -> int | None:
    """The group to give the file to; None where we cannot, or there is none."""
    if os.geteuid() != 0:
        return None
    import grp

    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def _is_as_wanted(path: Path, wanted: bytes, group: int | None) -> bool:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return (
                status.st_mode & 0o7777 == MODE
                and (group is None or status.st_gid == group)
                and file.read(len(wanted) + 1) == wanted
            )
    except OSError:
        return False
