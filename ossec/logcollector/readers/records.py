"""Readers of records that their lines name or mark: auditd, any captured value, ModSecurity, start and end patterns.

spec/logcollector.md, sections 5.8, 5.9, 7.2 to 7.4, 7.6.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from ossec.logcollector.readers.base import (
    MAX_LONG_LINE,
    ONLY,
    Holding,
    Target,
    without_return,
)
from ossec.regex import Matcher, compile_pcre2

Identify = Callable[[bytes], bytes | None]  # a line to the id of its record


class ById(Holding):
    """All lines with the same id are one record, however they are mixed with others."""

    def __init__(self, target: Target, identify: Identify, patience: int, renewed: bool) -> None:
        super().__init__(target, patience, renewed)
        self.identify = identify

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts: list[bytes] = []
        for line, start in zip(lines, starts, strict=True):
            line = without_return(line)
            key = self.identify(line)
            if key is None:
                texts += self.without_id(line)
            elif key in self.records:
                self.extend(key, line)
            else:
                self.open(key, start, line)
                texts += self.overflow()
        return texts

    def without_id(self, line: bytes) -> list[bytes]:
        """What becomes of a line that belongs to no record: it is sent by itself."""
        return [line]


AUDIT_ID = re.compile(rb"((?:node=\S+ )?)type=.*?msg=audit\((.*?)\):", re.DOTALL)


def audit_id(line: bytes) -> bytes | None:
    """Node, time stamp and serial of a line of the audit daemon; the serial alone starts again after a reboot."""
    found = AUDIT_ID.match(line)
    return None if found is None else found[1] + found[2]


class Auditd(ById):
    """`linux_auditd`, `audit`."""

    line_limit: ClassVar[int] = MAX_LONG_LINE

    def __init__(self, target: Target, patience: int, renewed: bool) -> None:
        super().__init__(target, audit_id, patience, renewed)

    def without_id(self, line: bytes) -> list[bytes]:
        text = "discarding audit message because of invalid syntax"
        self.target.complaints.say(logging.ERROR, text, plain=False)
        return []


def capture_id(pattern: Matcher) -> Identify:
    """The text of a pattern's first group, or of the whole match where it has none."""

    def identify(line: bytes) -> bytes | None:
        found = pattern.search(line)
        if found is None:
            return None
        return found.groups[0] if found.groups else line[: found.end]

    return identify


class ModSecurity(Holding):
    """ModSecurity's serial audit log: from section A of an id to its section Z (7.2)."""

    line_limit: ClassVar[int] = MAX_LONG_LINE
    MARKER = re.compile(rb"-{2,3}[ ]*([0-9A-Za-z]{1,63})(?:---|-)([A-Za-z])--[ ]*\r?\Z")

    def __init__(self, target: Target, patience: float, interleave: bool) -> None:
        super().__init__(target, patience)
        self.interleave = interleave
        self._recent: list[bytes] = []  # open ids, the current one last

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts: list[bytes] = []
        for line, start in zip(lines, starts, strict=True):
            line = without_return(line)
            marker = self.MARKER.match(line) if line.startswith(b"--") else None
            if marker is None:
                if self._recent:
                    self.extend(self._recent[-1], line)
                continue
            key, section = marker[1], marker[2]
            if key in self.records:
                if section == b"A":  # the body of a request may say anything
                    self.extend(self._recent[-1], line)
                    continue
                self._use(key)
                self.extend(key, line)
                if section == b"Z":
                    texts.append(self.close(key))
            elif section == b"A" and (self.interleave or not self.records):
                self._recent.append(key)
                self.open(key, start, line)
                texts += self.overflow()
            elif self._recent:
                self.extend(self._recent[-1], line)
        return texts

    def close(self, key: bytes) -> bytes:
        self._recent.remove(key)
        return super().close(key)

    def _use(self, key: bytes) -> None:
        if self._recent[-1] != key:
            self._recent.remove(key)
            self._recent.append(key)


class Between(Holding):
    """From a line that `start` finds to one that `end` finds; without an end, to the next start (7.3)."""

    def __init__(self, target: Target, start: Matcher, end: EndPattern | None, patience: float) -> None:
        super().__init__(target, patience)
        self.start = start
        self.end = end
        self._is_end: Callable[[bytes], bool] | None = None

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts: list[bytes] = []
        end = self.end
        for line, offset in zip(lines, starts, strict=True):
            line = without_return(line)
            if self.records and end is not None and end.has_references:
                self.extend(ONLY, line)  # a start inside is body
            else:
                found = self.start.search(line)
                if found is not None:
                    texts += self.flush()
                    self.open(ONLY, offset, line)
                    self._is_end = None if end is None else end.bind(found.groups)
                elif self.records:
                    self.extend(ONLY, line)
                else:
                    continue
            if self._is_end is not None and self._is_end(line):
                texts.append(self.close(ONLY))
        return texts


class EndPattern:
    """The pattern of a record's last line, in which `\\1` to `\\9` stand for what its first line captured, literally.

    `text` is PCRE2 in which such a reference is `REFERENCE` followed by its digit.
    """

    REFERENCE = "\x01"  # no pattern that a configuration file holds has it by itself
    MAX_BOUND = 256  # patterns kept compiled: as many different captures as are likely open at a time

    def __init__(self, text: str) -> None:
        self.text = text
        self.has_references = self.REFERENCE in text
        self._bound: dict[tuple[bytes, ...], Matcher] = {}
        self.bind(())

    def bind(self, groups: tuple[bytes, ...]) -> Callable[[bytes], bool]:
        """The test for the end of the record that a line with these groups opened."""
        key = groups if self.has_references else ()
        matcher = self._bound.get(key)
        if matcher is None:
            if len(self._bound) >= self.MAX_BOUND:
                self._bound.clear()
            text = re.sub(self.REFERENCE + "([1-9])", lambda found: self._literal(groups, int(found[1])), self.text)
            matcher = self._bound[key] = compile_pcre2(text)
        return matcher.test

    @staticmethod
    def _literal(groups: tuple[bytes, ...], number: int) -> str:
        text = groups[number - 1] if number <= len(groups) else b""
        return "(?-i:" + re.escape(text.decode("utf-8", "surrogateescape")) + ")"
