"""ossec.log: one line per message, `YYYY/MM/DD HH:MM:SS NAME(CODE): LEVEL: text` (spec/configuration.md, section 7).

Daemons log through `logging`: `log.error("Could not open file %r", path, extra=code(1103))`.  Without a code the
line is `NAME: LEVEL: text`; with `extra=plain` it is `NAME: text`, as some of OSSEC's lines are.  The file is opened
for each line, so it may be rotated or removed at any time; a line that cannot be written goes to stderr and counts.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LEVEL_NAMES = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARN",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "CRITICAL",
}
ROOT = "ossec"  # every logger of the suite lives below it
plain: Final[Mapping[str, object]] = {"ossec_plain": True}
ready_made: Final[Mapping[str, object]] = {"ossec_ready_made": True}  # the text already names program, code and level


def code(number: int) -> Mapping[str, object]:
    """`extra=` for a message that OSSEC numbers."""
    return {"ossec_code": number}


class LineFormatter(logging.Formatter):
    """OSSEC's text forms; `dated` puts the local time in front."""

    def __init__(self, program: str, dated: bool) -> None:
        super().__init__()
        self.program = program
        self.dated = dated

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        text = text.replace("\n", "\\n")  # one message, one line: nobody forges a second one
        stamp = time.strftime("%Y/%m/%d %H:%M:%S ", time.localtime(record.created)) if self.dated else ""
        if getattr(record, "ossec_ready_made", False):
            return stamp + text
        if not getattr(record, "ossec_plain", False):
            text = f"{LEVEL_NAMES.get(record.levelno, record.levelname)}: {text}"
        number = getattr(record, "ossec_code", None)
        program = getattr(record, "ossec_program", self.program)
        head = f"{program}({number}): " if number is not None else f"{program}: "
        return stamp + head + text


class LogFile(logging.Handler):
    """Appends to ossec.log.  `failures` counts lines that could not be written."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.failures = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        try:
            with self.path.open("ab") as out:
                out.write((line + "\n").encode("utf-8", "surrogateescape"))
        except OSError as error:
            self.failures += 1
            if self.failures == 1:
                _to_stderr(f"{line}\n{self.path} cannot be written: {error.strerror}. Lines go to stderr.")
            else:
                _to_stderr(line)


class StderrLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _to_stderr(self.format(record))


def _to_stderr(line: str) -> None:
    try:
        sys.stderr.buffer.write((line + "\n").encode("utf-8", "surrogateescape"))
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def configure(program: str, path: Path | None, to_stderr: bool, debug: int) -> None:
    """Send the suite's loggers to `path` (None: nowhere) and, if wanted, to stderr; `debug` > 0 shows debug lines."""
    root = logging.getLogger(ROOT)
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.propagate = False
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    handlers: list[logging.Handler] = []
    if path is not None:
        handlers.append(LogFile(path))
    if to_stderr:
        handlers.append(StderrLines())
    for handler in handlers:
        handler.setFormatter(LineFormatter(program, dated=True))
        root.addHandler(handler)
    if not handlers:
        root.addHandler(logging.NullHandler())


def stop_stderr() -> None:
    """After daemonising: nobody reads it any more."""
    root = logging.getLogger(ROOT)
    for handler in list(root.handlers):
        if isinstance(handler, StderrLines):
            root.removeHandler(handler)
