"""A record as a syslog message: default, CEF, Splunk, JSON (spec/outputs.md, 5.3).

OSSEC's texts to the byte, but: of values only `(none)` and `unknown` are left out (OSSEC's test hides users such as
`anna`), quotes in Splunk's values are escaped, JSON is valid UTF-8, and a message that is too long loses the end of its
log only, between two characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from ossec import COMPATIBLE_VERSION
from ossec.alertstream.records import Record

PRIORITY = b"<132>"  # local0.warning
MAX_MESSAGE = 6143  # bytes; OSSEC's buffer
CUT = b"..."
NOTHING = (b"(none)", b"unknown")
MOST_SEVERE = 10  # CEF

_BEFORE_QUOTE = re.compile(rb'(\\+)(?="|\Z)')

Format = Callable[[Record, bytes], bytes]


def stamp(record: Record) -> bytes:
    """`Nov  2 03:46:20`: the alert's date without year."""
    date = record.date[5:]
    return date[:4] + b" " + date[5:] if date[4:5] == b"0" else date


def given(value: bytes | None) -> bytes | None:
    """A value worth sending."""
    return None if value is None or value in NOTHING else value


def fit(head: bytes, log: bytes, tail: bytes = b"") -> bytes:
    """The message, its log cut if it would be too long."""
    room = MAX_MESSAGE - len(head) - len(tail)
    if len(log) <= room:
        return head + log + tail
    room -= len(CUT)
    if room < 0:
        return (head + CUT + tail)[:MAX_MESSAGE]
    return head + cut(log, room) + CUT + tail


def cut(text: bytes, length: int) -> bytes:
    """At most `length` bytes, no part of a UTF-8 character, no half of an escape."""
    start = length
    while start > max(0, length - 3) and start < len(text) and text[start] & 0xC0 == 0x80:
        start -= 1
    piece = text[: start if start < len(text) and text[start] & 0xC0 == 0xC0 else length]
    backslashes = len(piece) - len(piece.rstrip(b"\\"))
    return piece[:-1] if backslashes % 2 else piece


def default(record: Record, host: bytes) -> bytes:
    parts = [
        b"%b%b %b ossec: Alert Level: %d; Rule: %d - %b; Location: %b;"
        % (PRIORITY, stamp(record), host, record.level, record.rule, record.comment or b"", record.location)
    ]
    for name, value in (
        (b"classification: ", record.group),
        (b"srcip: ", record.srcip),
        (b"srccity: ", record.src_location),
        (b"dstip: ", record.dstip),
        (b"dstcity: ", record.dst_location),
        (b"user: ", record.user),
        (b"Previous MD5: ", record.old_md5),
        (b"Current MD5: ", record.new_md5),
        (b"Previous SHA1: ", record.old_sha1),
        (b"Current SHA1: ", record.new_sha1),
        (b"Size changed: from ", record.size),
        (b"User ownership: was ", record.owner),
        (b"Group ownership: was ", record.group_owner),
        (b"Permissions changed: from ", record.permissions),
    ):
        if (shown := given(value)) is not None:
            parts.append(b" %b%b;" % (name, shown))
    log = given(b"\n".join(record.shown))
    return fit(b"".join(parts), b" " + log if log is not None else b"")


def _cef(value: bytes) -> bytes:
    value = value.replace(b"\\", b"\\\\").replace(b"=", b"\\=")
    return value.replace(b"\r", b"\\r").replace(b"\n", b"\\n")


def _cef_header(value: bytes) -> bytes:
    value = value.replace(b"\\", b"\\\\").replace(b"|", b"\\|")
    return value.replace(b"\r", b" ").replace(b"\n", b" ")


def cef(record: Record, host: bytes) -> bytes:
    head = b"%b%b CEF:0|OSSEC Foundation|OSSEC HIDS|%b|%d|%b|%d|dvc=%b cs1Label=Location cs1=%b" % (
        PRIORITY,
        stamp(record),
        COMPATIBLE_VERSION.encode(),
        record.rule,
        _cef_header(record.comment or b""),
        min(record.level, MOST_SEVERE),
        host.partition(b".")[0],
        _cef(record.location),
    )
    source, target = given(record.srcip), given(record.dstip)
    pairs: list[tuple[bytes, bytes | None]] = [
        (b"classification", _cef(record.group) if record.group is not None else None),
        (b"src", source),
        (b"dpt", b"%d" % record.dstport if record.dstport else None),
        (b"spt", b"%d" % record.srcport if record.srcport else None),
        (b"fname", _cef(record.filename) if record.filename is not None else None),
        (b"dhost", target),
        (b"shost", source),
        (b"suser", _cef(record.user) if record.user is not None else None),
        (b"dst", target),
    ]
    if record.src_location is not None:
        pairs += [(b"cs4Label", b"SrcCity"), (b"cs4", _cef(record.src_location))]
    if record.dst_location is not None:
        pairs += [(b"cs5Label", b"DstCity"), (b"cs5", _cef(record.dst_location))]
    if record.new_md5 is not None and record.new_sha1 is not None:
        pairs += [
            (b"cs2Label", b"OldMD5"),
            (b"cs2", record.old_md5),
            (b"cs3Label", b"NewMD5"),
            (b"cs3", record.new_md5),
            (b"oldFileHash", record.old_sha1),
            (b"fhash", record.new_sha1),
            (b"fileHash", record.new_sha1),
        ]
    fields = b"".join(b" %b=%b" % (name, value) for name, value in pairs if value is not None and given(value))
    log = given(b"\n".join(record.shown))
    return fit(head + fields, b" msg=" + _cef(log) if log is not None else b"")


def _quoted(value: bytes) -> bytes:
    """A quote is escaped, and a backslash where it would escape one."""
    return _BEFORE_QUOTE.sub(rb"\1\1", value).replace(b'"', b'\\"')


def splunk(record: Record, host: bytes) -> bytes:
    parts = [
        b'%b%b %b ossec: crit=%d id=%d description="%b" component="%b",'
        % (
            PRIORITY,
            stamp(record),
            host,
            record.level,
            record.rule,
            _quoted(record.comment or b""),
            _quoted(record.location),
        )
    ]

    def add(name: bytes, value: bytes | None) -> bool:
        if given(value) is None:
            return False
        assert value is not None
        parts.append(b' %b="%b",' % (name, _quoted(value)))
        return True

    add(b"classification", record.group)
    for ip, port, place, side in (
        (record.srcip, record.srcport, record.src_location, b"src"),
        (record.dstip, record.dstport, record.dst_location, b"dst"),
    ):
        if add(side + b"_ip", ip) and port:
            parts.append(b" %b_port=%d," % (side, port))
        add(side + b"_city", place)
    add(b"file", record.filename)
    add(b"acct", record.user)
    add(b"md5_old", record.old_md5)
    add(b"md5_new", record.new_md5)
    add(b"sha1_old", record.old_sha1)
    add(b"sha1_new", record.new_sha1)
    log = given(b"\n".join(record.shown))
    head = b"".join(parts)
    return fit(head + b' message="', _quoted(log), b'"') if log is not None else fit(head, b"")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def json_(record: Record, host: bytes) -> bytes:
    body: dict[str, object] = {"crit": record.level, "id": record.rule, "component": _text(record.location)}
    if record.group is not None:
        body["classification"] = _text(record.group)
    if record.comment is not None:
        body["description"] = _text(record.comment)
    body["message"] = _text(b"\n".join(record.shown))
    for name, value in (
        ("acct", record.user),
        ("src_ip", record.srcip),
        ("src_port", record.srcport),
        ("dst_ip", record.dstip),
        ("dst_port", record.dstport),
        ("file", record.filename),
        ("md5_old", record.old_md5),
        ("md5_new", record.new_md5),
        ("sha1_old", record.old_sha1),
        ("sha1_new", record.new_sha1),
        ("src_city", record.src_location),
        ("dst_city", record.dst_location),
    ):
        if value:
            body[name] = _text(value) if isinstance(value, bytes) else value
    head = b"%b%b %b ossec: " % (PRIORITY, stamp(record), host)
    whole = head + _dump(body)
    if len(whole) <= MAX_MESSAGE:
        return whole
    log = str(body["message"])
    body["truncated"] = True
    low, high = 0, len(log)
    while low < high:  # the longest beginning of the log that fits
        middle = (low + high + 1) // 2
        body["message"] = log[:middle]
        low, high = (middle, high) if len(head) + len(_dump(body)) <= MAX_MESSAGE else (low, middle - 1)
    body["message"] = log[:low]
    whole = head + _dump(body)
    if len(whole) <= MAX_MESSAGE:
        return whole
    return head + _dump({"crit": record.level, "id": record.rule, "truncated": True})  # as OSSEC, which knows no other


def _dump(body: dict[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


FORMATS: dict[str, Format] = {"default": default, "cef": cef, "splunk": splunk, "json": json_}
