"""Sections of what is collected: localfile, syscheck, rootcheck."""

from __future__ import annotations

import re
from typing import Any

from ossec.config import times
from ossec.config.dialect import Node
from ossec.config.model import ROOTCHECKS, Check, Directory, Exclusion, Localfile
from ossec.config.problems import Refusal, nearest
from ossec.config.schema import (
    Element,
    Parse,
    Reading,
    Section,
    bad_value,
    ignored,
    is_number,
    number,
    place_of,
    present,
    text,
    yes_no,
)
from ossec.regex import PatternError, compile_match

LOGCOLLECTOR = frozenset({"ossec-logcollector"})
SYSCHECKD = frozenset({"ossec-syscheckd"})

UPSTREAM_FORMATS = (
    *("syslog", "generic", "snort-full", "snort-fast", "apache", "iis", "squid", "nmapg", "mysql_log", "ossecalert"),
    *("mssql_log", "postgresql_log", "djb-multilog", "syslog-pipe", "command", "full_command", "audit"),
    *("modsec-audit", "journald", "multi-line_indented", "eventlog", "eventchannel"),
)
OUR_FORMATS = ("json", "docker", "multiline", "modsec_audit", "regex", "regex_id", "linux_auditd")
COMMAND_FORMATS = ("command", "full_command")
STANDARD_EVENT_LOGS = ("Application", "System", "Security")

_MULTI_LINE = re.compile(r"multi-?line[ ]*:[ ]*[0-9]*[ ]*")
_PERIODS = {"hourly": 3600, "daily": 86400}


def _log_format(reading: Reading, node: Node) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A format of OSSEC's or ours; ours have what they need in attributes."""
    value = node.text
    attributes = tuple(node.attributes)
    if value not in UPSTREAM_FORMATS and value not in OUR_FORMATS and not _MULTI_LINE.fullmatch(value):
        near = nearest(value, UPSTREAM_FORMATS + OUR_FORMATS).removeprefix("; ")
        raise bad_value(node, f"a known format ({near})" if near else "a known format")
    given = {key for key, content in attributes if content}
    timers = len(given & {"timeout", "window"})
    lacks = ""
    if value == "multiline" and "lines" not in given:
        lacks = 'lines="N"'
    elif value == "regex" and "start_regex" not in given:
        lacks = 'start_regex="..."'
    elif value == "regex_id" and not given & {"id_regex", "regex"}:
        lacks = 'id_regex="..."'
    elif value in ("linux_auditd", "regex_id") and timers != 1:
        lacks = 'exactly one of timeout="N" and window="N"'
    if lacks:
        refusal = bad_value(node, "")
        raise Refusal(f"log_format {value} needs the attribute {lacks}", *refusal.upstream)
    return value, attributes


def _period(reading: Reading, node: Node) -> int:
    if node.text in _PERIODS:
        return _PERIODS[node.text]
    if not is_number(node.text):
        raise bad_value(node, "seconds, hourly or daily")
    return number(reading, node)


def _is_glob(location: str | None) -> bool:
    return location is not None and "%" not in location and any(mark in location for mark in "*?[")


def _localfile_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    if "log_format" not in values:
        raise Refusal("<localfile> lacks <log_format>", "(1901): ERROR: Missing 'log_format' element.")
    log_format, attributes = values.pop("log_format")
    location, command = values.get("location"), values.get("command")
    if location is None and command is None:
        raise Refusal("<localfile> lacks <location>", "(1902): ERROR: Missing 'location' element.")
    if command is not None and not reading.remote_commands:
        raise Refusal(
            "commands of agent.conf are not run here: set logcollector.remote_commands=1 to allow them",
            ": Remote commands are not accepted from the manager. Ignoring it on the agent.conf",
        )
    if log_format in COMMAND_FORMATS:
        if command is None:
            reading.problems.say(": ERROR: Missing 'command' argument. This option will be ignored.")
            reading.warn(f"<localfile> of format {log_format} lacks <command> and is ignored", node)
            return
    elif log_format == "eventlog" and location not in STANDARD_EVENT_LOGS:
        reading.problems.say(f"(1907): INFO: Non-standard event log set: '{location}'.")
    elif reading.is_for(*LOGCOLLECTOR) and _is_glob(location) and not reading.machine.globs(location or ""):
        reading.warn(f"no file matches '{location}' yet", node)
    localfiles: list[Localfile] = reading.items.setdefault("localfiles", [])
    if location and log_format not in COMMAND_FORMATS and any(location == other.location for other in localfiles):
        reading.problems.say(f": WARN: Duplicated log file given: '{location}'.")
        reading.warn(f"'{location}' is followed already; this <localfile> is ignored", node)
        return
    localfiles.append(Localfile(log_format=log_format, attributes=attributes, **values, place=place_of(node)))


LOCALFILE = Section(
    "localfile",
    LOGCOLLECTOR | {"verify-agent-conf"},
    {
        "location": Element("location", text),
        "log_format": Element("log_format", _log_format, attributes=None),
        "command": Element("command", text),
        "alias": Element("alias", text),
        "frequency": Element("frequency", _period),
        "only-future-events": Element("only_future_events", lambda reading, node: node.text == "yes"),
        "query": Element("query", text),
    },
    _localfile_end,
    caseless=frozenset({"log_format", "alias"}),
)


# --- syscheck ---

_CHECKS = {
    "check_all": Check.ALL,
    "check_sum": Check.MD5 | Check.SHA1 | Check.SHA256,
    "check_md5sum": Check.MD5,
    "check_sha1sum": Check.SHA1,
    "check_sha256sum": Check.SHA256,
    "check_size": Check.SIZE,
    "check_owner": Check.OWNER,
    "check_group": Check.GROUP,
    "check_perm": Check.PERM,
}
_SWITCHES = ("realtime", "report_changes")
_ATTRIBUTES = (*_CHECKS, *_SWITCHES, "no_recurse", "restrict")


def _directories(reading: Reading, node: Node) -> list[Directory]:
    """Names separated by commas, with what to compare in the attributes, which apply in order."""
    checks = Check.SHA256
    switches = dict.fromkeys(_SWITCHES, False)
    recurse, restrict = True, None
    for key, value in node.attributes:
        if key not in _ATTRIBUTES:
            raise Refusal(
                f"<directories> has no attribute '{key}'{nearest(key, _ATTRIBUTES)}",
                f"(1703): ERROR: Invalid attribute '{key}' for directory option.",
            )
        if key == "restrict":
            restrict = _pattern(reading, node, value)
            continue
        if value not in ("yes", "no"):
            raise Refusal(
                f"{key} wants yes or no, got '{value}'",
                f"(1704): ERROR: Invalid option '{value}' for attribute '{key}'",
            )
        wanted = value == "yes"
        if key == "no_recurse":
            recurse = not wanted
        elif key in switches:
            switches[key] = wanted
        else:
            checks = checks | _CHECKS[key] if wanted else checks & ~_CHECKS[key]
    if not node.attributes or not checks:
        reading.problems.say(f"(1701): WARN: No option provided for directories: '{node.text}', ignoring it.")
        reading.warn('<directories> says nothing to check (as check_all="yes") and is ignored', node)
        return []
    found: list[Directory] = []
    for name in node.text.split(","):
        path = name.strip(" \t\r\n")
        if not path:
            continue
        known = reading.gathered("syscheck").get("directories", ())
        if any(path == other.path for other in (*found, *(one for group in known for one in group))):
            reading.problems.say(f"(1756): ERROR: Duplicated directory given: '{path}'.")
            reading.warn(f"'{path}' is given already; this one and the rest of the line are ignored", node)
            break
        if any(mark in path for mark in "*?[") and reading.is_for(*SYSCHECKD) and not reading.machine.globs(path):
            reading.problems.say(f"(1121): ERROR: Glob error. Invalid pattern: '{path}'.")
            reading.warn(f"nothing matches '{path}' yet", node)
        found.append(
            Directory(
                path=path,
                checks=checks,
                realtime=switches["realtime"],
                report_changes=switches["report_changes"],
                recurse=recurse,
                restrict=restrict,
                place=place_of(node),
            )
        )
    return found


def _pattern(reading: Reading, node: Node, value: str) -> str | None:
    try:
        compile_match(value)
    except PatternError as error:
        reading.warn(f"the pattern '{value}' does not compile and is ignored: {error.message}", node)
        return None
    return value


def _exclusion(reading: Reading, node: Node) -> Exclusion | None:
    is_pattern = False
    for key, value in node.attributes:
        if key != "type" or value != "sregex":
            raise Refusal(
                f'<{node.name}> knows only type="sregex", got {key}="{value}"',
                f"(1703): ERROR: Invalid attribute '{key}' for directory option.",
            )
        is_pattern = True
    if is_pattern and _pattern(reading, node, node.text) is None:
        return None
    return Exclusion(node.text, is_pattern, place_of(node))


def _scan_day(reading: Reading, node: Node) -> times.Days:
    try:
        return times.parse_days(node.text)
    except times.BadTime as error:
        refusal = bad_value(node, "days, as 'monday,tue' or weekdays")
        raise Refusal(refusal.message, f"({error.code}): ERROR: {error.message}", *refusal.upstream) from None


NOON = 1200
_AFTER_MIDNIGHT = re.compile(r"\s*12(?::[0-9]{2})?\s*am\s*", re.IGNORECASE)


def _scan_time(reading: Reading, node: Node) -> times.TimeRange:
    refusal = bad_value(node, "a time of day, as 21:00 or 9pm")
    if node.text.startswith("!"):
        raise refusal
    try:
        found = times.parse_time(node.text)
        if _AFTER_MIDNIGHT.fullmatch(node.text) and found.start >= NOON:  # OSSEC takes it for noon
            return times.TimeRange(found.start - NOON, found.end - NOON)
        return found
    except times.BadTime as error:
        raise Refusal(refusal.message, f"({error.code}): ERROR: {error.message}", *refusal.upstream) from None


def _prefilter(reading: Reading, node: Node) -> str | None:
    program = node.text.split(" ", 1)[0]
    if not program:
        return None
    if not reading.remote_commands:
        raise Refusal(
            "prefilter_cmd of agent.conf is not run here: set logcollector.remote_commands=1 to allow it",
            ": Remote commands are not accepted from the manager. Ignoring it on the agent.conf",
        )
    if reading.is_for(*SYSCHECKD) and not reading.machine.exists(reading.layout.under(program)):
        raise bad_value(node, "a program that exists")
    return node.text


def _nothing(reading: Reading, values: dict[str, Any], node: Node) -> None:
    """Nothing to check at the end of the section."""


SYSCHECK = Section(
    "syscheck",
    SYSCHECKD | {"ossec-analysisd", "ossec-logtest"},
    {
        "directories": Element("directories", _directories, many=True, attributes=None),
        "ignore": Element("ignore", _exclusion, many=True, only=SYSCHECKD, attributes=None),
        "nodiff": Element("nodiff", _exclusion, many=True, attributes=None),
        "frequency": Element("frequency", number),
        "scan_day": Element("scan_day", _scan_day),
        "scan_time": Element("scan_time", _scan_time),
        "scan_on_start": Element("scan_on_start", yes_no),
        "disabled": Element("disabled", yes_no),
        "skip_nfs": Element("skip_nfs", yes_no),
        "prefilter_cmd": Element("prefilter_cmd", _prefilter),
        "auto_ignore": Element("auto_ignore", yes_no, only=frozenset({"ossec-analysisd", "ossec-logtest"})),
        "alert_new_files": Element("alert_new_files", yes_no, only=frozenset({"ossec-analysisd", "ossec-logtest"})),
        "windows_registry": Element(None, ignored, attributes=None),
        "registry_ignore": Element(None, ignored, attributes=None),
    },
    _nothing,
    merged=True,
    partial=dict.fromkeys(
        ("ossec-analysisd", "ossec-logtest"), frozenset({"ignore", "auto_ignore", "alert_new_files"})
    ),
)


def _check(name: str) -> Parse:
    def parse(reading: Reading, node: Node) -> bool:
        wanted = yes_no(reading, node)
        reading.gathered("rootcheck").setdefault("checks", dict.fromkeys(ROOTCHECKS, True))[name] = wanted
        return wanted

    return parse


ROOTCHECK = Section(
    "rootcheck",
    SYSCHECKD,
    {
        **{name: Element(name, yes_no) for name in ("disabled", "scanall", "readall", "skip_nfs")},
        "frequency": Element("frequency", number),
        "rootkit_files": Element("rootkit_files", text),
        "rootkit_trojans": Element("rootkit_trojans", text),
        "windows_audit": Element(None, ignored),
        "windows_apps": Element(None, ignored),
        "windows_malware": Element(None, ignored),
        "system_audit": Element("system_audit", text, many=True),
        "ignore": Element("ignore", text, many=True),
        "base_directory": Element("base_directory", text),
        **{f"check_{name}": Element(None, _check(name)) for name in ROOTCHECKS},
        **{f"check_{name}": Element(None, present) for name in ("winapps", "winaudit", "winmalware")},
    },
    _nothing,
    merged=True,
    signs="rootcheck",
)

SECTIONS = (LOCALFILE, SYSCHECK, ROOTCHECK)
