"""Rootcheck's findings on queue type 9: which are new, and what file they speak of (spec/analysis.md, 11.2)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from ossec.analysisd.event import Event
from ossec.analysisd.filedb import BadLocation, RootcheckDatabase
from ossec.analysisd.syscheck import FileChange

log = logging.getLogger("ossec.analysisd.rootcheck")

DECODER = "rootcheck"
_FILE = re.compile(rb"file '([^']+)'")
_HASH = {
    "md5": re.compile(rb"\bMD5=([0-9a-fA-F]{32})(?![0-9a-fA-F])"),
    "sha1": re.compile(rb"\bSHA1=([0-9a-fA-F]{40})(?![0-9a-fA-F])"),
    "sha256": re.compile(rb"\bSHA256=([0-9a-fA-F]{64})(?![0-9a-fA-F])"),
}
_KEYED = re.compile(r"\{([A-Za-z_]\w{0,31}): ([^{}]*)\}")


class Rootcheck:
    """Marks a text that its location had not reported before as first seen."""

    def __init__(self, database: Callable[[bytes], RootcheckDatabase]) -> None:
        self._database = database
        self.refused = 0

    def decode(self, event: Event) -> str:
        """The decoder's name; `first_seen`, `filename` and `file_change` are set on the event."""
        text = event.full_log
        event.log = text
        try:
            event.first_seen = self._database(event.location).see(text, int(event.time))
        except OSError as error:
            self.refused += 1
            if self.refused == 1 or not isinstance(error, BadLocation):
                log.error("The rootcheck database of %r cannot be used: %s", event.location, error)
            event.first_seen = True  # rather told twice than never
        found = _FILE.search(text)
        if found is not None:
            event.filename = found.group(1)
            hashes: dict[str, bytes] = {}
            for name, pattern in _HASH.items():
                match = pattern.search(text)
                if match is not None:
                    hashes[name] = match.group(1)
            event.file_change = FileChange(found.group(1), {}, hashes)
        return DECODER


def keyed_values(text: str) -> dict[str, list[str]]:
    """The `{PCI_DSS: 2.2.4, 8.1}` of a finding: key to values, in the order of the text."""
    return {key: [value.strip() for value in values.split(",")] for key, values in _KEYED.findall(text)}
