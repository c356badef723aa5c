"""Predecoding: hostname, program name and the log proper, out of a raw line (spec/analysis.md, section 2).

Eleven date formats are tried by fixed positions, first match wins; after the first five of them a syslog header
(host, program, pid) is read.  The oddities of broken AIX and ASL headers are kept as recorded.  Dates that OSSEC does
not know are in `headers`.
"""

from __future__ import annotations

import re
from itertools import islice

from ossec.analysisd.event import Event
from ossec.analysisd.headers import read_after_year, read_header

CONTROLS = bytes(range(32)) + b"\x7f"  # deleted from every log before anything else looks at it

_SPACES = b"\t\n\v\f\r"  # those of them that stand between words
_TO_BLANKS = bytes.maketrans(_SPACES, b" " * len(_SPACES))
_NO_SPACES = CONTROLS.translate(None, _SPACES)

_WORD = rb"[A-Za-z0-9().\-/@_]*"
_SOLARIS_ID = rb"(?:\[ID [^\]]*\] )?"
_HOST_AND_PROGRAM = rb" ?+(" + _WORD + rb") (" + _WORD + rb")(?:: |\[[0-9]+\]:? )" + _SOLARIS_ID
# What nearly every line is, in one go: 'Nov 14 22:13:20 host program[1]: '.
_SYSLOG = re.compile(rb"(?s)... .. ..:..:.. (?=.)" + _HOST_AND_PROGRAM).match
_HEADER = re.compile(_HOST_AND_PROGRAM).match
_HOST_ONLY = re.compile(rb" ?+(" + _WORD + rb") ").match
_PROGRAM_ONLY = re.compile(rb" ?+(" + _WORD + rb"): " + _SOLARIS_ID).match
_AIX = re.compile(_WORD + rb"\|[a-z0-9]+:[a-z0-9]+ ").match
_AIX_PROGRAM = re.compile(rb"(" + _WORD + rb")(?:\[[0-9]+\])?: " + _SOLARIS_ID).match
_AIX_BROKEN = re.compile(rb"(" + _WORD + rb")(\[[0-9])?").match

SYSLOG_DATE = 16  # the bytes of `Nov 14 22:13:20 `

SPACE, COLON, DASH, SLASH, DOT, BRACKET, COMMA = b" :-/.[,"


def clean(log: bytes) -> bytes:
    """The line without control characters: deleted, not replaced (tabs too), as OSSEC has it.  See `spaced_log`."""
    return log.translate(None, CONTROLS)


def read_line(queue: bytes, location: bytes, text: bytes, time: float) -> Event:
    """The event of a line as it came, control characters included."""
    event = Event(queue, location, clean(text), time)
    if len(event.full_log) != len(text):
        event.raw = text
    return event


def spaced_log(event: Event) -> bytes | None:
    """The log of a predecoded event with a blank for each tab or line break in it; None: there is none."""
    if event.raw is None:
        return None
    line = event.raw.strip(CONTROLS)
    start = 0
    if event.full_log.endswith(event.log):  # it does, but for odd headers
        before = len(event.full_log) - len(event.log)
        start = next(islice((at for at, byte in enumerate(line) if byte not in CONTROLS), before, None), len(line))
    spaced = line[start:].translate(_TO_BLANKS, _NO_SPACES)
    return None if spaced == event.log else spaced


def predecode(event: Event, own_name: bytes, compat: bool = False) -> None:
    """Fill hostname, program_name and log of an event; `own_name` is this machine's short host name.

    `compat`: read the dates that OSSEC reads and no others.
    """
    line = event.full_log
    found = _SYSLOG(line)
    if found is not None:
        event.hostname, event.program_name = found.groups()
        event.log = line[found.end() :]
    else:
        event.hostname = own_name
        if compat or not read_header(event, line):
            _predecode_rare(event, line, compat)
    if event.agent:
        event.hostname = event.location


def _predecode_rare(event: Event, line: bytes, compat: bool) -> None:
    size = len(line)
    if size < 17:
        return
    start = _headed_date(line, size)
    if start:
        _read_header(event, line, start)
        if start == SYSLOG_DATE and event.program_name is None and not compat:
            read_after_year(event)
        return
    if line[3] == SPACE:  # xferlog: Mon Apr 17 18:27:14 2006 1 ...
        if (
            size >= 28
            and line[7] == line[10] == line[19] == line[24] == line[26] == SPACE
            and line[13] == line[16] == COLON
        ):
            event.log = line[24:]
    elif line[2] == SLASH:  # snort and suricata: 01/28-09:13:16.240702, 01/28/1979-09:13:16.240702
        if size >= 24 and line[5] == DASH and line[8] == line[11] == COLON and line[14] == DOT and line[21] == SPACE:
            event.log = line[23:]
        elif (
            size > 26
            and line[5] == SLASH
            and line[10] == DASH
            and line[13] == line[16] == COLON
            and line[19] == DOT
            and line[26] == SPACE
        ):
            event.log = line[28:]
    elif line[0] == BRACKET:
        if (
            size >= 27
            and line[4] == line[8] == line[11] == line[20] == SPACE
            and line[14] == line[17] == COLON
            and line[25:26] == b"]"
        ):  # apache error log: [Fri Feb 11 18:06:35 2004]
            event.log = line[27:]
        elif (
            size >= 26
            and line[1:2] == b"T"
            and line[5] == line[16] == SPACE
            and line[10] == line[13] == DOT
            and line[19] == COLON
        ):
            _read_asl(event, line)
    elif (
        size >= 32
        and line[:1] == b"1"
        and line[1:4].isdigit()
        and line[10] == DOT
        and line[13:14].isdigit()
        and line[14] == SPACE
        and SPACE in (line[21], line[22])
    ):  # squid: 1140804070.368  11623 ...
        event.log = line[14:].lstrip(b" ")


def _headed_date(line: bytes, size: int) -> int:
    """Where the text continues after a date that a syslog header may follow; 0 when there is no such date."""
    at = 1 if line[1:3] == b"\xc3\xa4" and size > 18 else 0  # the German "Mär" is one byte longer
    if (
        line[3 + at] == line[6 + at] == line[15 + at] == SPACE and line[9 + at] == line[12 + at] == COLON
    ):  # Nov 14 22:13:20
        return SYSLOG_DATE  # after "Mär" this is the space that the header skips
    fourth = line[4]
    if fourth == DASH:
        if size >= 24 and line[7] == DASH and line[13] == line[16] == COLON:
            if line[10] == SPACE and line[19] == COMMA:  # 2015-04-16 21:51:02,805
                return 23
            if size >= 33 and line[10:11] == b"T":
                if line[22] == COLON and line[25] == SPACE:  # 2015-04-16T21:51:02+02:00
                    return 26
                if line[19] in (DOT, COMMA):  # 2015-04-16T21:51:02.805+02:00
                    colon = line.find(b":", 20)
                    if 24 <= colon <= 29:
                        return colon + 3
    elif fourth == SPACE:  # 2007 Jun 14 15:48:55
        if (
            size >= 21
            and line[:1].isdigit()
            and line[8] == line[11] == line[20] == SPACE
            and line[14] == line[17] == COLON
        ):
            return 21
    elif (
        fourth == COLON
        and size >= 20
        and line[:1].isdigit()
        and line[7] == COLON
        and line[10] == DASH
        and line[13] == line[16] == COLON
    ):  # 2007:07:17-15:48:55
        return 20
    return 0


def _read_header(event: Event, line: bytes, start: int) -> None:
    found = _HEADER(line, start)
    if found is not None:
        event.hostname, event.program_name = found.groups()
        event.log = line[found.end() :]
        return
    found = _HOST_ONLY(line, start)
    if found is not None:
        event.hostname = found.group(1)
        event.log = line[found.end() :]
        aix = _AIX(event.log)
        if aix is not None:
            _read_aix(event, aix.end())
        return
    found = _PROGRAM_ONLY(line, start)
    if found is not None:
        event.program_name = found.group(1)
        event.log = line[found.end() :]
        return
    event.log = line[start + 1 :] if line[start : start + 1] == b" " else line[start:]


def _read_aix(event: Event, start: int) -> None:
    """`auth|security:info su[1]: text`; broken forms leave odd names, as recorded."""
    text = event.log
    found = _AIX_PROGRAM(text, start)
    if found is not None:
        event.program_name = found.group(1)
        event.log = text[found.end() :]
        return
    found = _AIX_BROKEN(text, start)
    assert found is not None  # it matches the empty string
    if found.group(2):
        event.program_name = found.group(1)
        event.log = text[: found.end(1)]
    else:
        event.program_name = text[start:]
        event.log = text[found.end(1) :]


def _read_asl(event: Event, line: bytes) -> None:
    """`[Time ...] [Sender x] [Message text] [Host y]`: every value read ends the text before it, as recorded."""
    log_at = 25
    end = len(line)  # where the text that begins at log_at is cut
    at = line.find(b"[", 25)
    while at >= 0:
        for word in (b"[Sender ", b"[Message ", b"[Host "):
            if line.startswith(word, at):
                break
        else:
            at = line.find(b"[", at + 1)
            continue
        value_at = at + len(word)
        close = line.find(b"]", value_at)
        if word == b"[Message " and log_at == 25:
            log_at, end = value_at, len(line)
        elif word == b"[Sender " and event.program_name is not None:
            at = line.find(b"[", at + 1)
            continue
        if close < 0:
            break
        end = min(end, close) if close >= log_at else end
        if word == b"[Sender ":
            event.program_name = line[value_at:close]
        elif word == b"[Host ":
            event.hostname = line[value_at:close]
            break
        at = line.find(b"[", close)
    event.log = line[log_at:end]
