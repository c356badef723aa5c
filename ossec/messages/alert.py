"""One alert as text: the record in alerts.log, written and read (spec/analysis.md, 12.1; spec/outputs.md, 2).

    ** Alert 1700000003.4: mail  - syslog,sshd,
    2023 Nov 14 22:13:23 web1->/var/log/auth.log
    Rule: 5716 (level 5) -> 'SSHD authentication failed.'
    Src IP: 198.51.100.7
    User: joe
    LOG
    EARLIER LINE

A record ends with an empty line.  Nothing in it is escaped, so the order of things is what tells them apart: the three
lines of the header, then field lines in a fixed order, each at most once, then at least one line of log.  A log line is
never taken for a field once the log has begun.  One doubt is built into the format: a log that starts with a field's
words right after the fields (`User: x` in the log of an alert without user, and a context line behind it).

`format` keeps records apart: inside a text of several lines (a file's diff) an empty line or one that looks like a
header gets a blank in front, and a newline in a header's text becomes a blank.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ossec.errors import RemoteError

MAX_LINE = 1256  # bytes of the log, and of each context line; OSSEC cuts there
MAX_RECORD = 1 << 20  # a record that does not end within it is given up: no alert of ours comes near
HEADER = b"** Alert "

_HEAD = re.compile(
    rb"\*\* Alert (\d{1,20})\.(\d{1,20}):( mail ?)? ?(?:- ?([^\n]*))?\n"
    rb"(\d{4} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d) ([^\n]*)\n"
    rb"Rule: (\d{1,10}) \(level (\d{1,5})\) -> '([^\n]*)'\n"
)
_BODY = re.compile(
    rb"(?:Src IP: ([^\n]*)\n)?"
    rb"(?:Src Location: ([^\n]*)\n)?"
    rb"(?:Src Port: ([^\n]*)\n)?"
    rb"(?:Dst IP: ([^\n]*)\n)?"
    rb"(?:Dst Location: ([^\n]*)\n)?"
    rb"(?:Dst Port: ([^\n]*)\n)?"
    rb"(?:User: ([^\n]*)\n)?"
    rb"((?s:.*))\n\n",
)


class BadAlert(RemoteError):
    """Bytes that are not one alert record."""


class Alert(NamedTuple):
    """One alert.  `lines` are the log and the context lines; a text of several lines stays one item when written."""

    time: int  # seconds since the epoch
    number: int  # TIME.NUMBER names the alert
    mail: bool
    group: bytes  # `syslog,sshd,`
    date: bytes  # local time, `2023 Nov 14 22:13:23`
    location: bytes  # `host->/var/log/auth.log`, or an agent's whole location
    rule: int
    level: int
    comment: bytes
    srcip: bytes | None
    srcport: bytes | None
    dstip: bytes | None
    dstport: bytes | None
    user: bytes | None
    lines: tuple[bytes, ...]
    src_location: bytes | None = None  # geoip, `US / CA`
    dst_location: bytes | None = None

    @property
    def id(self) -> bytes:
        return b"%d.%d" % (self.time, self.number)

    @property
    def log(self) -> bytes:
        return self.lines[0] if self.lines else b""


def format(alert: Alert) -> bytes:
    """The record, empty line included."""
    head = head_text(alert.mail, alert.group)
    rule = rule_text(alert.rule, alert.level, alert.comment)
    if b"\n" in alert.date:
        raise ValueError("a date holds a newline")
    return compose(alert[0], alert[1], head, alert.date, alert.location, rule, alert[9:14], alert.lines, alert[15:17])


def head_text(mail: bool, group: bytes) -> bytes:
    """What follows the id in the first line; the same for every alert of a rule."""
    return b": %b- %b\n" % (b"mail  " if mail else b"", _one_line(group))


def rule_text(rule: int, level: int, comment: bytes) -> bytes:
    """The third line; the same for every alert of a rule."""
    return b"Rule: %d (level %d) -> '%b'\n" % (rule, level, _one_line(comment))


def compose(
    time: int,
    number: int,
    head: bytes,
    date: bytes,
    location: bytes,
    rule: bytes,
    fields: tuple[bytes | None, ...],
    lines: tuple[bytes, ...],
    geoip: tuple[bytes | None, ...] = (None, None),
) -> bytes:
    """The record from finished pieces.  `fields`: srcip, srcport, dstip, dstport, user; `geoip`: source, target."""
    srcip, srcport, dstip, dstport, user = fields
    text = b""
    newlines = 0
    if srcip is not None:
        text = b"Src IP: %b\n" % srcip
        newlines = 1
    if geoip[0] is not None:
        text += b"Src Location: %b\n" % _one_line(geoip[0])
        newlines += 1
    if srcport is not None:
        text += b"Src Port: %b\n" % srcport
        newlines += 1
    if dstip is not None:
        text += b"Dst IP: %b\n" % dstip
        newlines += 1
    if geoip[1] is not None:
        text += b"Dst Location: %b\n" % _one_line(geoip[1])
        newlines += 1
    if dstport is not None:
        text += b"Dst Port: %b\n" % dstport
        newlines += 1
    if user is not None:
        text += b"User: %b\n" % user
        newlines += 1
    if text.count(b"\n") != newlines or b"\n" in location:
        safe = tuple(None if field is None else _one_line(field) for field in fields)
        return compose(time, number, head, date, _one_line(location), rule, safe, lines, geoip)
    if len(lines) == 1:
        body = lines[0]
        if b"\n" in body:
            body = _guard(body)
    else:
        body = b"\n".join(lines)
        if b"\n\n" in body or b"\n** Alert " in body:
            body = _guard(body)
    return b"** Alert %d.%d%b%b %b\n%b%b%b\n\n" % (time, number, head, date, location, rule, text, body)


def _one_line(text: bytes) -> bytes:
    """A newline in a location or a group would start a line of its own."""
    return text.replace(b"\n", b" ")


def _guard(body: bytes) -> bytes:
    """Keep inner lines from ending the record or starting another; newlines at the very end stay."""
    text = body.rstrip(b"\n")
    lines = text.split(b"\n")
    kept = [lines[0]] + [b" " + line if not line or line.startswith(HEADER) else line for line in lines[1:]]
    return b"\n".join(kept) + body[len(text) :]


def parse(record: bytes) -> Alert:
    """The alert of one record (with its empty line); BadAlert for anything else.

    Also reads headers of old releases, without group.  In what is read every line of the log is one item of `lines`.
    """
    head = _HEAD.match(record)
    if head is None:
        raise BadAlert(f"no header: {record[:80]!r}")
    body = _BODY.fullmatch(record, head.end())
    if body is None:
        raise BadAlert(f"not closed by an empty line: {record[:80]!r}")
    time, number, mail, group, date, location, rule, level, comment = head.groups()
    srcip, src_location, srcport, dstip, dst_location, dstport, user, log = body.groups()
    return Alert(
        time=int(time),
        number=int(number),
        mail=mail is not None,
        group=group or b"",
        date=date,
        location=location,
        rule=int(rule),
        level=int(level),
        comment=comment,
        srcip=srcip,
        srcport=srcport,
        dstip=dstip,
        dstport=dstport,
        user=user,
        lines=tuple(log.split(b"\n")),
        src_location=src_location,
        dst_location=dst_location,
    )


class AlertReader:
    """Takes alerts.log in pieces, gives alerts.  A record that another cuts short, or that is none, is counted.

    A record ends where the next header stands after a newline, or with the empty line that ends what has been read:
    writers put whole records, so a reader that follows the file need not wait for the next one.
    """

    def __init__(self) -> None:
        self.pending = b""
        self.dropped = 0

    def feed(self, data: bytes) -> list[Alert]:
        """The alerts that `data` completes."""
        text = self.pending + data
        alerts: list[Alert] = []
        starts = [match.start() for match in _HEAD.finditer(text) if _begins_line(text, match.start())]
        if not starts:
            self._keep(text)
            return alerts
        self._lose(text[: starts[0]])
        starts.append(len(text))
        last = len(starts) - 2
        self.pending = b""
        for index in range(len(starts) - 1):
            record = text[starts[index] : starts[index + 1]]
            if index == last and not record.endswith(b"\n\n"):
                self._keep(record)
                break
            try:
                alerts.append(parse(record))
            except BadAlert:
                self.dropped += 1
        return alerts

    def _keep(self, text: bytes) -> None:
        if len(text) > MAX_RECORD:
            self.dropped += 1
            text = text[text.rfind(b"\n") + 1 :][-MAX_RECORD:]
        self.pending = text

    def _lose(self, text: bytes) -> None:
        if text.strip(b"\n"):
            self.dropped += 1


def _begins_line(text: bytes, position: int) -> bool:
    return position == 0 or text[position - 1] == 10
