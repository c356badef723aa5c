"""Sections of where alerts go: email_alerts, syslog_output, database_output, agentless, reports."""

from __future__ import annotations

import re
from typing import Any

from ossec.config.dialect import Node
from ossec.config.model import Agentless, EmailAlerts, Report, ReportFilter, SyslogOutput
from ossec.config.problems import Refusal
from ossec.config.schema import (
    Element,
    Reading,
    Section,
    bad_value,
    ignored,
    is_number,
    number,
    one_of,
    place_of,
    present,
    rule_ids,
    text,
    yes_no,
)
from ossec.config.sections.analysis import email

_FILTERS = ("group", "rule", "level", "location", "srcip", "user")
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")


def _mail_format(reading: Reading, node: Node) -> str:
    """OSSEC documents three and takes one; ours takes them."""
    if node.text not in ("default", "full", "sms"):
        raise bad_value(node, "default, full or sms")
    if node.text != "default":
        reading.warn(f"OSSEC 4.3 refuses <format>{node.text}</format>; it is used here", node)
    return node.text


def _email_alerts_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    filters = ("level", "rule_ids", "group", "event_location", "do_not_delay", "do_not_group")
    chosen = any(name in values for name in filters) or values.get("format", "default") != "default"
    if "email_to" not in values or not chosen:
        lacks = "<email_to>" if "email_to" not in values else "<level>, <rule_id>, <group> or <event_location>"
        raise Refusal(
            f"<email_alerts> lacks {lacks}",
            "(1224): ERROR: Invalid 'email_alerts' config (missing parameters).",
        )
    reading.items.setdefault("email_alerts", []).append(EmailAlerts(**values, place=place_of(node)))


EMAIL_ALERTS = Section(
    "email_alerts",
    frozenset({"ossec-maild"}),
    {
        "email_to": Element("email_to", email),
        "level": Element("level", number),
        "rule_id": Element("rule_ids", rule_ids),
        "group": Element("group", text),
        "event_location": Element("event_location", text),
        "format": Element("format", _mail_format),
        "do_not_delay": Element("do_not_delay", present),
        "do_not_group": Element("do_not_group", present),
    },
    _email_alerts_end,
)


def _filled(reading: Reading, node: Node) -> str:
    if not node.text:
        raise bad_value(node, "a path")
    return node.text


def _syslog_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    if "server" not in values:
        raise Refusal("<syslog_output> lacks <server>", "(5301): ERROR: Invalid client-syslog configuration.")
    if values.get("tls"):
        if values.get("protocol", "tcp") != "tcp":
            raise Refusal(
                "<tls>yes</tls> goes over TCP: drop <protocol>udp</protocol>",
                ": ERROR: syslog_output tls=yes requires protocol=tcp (got protocol=udp).",
            )
        values["protocol"] = "tcp"
    reading.items.setdefault("syslog_outputs", []).append(SyslogOutput(**values, place=place_of(node)))


SYSLOG_OUTPUT = Section(
    "syslog_output",
    frozenset({"ossec-csyslogd"}),
    {
        "server": Element("server", text),
        "port": Element("port", number),
        "protocol": Element("protocol", one_of("udp", "tcp")),
        "tls": Element("tls", yes_no),
        "tls_verify": Element("tls_verify", yes_no),
        "tls_ca": Element("tls_ca", _filled),
        "format": Element("format", one_of("default", "cef", "json", "splunk")),
        "level": Element("level", number),
        "rule_id": Element("rule_ids", rule_ids),
        "group": Element("group", text),
        "location": Element("location", text),
        "use_fqdn": Element("use_fqdn", yes_no),
    },
    _syslog_end,
)


def _nothing(reading: Reading, values: dict[str, Any], node: Node) -> None:
    """What is missing is told when the whole file is read."""


def _database_port(reading: Reading, node: Node) -> int | None:
    if not node.text or not is_number(node.text):
        reading.warn(f"<port> wants a number, got '{node.text}'; the database's own is used", node)
        return None
    return number(reading, node)


DATABASE_OUTPUT = Section(
    "database_output",
    frozenset({"ossec-dbd"}),
    {
        "hostname": Element("hostname", text),
        "username": Element("username", text),
        "password": Element("password", text),
        "database": Element("database", text),
        "type": Element("type", one_of("mysql", "postgresql")),
        "port": Element("port", _database_port),
        "socket": Element("socket", text),
    },
    _nothing,
    merged=True,
)


def _script(reading: Reading, node: Node) -> str:
    folder = reading.layout.agentless_dir
    if reading.is_for("ossec-agentlessd") and not reading.machine.exists(folder / node.text):
        refusal = bad_value(node, f"a script of {folder}")
        raise Refusal(refusal.message, f": ERROR: Unable to find '{node.text}' at '{folder}'.", *refusal.upstream)
    return node.text


def _agentless_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    missing = [name for name in ("type", "hosts", "state") if name not in values]
    if missing:
        name = "host" if missing[0] == "hosts" else missing[0]
        raise Refusal(f"<agentless> lacks <{name}>", "(7103): ERROR: Missing agentless options.")
    values["hosts"] = tuple(values["hosts"])
    item = Agentless(**values, place=place_of(node))
    if item.state == "periodic" and item.frequency == 0:
        raise Refusal(
            "<state>periodic</state> wants a <frequency> above 0",
            "(7102): ERROR: Frequency not set for the periodic option.",
        )
    reading.items.setdefault("agentless", []).append(item)


AGENTLESS = Section(
    "agentless",
    frozenset({"ossec-agentlessd"}),
    {
        "type": Element("type", _script),
        "host": Element("hosts", text, many=True),
        "state": Element("state", one_of("periodic", "periodic_diff", "stay_connected")),
        "frequency": Element("frequency", number),
        "port": Element("port", number),
        "run_command": Element("run_command", text),
        "arguments": Element("arguments", text),
    },
    _agentless_end,
)


def _report_filter(reading: Reading, node: Node) -> ReportFilter:
    relation = False
    for key, value in node.attributes:
        if key != "type":
            reading.problems.say(f": WARN: Invalid attribute: {key} (ignored). ")
            reading.warn(f"<{node.name}> has no attribute '{key}'", node)
        elif value != "relation":
            reading.problems.say(f": WARN: Invalid value for 'relation' attribute: '{value}'. (ignored).")
            reading.warn(f'<{node.name}> knows only type="relation"', node)
        else:
            relation = True
    return ReportFilter(node.name, _UNFIT.sub("-", node.text), relation)


def _report_type(reading: Reading, node: Node) -> None:
    if node.text != "email":
        refusal = bad_value(node, "email")
        for line in refusal.upstream:
            reading.problems.say(line)
        reading.warn(refusal.message, node)


def _reports_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    titles, filters = values.pop("titles", []), values.pop("filters", [])
    recipients = tuple(values.pop("email_to", ()))
    title = titles[0] if titles else None
    reading.gathered("reports")["any"] = True
    if not recipients:
        reading.problems.say(f": No \"email to\" configured for the report '{title}'. Ignoring it.")
        reading.warn("<reports> without <email_to> is ignored", node)
        return
    reading.items.setdefault("reports", []).append(
        Report(title=title, filters=tuple(filters), email_to=recipients, **values, place=place_of(node))
    )


REPORTS = Section(
    "reports",
    frozenset({"ossec-monitord"}),
    {
        "title": Element("titles", text, many=True),
        "type": Element(None, _report_type),
        "category": Element("category", lambda reading, node: _UNFIT.sub("-", node.text)),
        **{name: Element("filters", _report_filter, many=True, attributes=None) for name in _FILTERS},
        "frequency": Element(None, ignored),
        "showlogs": Element("showlogs", lambda reading, node: node.text == "yes"),
        "email_to": Element("email_to", text, many=True),
    },
    _reports_end,
)

SECTIONS = (EMAIL_ALERTS, SYSLOG_OUTPUT, DATABASE_OUTPUT, AGENTLESS, REPORTS)
