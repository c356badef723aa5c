"""A batch of alerts → the bytes of a mail (spec/outputs.md, 4.5).

Subject and sections are OSSEC's to the byte where they are ASCII.  Behind OSSEC's headers come Message-ID and those
of MIME; a text that is not plain ASCII, or has a line that a mail cannot hold, goes as quoted-printable.  Control
characters and bytes that are no UTF-8 are shown as `\\x1b`: nothing in a log can end a line, a mail, or reach a
terminal.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from email.header import Header
from email.utils import formatdate

from ossec.alertstream.records import Record
from ossec.maild.batching import Draft
from ossec.maild.settings import Settings

CRLF = "\r\n"
MAX_SUBJECT = 900  # bytes; a line of a mail has at most 998
MAX_HEADER_LINE = 126  # OSSEC's; a longer subject is folded, not cut
MAX_LINE = 998  # RFC 5321
MAX_LOGS = 6141  # bytes of log, hash and field lines in a section, as in OSSEC
MAX_SMS = 127  # bytes
END = f"{CRLF * 3} --END OF NOTIFICATION{CRLF * 3}"
_UNFIT = re.compile(rf"(?m)^\.|[^\n]{{{MAX_LINE}}}")  # a line that begins with a dot, or is too long with its CR
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != 9} | {
    code: f"\\u{code:04x}" for code in (0x2028, 0x2029)
}


def show(value: bytes | str) -> str:
    """Text of one line, whatever the bytes are."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    return text.translate(_ESCAPES)


def host_of(record: Record) -> str:
    """The location up to `->`."""
    place = show(record.location)
    return place.partition("->")[0] if "->" in place else place


def subject(record: Record, full: bool) -> str:
    """`full` is maild.full_subject."""
    if full:
        return f"OSSEC Notification - {host_of(record)} - Alert level {record.level}"
    return f"OSSEC Alert - {host_of(record)} - Level {record.level} - {show(record.comment or b'')}"


def section(record: Record, geoip: bool = True) -> str:
    """One alert."""
    fields = []
    if geoip:
        fields += [("Src Location", record.src_location), ("Dst Location", record.dst_location)]
    fields += [("Src IP", record.srcip), ("Dst IP", record.dstip), ("User", record.user)]
    lines = [f"{name}: {show(value)}" for name, value in fields if value is not None]
    ports = (("Src Port", record.srcport), ("Dst Port", record.dstport))
    ported = [f"{name}: {number}" for name, number in ports if number]
    hashes = (
        ("Old md5sum was: ", record.old_md5),
        ("New md5sum is : ", record.new_md5),
        ("Old sha1sum was: ", record.old_sha1),
        ("New sha1sum is : ", record.new_sha1),
        ("Permission change: ", record.permissions),
    )
    logs = [show(line) for line in record.shown]
    logs += [prefix + show(value) for prefix, value in hashes if value is not None]
    left = MAX_LOGS - sum(len(line.encode()) + 2 for line in lines)
    kept = []
    for line in logs:
        left -= len(line.encode()) + 2
        if left < 0:
            break
        kept.append(line)
    ours = (
        ("Size changed from ", record.size),
        ("Ownership was ", record.owner),
        ("Group ownership was ", record.group_owner),
    )
    kept += [prefix + show(value) for prefix, value in ours if value is not None]
    rule = f'Rule: {record.rule} fired (level {record.level}) -> "{show(record.comment or b"")}"'
    top = ["", "OSSEC HIDS Notification.", show(record.date), "", f"Received From: {show(record.location)}", rule]
    return CRLF.join([*top, *lines, *ported, "Portion of the log(s):", "", *kept, ""]) + END


def body(draft: Draft, geoip: bool = True) -> str:
    """What follows the headers."""
    if draft.sms:
        first = worst(draft)
        text = f"{show(first.date)} {show(first.location)}{CRLF}{show(first.lines[0])}"
        return text.encode()[:MAX_SMS].decode("utf-8", "ignore").rstrip("\r") + CRLF
    parts = [section(record, geoip) for record in draft.records]
    if draft.left_out:
        total = sum(each.number for each in draft.left_out)
        parts.append(f"{CRLF}{total} earlier alerts are not in this mail; they are in logs/alerts:{CRLF}")
        parts += [f' {each.number} of rule {each.rule} -> "{show(each.comment)}"{CRLF}' for each in draft.left_out]
    return "".join(parts)


def worst(draft: Draft) -> Record:
    """The alert that names the mail: the highest level, the first of equals."""
    return max(draft.records, key=lambda record: record.level)


def title(draft: Draft, settings: Settings) -> str:
    record = worst(draft)
    if draft.sms:
        more = f" (+{len(draft.records) - 1})" if len(draft.records) > 1 else ""
        return f"OSSEC {record.level} - {record.rule} - {show(record.comment or b'')}{more}"
    return subject(record, settings.full_subject)


def render(draft: Draft, settings: Settings, now: float, host: str, number: int) -> bytes:
    """The whole mail, lines ended by CR LF, dots not yet doubled.  The same arguments give the same Message-ID."""
    text = body(draft, settings.geoip)
    name = hashlib.sha256(f"{number} {draft.recipients} {text}".encode("utf-8", "replace")).hexdigest()[:20]
    identity = worst(draft).id.decode("ascii", "ignore")
    identity = re.sub(r"[^0-9.]", "", identity).strip(".")[:40] or "0"
    headers = [f"To: <{draft.recipients[0]}>", f"From: OSSEC HIDS <{settings.sender}>"]
    if settings.reply_to:
        headers.append(f"Reply-To: OSSEC HIDS <{settings.reply_to}>")
    if len(draft.recipients) > 1:
        headers.append(f"Cc: {_fold(', '.join(f'<{address}>' for address in draft.recipients[1:]), 4)}")
    headers.append(f"Date: {formatdate(now, localtime=True)}")
    if settings.idsname:
        headers.append(f"X-IDS-OSSEC: {_header(settings.idsname, 'X-IDS-OSSEC')}")
    headers.append(f"Subject: {_header(title(draft, settings), 'Subject')}")
    headers += [
        f"Message-ID: <{identity}.{name}@{_domain(host)}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
    ]
    content, kind = _encode(text)
    headers += kind
    return CRLF.join([*headers, "", ""]).encode("ascii") + content


def _encode(text: str) -> tuple[bytes, list[str]]:
    plain = text.isascii() and not _UNFIT.search(text)
    if plain:
        return text.encode("ascii"), ["Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit"]
    quoted = binascii.b2a_qp(text.encode("utf-8", "replace"), istext=True)
    quoted = re.sub(rb"(?m)^\.", b"=2E", quoted)  # a command that reads mails ends at a lone dot, too
    return quoted, ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"]


def _header(text: str, name: str) -> str:
    """A header's value: one line if it fits, folded, encoded if it is not ASCII."""
    text = show(text).encode("utf-8", "replace")[:MAX_SUBJECT].decode("utf-8", "ignore")
    if text.isascii():
        return _fold(text, len(name) + 2)
    return Header(text, "utf-8", header_name=name, maxlinelen=76).encode(linesep=CRLF)


def _fold(text: str, used: int) -> str:
    """Break at blanks so that no line is longer than MAX_HEADER_LINE, if that can be."""
    lines: list[str] = []
    room = MAX_HEADER_LINE - used
    while len(text) > room:
        cut = text.rfind(" ", 1, room + 1)
        if cut <= 0 or not text[:cut].strip():
            cut = text.find(" ", max(room, 1))
            if cut < 0:
                break
        if not text[cut:].strip():
            break
        lines.append(text[:cut])
        text = text[cut:]
        room = MAX_HEADER_LINE
    lines.append(text)
    return CRLF.join(lines)


def _domain(host: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", host).strip(".-") or "localhost"
