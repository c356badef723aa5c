"""Readers that join neighbouring lines: a fixed number, indentation, continuation lines of databases.

spec/logcollector.md, sections 5.3, 5.4, 7.1, 7.5.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ossec.logcollector.readers.base import NEVER, ONLY, Holding, Target, without_return
from ossec.messages.queue import POSTGRESQL
from ossec.regex import Matcher


class FixedCount(Holding):
    """Each `count` lines are one record (`multiline`, `multi-line:N`), in whatever passes they come."""

    def __init__(self, target: Target, count: int, keeps_return: bool) -> None:
        super().__init__(target, patience=NEVER)
        self.count = count
        self.keeps_return = keeps_return  # OSSEC's own format leaves carriage returns in
        self._seen = 0

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line, start in zip(lines, starts, strict=True):
            if not self.keeps_return:
                line = without_return(line)
            if self._seen:
                self.extend(ONLY, line)
            else:
                self.open(ONLY, start, line)
            self._seen += 1
            if self._seen >= self.count:
                texts.append(self.close(ONLY))
                self._seen = 0
        return texts

    def flush(self) -> list[bytes]:
        self._seen = 0
        return super().flush()


class Heads(Holding, ABC):
    """A line that is a head opens a record, a continuation joins it, the next head or an idle pass sends it."""

    @abstractmethod
    def is_head(self, line: bytes) -> bool: ...

    @abstractmethod
    def is_continuation(self, line: bytes) -> bool: ...

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line, start in zip(lines, starts, strict=True):
            if self.is_head(line):
                if self.records:
                    texts.append(self.close(ONLY))
                self.open(ONLY, start, line)
            elif self.records and self.is_continuation(line):
                self.extend(ONLY, line)
        return texts


class MsSql(Heads):
    """SQL Server's error log: `YYYY-MM-DD HH:MM:SS.cc ...`, every other line continues."""

    def is_head(self, line: bytes) -> bool:
        return (
            len(line) > 18
            and line[:4].isdigit()
            and line[4:8:3] == b"--"
            and line[10:11] == b" "
            and line[13:17:3] == b"::"
        )

    def is_continuation(self, line: bytes) -> bool:
        return len(line) > 1


class Postgresql(Heads):
    """PostgreSQL's log: `[YYYY-MM-DD HH:MM:SS.mmm ZONE] ...`, lines that start with a tab continue."""

    queue: ClassVar[bytes] = POSTGRESQL

    def is_head(self, line: bytes) -> bool:
        return (
            len(line) > 31
            and line[:1] == b"["
            and line[5:9:3] == b"--"
            and line[11:12] == b" "
            and line[14:18:3] == b"::"
            and line[1:13:11].isdigit()
        )

    def is_continuation(self, line: bytes) -> bool:
        return len(line) > 1 and line[:1] == b"\t"


class Indented(Holding):
    """`multi-line_indented`: a line that starts with blank or tab joins the record before it, unchanged."""

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line, start in zip(lines, starts, strict=True):
            if self.records and len(line) > 1 and line[:1] in (b" ", b"\t"):
                self.extend(ONLY, line)
                continue
            if self.records:
                texts.append(self.close(ONLY))
            if line and line[:1] != b"\r":
                self.open(ONLY, start, line)
        return texts


class JoinIndented(Holding):
    """A plain format with `join_indented="yes"`: indented lines, and those that `continuation` finds, join (7.5)."""

    def __init__(self, target: Target, patience: int, continuation: Matcher | None) -> None:
        super().__init__(target, patience)
        self.continuation = continuation

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        continuation = self.continuation
        for line, start in zip(lines, starts, strict=True):
            line = without_return(line)
            joins = line[:1] in (b" ", b"\t")
            if joins:
                line = line.lstrip(b" \t")
            elif continuation is not None:
                joins = continuation.test(line)
            if joins and self.records:
                self.extend(ONLY, line)
                continue
            if self.records:
                texts.append(self.close(ONLY))
            self.open(ONLY, start, line)
        return texts
