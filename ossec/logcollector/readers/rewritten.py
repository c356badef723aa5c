"""Readers that rewrite what they read: mysql_log, nmapg, djb-multilog, snort-full, ossecalert, Docker's json-file.

spec/logcollector.md, sections 5.2, 5.4 to 5.7.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from typing import ClassVar

from ossec.logcollector.readers.base import (
    MAX_LONG_LINE,
    NEVER,
    ONLY,
    Holding,
    Reader,
    Target,
)
from ossec.messages.queue import HOSTINFO, MYSQL

BLANKS = b" \t"


class Mysql(Reader):
    """MySQL's general log: `YYMMDD HH:MM:SS  ...`; a line of the same second starts with two tabs and six blanks."""

    queue: ClassVar[bytes] = MYSQL

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._time = b""

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line in lines:
            if self._is_head(line):
                self._time = line[:15]
                rest = line[15:]
            elif self._time and len(line) > 9 and line.startswith(b"\t\t      "):
                rest = line[8:]
            else:
                continue
            texts.append((b"MySQL log: " + self._time + b" " + rest.lstrip(BLANKS))[: self.room])
        return texts

    def memory(self) -> bytes:
        return self._time

    def recall(self, memory: bytes) -> None:
        self._time = memory

    @staticmethod
    def _is_head(line: bytes) -> bool:
        return (
            len(line) > 17
            and line[:6].isdigit()
            and line[6:7] == b" "
            and line[7:9].isdigit()
            and line[9:13:3] == b"::"
        )


class NmapGrepable(Reader):
    """nmap -oG: open ports of each host."""

    queue: ClassVar[bytes] = HOSTINFO
    MAX_FIELD = 8  # bytes of a port and of a protocol
    HOST = re.compile(rb"Host: [^)\t]*\)")

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line in lines:
            if not line or line.startswith((b"#", b"\r")):
                continue
            host = self.HOST.match(line)
            _, tab, rest = line.partition(b"\t")
            if host is None or not tab:
                self._complain()
            elif rest.startswith(b"Ports: "):
                texts.append((host[0] + b", open ports:" + self._open_ports(rest[7:]))[: self.room])
            elif not rest.startswith(b"Status:"):
                self._complain()
        return texts

    def _open_ports(self, text: bytes) -> bytes:
        found = b""
        for port in text.partition(b"\t")[0].split(b","):
            fields = port.strip().split(b"/")
            if len(fields) > 2 and fields[1] == b"open":
                found += b" %b(%b)" % (fields[0][: self.MAX_FIELD], fields[2][: self.MAX_FIELD])
        return found

    def _complain(self) -> None:
        self.target.complaints.say(logging.WARNING, "Bad formatted nmap grepable file.")


class DjbMultilog(Reader):
    """multilog's `current`: the TAI stamp goes, a syslog head comes."""

    queue: ClassVar[bytes] = MYSQL
    TEXT = 26  # column where the text starts
    DATE = 16  # `Mon DD HH:MM:SS ` of a text that has a syslog date already

    def __init__(self, target: Target, program: bytes) -> None:
        super().__init__(target)
        self.program = program

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line in lines:
            if not self._is_stamped(line):
                continue
            text = line[self.TEXT :].lstrip(BLANKS)
            if len(line) > 43 and self._has_date(text):
                text = text[self.DATE :]
            else:
                text = self.target.syslog_head() + self.program + b": " + text
            texts.append(text[: self.room])
        return texts

    @staticmethod
    def _is_stamped(line: bytes) -> bool:
        return (
            len(line) > 25
            and line[:1] == b"@"
            and line[1:4].isalnum()
            and line[24:25].isalnum()
            and line[25:26] == b" "
        )

    @staticmethod
    def _has_date(text: bytes) -> bool:
        return text[3:7:3] == b"  " and text[15:16] == b" " and text[9:13:3] == b"::"


def djb_program(location: bytes) -> bytes | None:
    """PROGRAM of `/DIR/PROGRAM/current`; None where the path has another form."""
    parts = location.split(b"/")
    if len(parts) < 4 or parts[0] or parts[-1] != b"current" or not parts[-2]:
        return None
    return parts[-2]


class SnortFull(Holding):
    """snort's full alerts: the alert, its class, and the addresses after the date, put together without a blank."""

    line_limit: ClassVar[int] = MAX_LONG_LINE
    NO_CLASS = b"[Classification: Preprocessor] [Priority: 3] "

    def __init__(self, target: Target) -> None:
        super().__init__(target, patience=NEVER)
        self._parts: list[bytes] = []
        self._start = 0

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line, start in zip(lines, starts, strict=True):
            if line.startswith(b"[**] ["):
                if self._parts:
                    self._complain()
                self._parts, self._start = [line], start
            elif not self._parts:
                continue
            elif len(self._parts) == 1 and line.startswith(b"[Classification:"):
                self._parts.append(line)
            elif len(self._parts) == 1 and line.startswith(b"[Priority: "):
                self._parts.append(self.NO_CLASS)
            elif line[2:3] == b"/" and line[5:6] == b"-":
                if len(self._parts) == 1:
                    self._parts.append(self.NO_CLASS)
                self._parts.append(line.partition(b" ")[2])
                texts += self.flush()
            else:
                self._complain()
                self._parts = []
        return texts

    def flush(self) -> list[bytes]:
        text = b"".join(self._parts)
        self._parts = []
        if len(text) > self.room:
            self.target.complaints.too_long(len(text), text)
        return [text[: self.room]] if text else []

    def oldest(self) -> int | None:
        return self._start if self._parts else None

    def _complain(self) -> None:
        self.target.complaints.say(logging.WARNING, "Bad formatted snort full file.")


class OssecAlert(Holding):
    """Another OSSEC's alerts.log: each alert, once its empty line is there, as one line."""

    MAX_LINES = 20  # of the log text
    MAX_LOG = 1594  # bytes of it, if it has more than 1596
    MAX_ALERT = 2047  # bytes of the whole text
    MAX_KEPT = 64  # lines of one alert that are kept: what OSSEC writes itself has fewer before its log text ends
    RULE = re.compile(rb"Rule: (\d+) \(level (\d+)\) -> '(.*)'\r?\Z", re.DOTALL)
    ASIDE = (
        b"Src IP: ",
        b"Src Port: ",
        b"Dst IP: ",
        b"Dst Port: ",
        b"User: ",
        b"Old md5sum was: ",
        b"New md5sum is : ",
        b"Old sha1sum was: ",
        b"New sha1sum is : ",
        b"Size changed from ",
        b"Ownership was ",
        b"Group ownership was ",
        b"Permissions changed from ",
    )

    def __init__(self, target: Target) -> None:
        super().__init__(target, patience=NEVER)
        self._lines: list[bytes] = []
        self._start = 0

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line, start in zip(lines, starts, strict=True):
            if line.startswith(b"** Alert "):
                self._lines, self._start = [line], start
            elif self._lines and line:
                if len(self._lines) < self.MAX_KEPT:
                    self._lines.append(line)
            else:
                texts += self.flush()
        return texts

    def flush(self) -> list[bytes]:
        lines, self._lines = self._lines, []
        text = self._rewrite(lines) if len(lines) > 2 else None
        return [text[: min(self.MAX_ALERT, self.room)]] if text is not None else []

    def oldest(self) -> int | None:
        return self._start if self._lines else None

    def _rewrite(self, lines: list[bytes]) -> bytes | None:
        rule = self.RULE.match(lines[2])
        if rule is None:
            return None
        aside: dict[bytes, bytes] = {}
        rest = lines[3:]
        kept = []
        for line in rest:
            name = next((name for name in self.ASIDE if line.startswith(name)), None)
            if name is None:
                kept.append(line)
            else:
                aside.setdefault(name, line[len(name) :])
        location = lines[1][21:]  # after `YYYY Mon DD HH:MM:SS `
        text = b"ossec: Alert Level: %b; Rule: %b - %b; Location: %b;" % (rule[2], rule[1], rule[3], location)
        for name, word in ((b"Src IP: ", b"srcip"), (b"User: ", b"user")):
            value = aside.get(name, b"(none)")
            if not value.startswith(b"(no"):
                text += b" %b: %b;" % (word, value)
        return text + b"  " + self._log_text(kept)

    def _log_text(self, lines: list[bytes]) -> bytes:
        if len(lines) == 1:
            joined = lines[0]
        else:
            joined = b"".join(line + b"\n" for line in lines[: self.MAX_LINES])
        return joined if len(joined) <= self.MAX_LOG + 2 else joined[: self.MAX_LOG] + b"..."


class DockerJson(Holding):
    """Docker's json-file driver: the `log` of each object; pieces without a newline belong together (ours)."""

    line_limit: ClassVar[int] = 128 * 1024  # docker cuts at 16 KiB, and JSON may write one byte as six

    def __init__(self, target: Target) -> None:
        super().__init__(target, patience=1)

    def read(self, lines: list[bytes], starts: Sequence[int]) -> list[bytes]:
        texts = []
        for line, start in zip(lines, starts, strict=True):
            text, ends = self._decode(line)
            if self.records:
                record = self.records[ONLY]
                record.parts[0] += text[: max(0, self.room - record.kept)]
                self._held += len(record.parts[0]) - record.kept
                record.kept = len(record.parts[0])
                record.length += len(text)
                record.deadline = self._passes + 1 + self.patience
            else:
                self.open(ONLY, start, text)
            if ends:
                texts.append(self.close(ONLY))
        return texts

    @staticmethod
    def _decode(line: bytes) -> tuple[bytes, bool]:
        """The text of one object and whether its line ends there; what is no such object is passed on as it is."""
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return line, True
        text = value.get("log") if isinstance(value, dict) else None
        if not isinstance(text, str):
            return line, True
        piece = text.encode("utf-8", "surrogatepass")
        return (piece[:-1], True) if piece.endswith(b"\n") else (piece, False)
