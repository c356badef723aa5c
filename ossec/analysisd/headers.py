"""Headers of log lines that OSSEC does not know: ISO 8601 in its other forms, RFC 5424, a year after the time.

    2026-11-22T03:58:11Z web01 sshd[7]: text            2026-11-22 03:58:11.123 web01 sshd[7]: text
    Nov 22 03:58:11 2026 web01 sshd[7]: text            1 2026-11-22T03:58:11Z web01 sshd 7 - [a@1 k="v"] text

A date alone proves little: every other application log begins with one, and goes on with what a stranger wrote.  So a
date is taken off only together with a whole header, host and program, all of it in the form that syslog gives it; any
other line stays as it is.  Not asked under `analysisd.ossec_compat=1` (spec/analysis.md, section 2 and better 12).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ossec.analysisd.event import Event

MAX_PARAMETERS = 64  # of structured data that become dynamic fields; nobody's rule asks for more
# First words of application logs that could pass for a host: levels, and the zones that databases write.
NOT_HOSTS = frozenset(
    b"trace debug info information notice note warn warning error err crit critical alert emerg fatal panic severe log "
    b"utc gmt wet west cet cest eet eest msk bst ist est edt cst cdt mst mdt pst pdt jst".split()
)

_DATE = rb"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = rb"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)"
_ZONE = rb"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_HEADER = (
    rb"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*+) (?P<program>[A-Za-z0-9._/@()-]++)"
    rb"(?:: |\[[0-9]+\]:? )(?:\[ID [^\]]*+\] )?"
)
_ISO_T = re.compile(_DATE + rb"T" + _TIME + rb"(?:[.,][0-9]{1,9})?" + _ZONE + rb"?+ ").match
_ISO_SPACE = re.compile(_DATE + rb" " + _TIME + rb"(?:\.[0-9]{1,9})?" + _ZONE + rb"?+ ").match
_OSSEC_ISO = re.compile(rb".{19}(?:[.,][0-9]{1,6})?[+-][0-9]{2}:[0-9]{2} .{7}").match  # 33 bytes at least
_HOST_AND_PROGRAM = re.compile(_HEADER).match
_YEAR = re.compile(rb"(?:19|20)[0-9]{2}").fullmatch
_ADDRESS = re.compile(rb"[0-9.]++").fullmatch

_SD_NAME = rb"[!#-<>-\\^-~]{1,32}+"  # printable, but for `=`, blank, `]` and `"`
_SD_PARAMETER = rb" " + _SD_NAME + rb'="(?:[^"\\\]]|\\.)*+"'
_RFC5424 = re.compile(
    rb"(?s)(?:<[0-9]{1,3}>)?1 (?:-|" + _DATE + rb"T" + _TIME + rb"(?:\.[0-9]{1,6})?" + _ZONE + rb") "
    rb"(?P<host>-|[A-Za-z0-9][A-Za-z0-9._:-]{0,254}+) (?P<program>[!-~]{1,48}) [!-~]{1,128} [!-~]{1,32} "
    rb"(?P<data>-|(?:\[" + _SD_NAME + rb"(?:" + _SD_PARAMETER + rb")*+\])++)(?: |\Z)(?:\xef\xbb\xbf)?"
).match
_SD_ELEMENT = re.compile(rb"\[(" + _SD_NAME + rb")((?:" + _SD_PARAMETER + rb")*+)\]", re.DOTALL).finditer
_SD_VALUES = re.compile(rb" (" + _SD_NAME + rb')="((?:[^"\\\]]|\\.)*+)"', re.DOTALL).finditer
_SD_ESCAPE = re.compile(rb'\\(["\\\]])')

MIN_SIZE = 13  # `1 - - - - - -`, the shortest of all
BLANK, DASH, LETTER_T = b" -T"


def read_header(event: Event, line: bytes) -> bool:
    """Set host, program, log and fields by one of these forms; False: the line has none of their dates.

    True also for a line whose date is one of them and that has no header: it stays whole, however OSSEC would cut it.
    """
    if len(line) < MIN_SIZE:
        return False
    if line[1] == BLANK or line[:1] == b"<":
        found = _RFC5424(line)
        if found is None:
            return False
        if found["host"] != b"-":
            event.hostname = found["host"]
        if found["program"] != b"-":
            event.program_name = found["program"]
        event.log = line[found.end() :]
        if found["data"] != b"-":
            event.fields = _structured_data(found["data"]) or None
        return True
    if line[4] == DASH:
        if line[10] == LETTER_T:
            date = _ISO_T(line)
            if date is None or _OSSEC_ISO(line):
                return False
            found = _HOST_AND_PROGRAM(line, date.end())
            if found is not None and found["host"].lower() not in NOT_HOSTS:
                _take(event, line, found)
            return True
        date = _ISO_SPACE(line)
        if date is None:
            return False
        found = _HOST_AND_PROGRAM(line, date.end())
        # an address stands there in logs of web and mail servers, and behind it what the client called itself
        if found is not None and found["host"].lower() not in NOT_HOSTS and not _ADDRESS(found["host"]):
            _take(event, line, found)
        return True
    return False


def read_after_year(event: Event) -> None:
    """`Jan 28 06:43:28 2017 web01 app[1]: text`, read so far with the year as the host and no program."""
    if _YEAR(event.hostname):
        found = _HOST_AND_PROGRAM(event.log)
        if found is not None:
            _take(event, event.log, found)


def _take(event: Event, line: bytes, found: re.Match[bytes]) -> None:
    event.hostname, event.program_name = found["host"], found["program"]
    event.log = line[found.end() :]


def _structured_data(data: bytes) -> dict[str, bytes]:
    """The parameters by `ID.NAME` (`exampleSDID@32473.eventID`), unescaped; of several of one name the first."""
    fields: dict[str, bytes] = {}
    for element in _SD_ELEMENT(data):
        for name, value in (pair.groups() for pair in _SD_VALUES(element[2])):
            if len(fields) >= MAX_PARAMETERS:
                return fields
            fields.setdefault(f"{element[1].decode()}.{name.decode()}", _SD_ESCAPE.sub(rb"\1", value))
    return fields
