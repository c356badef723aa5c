"""The text of an alert file → records, also of older releases, also where one was not finished (spec/outputs.md, 2.3).

Theory of operation.  Between records a line `** Alert ID:` begins one, if a date line follows it.  Within a record only
a whole header does (the header line, a date line and a rule line), so that a line of a log which looks like a header
stays a line of the log.  A record ends with an empty line after its log, or where the next header stands.  Field lines
count before the first line of the log only, each once.

Where OSSEC's readers lose alerts (two without an empty line between, an empty log, CR LF, the format of 0.8, a record
written in two steps), this one returns them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_RECORD = 1 << 20  # bytes; a record that does not end within it is given up: no alert of ours comes near
MAX_LINES = 1000  # of a log; OSSEC's readers keep 20, a file's diff may have more
MAX_LINE = 2047  # bytes; OSSEC's readers take a longer line for several
SHOWN_LINES = 20  # of a log in mails and syslog messages
HEADER = b"** Alert"

_STRICT = re.compile(
    rb"\*\* Alert \d{1,20}\.\d{1,20}:[^\n]*\n"
    rb"\d{4} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [^\n]*\n"
    rb"Rule: \d{1,10} \(level \d{1,5}\) -> '[^\n]*'\r?\n"
)
_COMMON = re.compile(  # a whole record of the usual kind: one line of log
    rb"\*\* Alert (\d{1,20}\.\d{1,20}): (mail  )?-( [^\n\r]*)\n"
    rb"(\d{4} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d) ([^\n]*)\n"
    rb"Rule: (\d{1,18}) \(level (\d{1,18})\) -> '([^\n]*)'\n"
    rb"(?:Src IP: ([^\n]*)\n)?(?:Src Port: (\d{1,18})\n)?(?:Dst IP: ([^\n]*)\n)?(?:Dst Port: (\d{1,18})\n)?"
    rb"(?:User: ([^\n]*)\n)?([^\n]{1,2047})\n\n"
)
_NUMBER = re.compile(rb"\d{1,18}")
_FIELDS = {
    b"Src IP": "srcip",
    b"Src Location": "src_location",
    b"Src Port": "srcport",
    b"Dst IP": "dstip",
    b"Dst Location": "dst_location",
    b"Dst Port": "dstport",
    b"User": "user",
}
_CHANGED = b"Integrity checksum changed for: '"
_DIFF = b"What changed:"
_FILE_FIELDS = (
    (b"Old md5sum was: ", "old_md5"),
    (b"New md5sum is : ", "new_md5"),
    (b"Old sha1sum was: ", "old_sha1"),
    (b"New sha1sum is : ", "new_sha1"),
    (b"Size changed from ", "size"),
    (b"Ownership was ", "owner"),
    (b"Group ownership was ", "group_owner"),
    (b"Permissions changed from ", "permissions"),
)


class Record(NamedTuple):
    """One alert as it stands in the file.  Absent fields are None, absent numbers 0."""

    id: bytes  # `1795319371.1`
    mail: bool
    group: bytes | None  # as OSSEC hands it on: with the blank in front, ` syslog,sshd,`
    date: bytes  # local time, `2026 Nov 22 03:49:31`
    location: bytes
    rule: int
    level: int
    comment: bytes | None
    lines: tuple[bytes, ...]  # of the log
    srcip: bytes | None = None
    srcport: int = 0
    dstip: bytes | None = None
    dstport: int = 0
    user: bytes | None = None
    src_location: bytes | None = None  # geoip
    dst_location: bytes | None = None
    filename: bytes | None = None  # of a changed file
    old_md5: bytes | None = None  # these with their quotes
    new_md5: bytes | None = None
    old_sha1: bytes | None = None
    new_sha1: bytes | None = None
    size: bytes | None = None  # `'1' to '2'`
    owner: bytes | None = None  # `'0', now it is '1'`
    group_owner: bytes | None = None
    permissions: bytes | None = None  # `'rw-' to 'r--'`

    @property
    def shown(self) -> tuple[bytes, ...]:
        """The lines that mails and syslog messages show."""
        return self.lines[:SHOWN_LINES]


class Parsed(NamedTuple):
    """A record and the bytes it was read from; `end` is the offset behind them."""

    record: Record
    raw: bytes
    end: int


class RecordReader:
    """Takes a file in pieces, gives records.  `offset` is where the first byte that waits stands in the file."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self.waiting = b""
        self.dropped = 0  # texts between records, and records that make no sense
        self._in_junk = False

    def feed(self, data: bytes) -> list[Parsed]:
        """The records that `data` completes."""
        self.waiting += data
        return self._take(final=False)

    def settle(self) -> list[Parsed]:
        """Nothing has come for a while: what waits is a record if an empty line ends it."""
        return self._take(final=True) if self.waiting.endswith(b"\n\n") else []

    def finish(self) -> list[Parsed]:
        """The file is complete: what waits is a record if it is one at all."""
        length = len(self.waiting)
        end = self.offset + length
        if not self.waiting.endswith(b"\n\n"):
            self.waiting += b"\n" if self.waiting.endswith(b"\n") else b"\n\n"
        found = self._take(final=True) if length else []
        if self.waiting.strip():
            self.dropped += 1
        self.waiting = b""
        self.offset = end
        return [
            parsed._replace(raw=parsed.raw[: len(parsed.raw) - max(0, parsed.end - end)], end=min(parsed.end, end))
            for parsed in found
        ]

    def _take(self, final: bool) -> list[Parsed]:
        text = self.waiting
        found: list[Parsed] = []
        at = 0
        while True:
            at = self._skip_to_header(text, at)
            if not text.startswith(HEADER, at):
                break
            ending = _parse(text, at, final)
            if ending is None:
                if len(text) - at <= MAX_RECORD:
                    break
                ending = None, text.find(b"\n", at) + 1 or len(text)
            record, end = ending
            if record is None:
                self.dropped += 1
                self._in_junk = True
            else:
                found.append(Parsed(record, text[at:end], self.offset + end))
                self._in_junk = False
            at = end
        self.waiting = text[at:]
        self.offset += at
        return found

    def _skip_to_header(self, text: bytes, at: int) -> int:
        """Over empty lines and what is no record, to a header or to a line that has not ended."""
        while at < len(text) and not text.startswith(HEADER, at):
            end = text.find(b"\n", at)
            if end < 0:
                return len(text) if len(text) - at > MAX_RECORD else at
            if end > at and text[at:end] != b"\r" and not self._in_junk:
                self.dropped += 1
                self._in_junk = True
            at = end + 1
        return at


def _parse(text: bytes, start: int, final: bool) -> tuple[Record | None, int] | None:
    """The record that starts at `start` and where it ends; no record: where to go on; None: it has not ended yet."""
    common = _COMMON.match(text, start)
    if common is not None and (record := _usual(common)) is not None:
        return record, common.end()
    first = text.find(b"\n", start)
    second = text.find(b"\n", first + 1) if first >= 0 else -1
    if second < 0:
        return None
    head = text[start:first]
    cr = head.endswith(b"\r")
    header = _parse_header(head.removesuffix(b"\r"))
    placed = _parse_place(text[first + 1 : second].removesuffix(b"\r"))
    if header is None or placed is None:
        return None, first + 1
    body = _Body(header[2])
    at = second + 1
    while True:
        end = text.find(b"\n", at)
        if end < 0:
            return None if not final else (body.finish(header, placed, cut=True), len(text))
        line = text[at:end]
        if cr:
            line = line.removesuffix(b"\r")
        if not line:
            if body.log:
                return body.finish(header, placed), end + 1
            body.log.append(b"")
        elif line.startswith(HEADER):
            if _STRICT.match(text, at):
                return body.finish(header, placed, cut=True), at
            if not final and text.count(b"\n", at, at + MAX_RECORD) < 3:
                return None  # is it a header?  Two more lines will tell
            body.add(line)
        else:
            body.add(line)
        at = end + 1


def _usual(found: re.Match[bytes]) -> Record | None:
    """The same as what the lines one by one would give; None where these must be looked at."""
    identity, mail, group, date, place, rule, level, comment, srcip, srcport, dstip, dstport, user, line = (
        found.groups()
    )
    if line.partition(b": ")[0] in _FIELDS or line.startswith((HEADER, _CHANGED)) or b"syscheck" in group:
        return None
    return Record(
        identity,
        mail is not None,
        group,
        date,
        place,
        int(rule),
        int(level),
        comment,
        (line,),
        srcip,
        int(srcport) if srcport else 0,
        dstip,
        int(dstport) if dstport else 0,
        user,
    )


def _parse_header(line: bytes) -> tuple[bytes, bool, bytes | None] | None:
    """id, mail flag, group."""
    colon = line.find(b":", 9)
    if colon < 0 or not line.startswith(b"** Alert "):
        return None
    flags = line[colon + 1 :].partition(b" ")[2]
    _, dash, group = flags.partition(b"-")
    return line[9:colon], flags.startswith(b"mail"), group if dash else None


def _parse_place(line: bytes) -> tuple[bytes, bytes] | None:
    """date, location."""
    colon = line.find(b":")
    blank = line.find(b" ", colon) if colon >= 0 else -1
    return (line[:blank], line[blank + 1 :]) if blank >= 0 else None


def number_of(text: bytes) -> int:
    """The number that a text begins with; 0 without one."""
    match = _NUMBER.match(text)
    return int(match[0]) if match else 0


class _Body:
    """What follows the date line."""

    def __init__(self, group: bytes | None) -> None:
        self.file_group = group is not None and b"syscheck" in group
        self.rule: tuple[int, int, bytes] | None = None
        self.bad = False
        self.fields: dict[str, bytes] = {}
        self.log: list[bytes] = []
        self._last_field: tuple[str, bytes] | None = None
        self._lines = 0
        self._about_file = self.file_group
        self._in_diff = False

    def add(self, line: bytes) -> None:
        self._lines += 1
        if self._lines == 1 and line.startswith(b"Rule: "):
            self._add_rule(line)
            return
        if not self.log and self._is_field(line):
            return
        if self._about_file and not self._in_diff and self._is_file_field(line):
            return
        if not self.log and line.startswith(_CHANGED):
            self._about_file = True
        if line == _DIFF:
            self._in_diff = True
        self._add_log(line)

    def _add_rule(self, line: bytes) -> None:
        words = line.split(b" ", 3)
        first, last = line.find(b"'"), line.rfind(b"'")
        if len(words) < 4 or first == last:
            self.bad = True
        else:
            self.rule = number_of(words[1]), number_of(words[3]), line[first + 1 : last]

    def _is_field(self, line: bytes) -> bool:
        name, separator, value = line.partition(b": ")
        key = _FIELDS.get(name)
        if key is None or not separator or key in self.fields:
            return False
        self.fields[key] = value
        self._last_field = key, line
        return True

    def _is_file_field(self, line: bytes) -> bool:
        for prefix, key in _FILE_FIELDS:
            if line.startswith(prefix) and key not in self.fields:
                self.fields[key] = line[len(prefix) :]
                return True
        return False

    def _add_log(self, line: bytes) -> None:
        if len(self.log) < MAX_LINES:
            if len(line) <= MAX_LINE:
                self.log.append(line)
            else:
                self.log += [line[at : at + MAX_LINE] for at in range(0, len(line), MAX_LINE)]

    def finish(
        self, header: tuple[bytes, bool, bytes | None], placed: tuple[bytes, bytes], cut: bool = False
    ) -> Record | None:
        """None if the rule line makes no sense.  `cut`: no empty line closed the log."""
        if self.bad:
            return None
        if cut and self._last_field and self.log in ([], [b""]):  # every alert has a log: it looks like a field
            key, line = self._last_field
            del self.fields[key]
            self.log = [line]
        log = self.log or [b""]
        rule, level, comment = self.rule or (0, 0, None)
        filename = log[0][len(_CHANGED) : -1] if self.file_group and log[0].startswith(_CHANGED) else None
        fields = self.fields
        return Record(
            id=header[0],
            mail=header[1],
            group=header[2],
            date=placed[0],
            location=placed[1],
            rule=rule,
            level=level,
            comment=comment,
            lines=tuple(log),
            srcip=fields.get("srcip"),
            srcport=number_of(fields.get("srcport", b"")),
            dstip=fields.get("dstip"),
            dstport=number_of(fields.get("dstport", b"")),
            user=fields.get("user"),
            src_location=fields.get("src_location"),
            dst_location=fields.get("dst_location"),
            filename=filename,
            **{key: fields.get(key) for _, key in _FILE_FIELDS},
        )
