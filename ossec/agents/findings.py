"""Rootcheck's findings as rootcheck_control shows them (spec/rootcheck.md, section 8).

The database is text: `!LAST!FIRST TEXT`, times in seconds.  A finding that the last scan did not repeat is resolved.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

DAY = 86400  # seconds: a scan may take so long
UNPREFIXED = ("Application Found:", "Windows Audit:", "Windows Malware:")
PREFIX = "System Audit: "
SCAN_STARTED = "Starting rootcheck scan"
_LINE = re.compile(r"!(\d{1,11})!(\d{1,11}) (.*)")
_SCAN_LINE = re.compile(r"(?:Starting|Ending) (?:rootcheck|syscheck) scan")


class State(StrEnum):
    RESOLVED = "resolved"
    OUTSTANDING = "outstanding"


@dataclass(frozen=True, slots=True)
class Finding:
    """`last` and `first` time that it was reported, seconds since the epoch; `text` as the scan wrote it."""

    last: int
    first: int
    text: str
    state: State

    @property
    def shown(self) -> str:
        """With the prefix that OSSEC puts before most, also before one that is there."""
        return self.text if self.text.startswith(UNPREFIXED) else PREFIX + self.text


@dataclass(frozen=True, slots=True)
class Findings:
    """A database: when its last scan began (now, where it does not say) and what it holds, in its order."""

    scan: int
    all: tuple[Finding, ...]

    def of(self, state: State) -> list[Finding]:
        return [finding for finding in self.all if finding.state is state]


def parse(data: bytes, now: float) -> Findings:
    """Any bytes; lines of the old form, and those about scans, are not shown."""
    rows = [
        (int(match[1]), int(match[2]), match[3])
        for line in data.decode("utf-8", "surrogateescape").split("\n")
        if (match := _LINE.fullmatch(line))
    ]
    scan = next((last for last, _, text in rows if SCAN_STARTED in text), int(now))
    return Findings(
        scan,
        tuple(
            Finding(last, first, text, State.RESOLVED if last + DAY < scan else State.OUTSTANDING)
            for last, first, text in rows
            if not _SCAN_LINE.match(text)
        ),
    )


def stamp(seconds: int) -> str:
    """`2023 Nov 15 22:13:20`, local time."""
    parts = time.ctime(seconds).split()
    return f"{parts[4]} {parts[1]} {int(parts[2]):02d} {parts[3]}"


def section(title: str, findings: Iterable[Finding], *, times: bool = True) -> str:
    """One part of the text form."""
    text = ""
    for finding in findings:
        if times:
            text += f"{stamp(finding.last)} (first time detected: {stamp(finding.first)})\n"
        text += f"{finding.shown}\n\n"
    return f"\n{title}\n\n{text or '** No entries found.' + chr(10)}"


def csv(findings: Iterable[Finding]) -> str:
    """`-s`."""
    return "".join(
        f"{finding.state},{stamp(finding.last)},{stamp(finding.first)},{finding.shown}\n" for finding in findings
    )


def values(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """`-j`; the prefix is not doubled there."""
    return [
        {
            "status": str(finding.state),
            "readDay": stamp(finding.last),
            "oldDay": stamp(finding.first),
            "event": finding.text if finding.text.startswith(PREFIX) else finding.shown,
        }
        for finding in findings
    ]
