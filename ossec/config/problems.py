"""What reading a configuration has to say: OSSEC's lines as OSSEC prints them, and ours with file, line and remedy.

OSSEC stops at its first error.  Ours tells that one in OSSEC's words and goes on to find the others, which it tells in
its own.  `Problems` collects for one program; its name stands in front of every line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ossec.config.model import Place
from ossec.errors import ConfigError

MAX_PROBLEMS = 500  # a file of garbage must not fill the log; the rest is counted

IN_FILE, IN_SECTION = 1, 2  # how often OSSEC says 1202: once for the file, once more for the section's reader
SILENT = 0

# What a program says last when its configuration is refused; the others say 1202 once more.
LAST_WORDS = {
    "ossec-agentd": "(1215): ERROR: No client configured. Exiting.",
    "ossec-agentlessd": "(7101): ERROR: Invalid agentless configuration.",
}


class Refusal(Exception):
    """A value or element that OSSEC refuses.

    `upstream` are OSSEC's lines without the program's name; `message` is ours, without the place.
    """

    def __init__(self, message: str, *upstream: str) -> None:
        super().__init__(message)
        self.message = message
        self.upstream = upstream


class ConfigurationError(ConfigError):
    """A program must refuse this configuration.  `lines` are ready to print, OSSEC's first."""

    def __init__(self, message: str, place: Place, lines: Iterable[str]) -> None:
        super().__init__(message, place.path, place.line)
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in our words."""

    message: str
    place: Place
    fatal: bool

    def line(self, program: str) -> str:
        """As ossec.log shows it."""
        return f"{program}: {'ERROR' if self.fatal else 'WARN'}: {self.place}: {self.message}"


class Problems:
    """Collects while one program's configuration is read.

    `shared`: the file is agent.conf, at whose mistakes OSSEC says 1202 once less and goes on.
    """

    def __init__(self, program: str, path: Path, *, shared: bool = False) -> None:
        self.program = program
        self.path = path
        self.shared = shared
        self.upstream: list[str] = []  # OSSEC's lines up to and with the error that it dies of
        self.found: list[Problem] = []
        self.refusals = 0
        self.dropped = 0

    @property
    def failed(self) -> bool:
        """Whether the program must refuse."""
        return self.refusals > 0

    def say(self, text: str) -> None:
        """A line of OSSEC's (what follows the program's name) that does not stop it."""
        if not self.failed:
            self.upstream.append(self.program + text)

    def warn(self, message: str, place: Place) -> None:
        """Something that OSSEC swallows."""
        self._add(Problem(message, place, False))

    def refuse(self, refusal: Refusal, place: Place, closing: int, reader: str | None = None) -> None:
        """Something that OSSEC dies of; `closing` is how often it says 1202, `reader` who says it last."""
        for text in refusal.upstream:
            self.say(text)
        if self.shared:
            closing, reader = max(closing - 1, SILENT), None
        if closing:
            refused = f"(1202): ERROR: Configuration error at '{self.path}'. Exiting."
            if closing == IN_SECTION:
                self.say(refused)
            if not self.failed:
                last = LAST_WORDS.get(self.program)
                self.upstream.append(self.program + last if last else (reader or self.program) + refused)
        self._add(Problem(refusal.message, place, True))
        self.refusals += 1

    def _add(self, problem: Problem) -> None:
        if len(self.found) < MAX_PROBLEMS or (problem.fatal and self.refusals == 0):
            self.found.append(problem)
        else:
            self.dropped += 1

    def lines(self) -> list[str]:
        """Everything, ready to print."""
        return self.upstream + self.own_lines()

    def own_lines(self) -> list[str]:
        """What is told in our words."""
        lines = [problem.line(self.program) for problem in self.found]
        if self.dropped:
            lines.append(f"{self.program}: WARN: {self.path}: {self.dropped} more mistakes are not shown")
        return lines

    def error(self) -> ConfigurationError:
        """What to raise when `failed`."""
        first = next(problem for problem in self.found if problem.fatal)
        return ConfigurationError(first.message, first.place, self.lines())


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is none: `; did you mean <logall>?`, or nothing."""
    close = get_close_matches(name.lower(), list(known), 1, 0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
