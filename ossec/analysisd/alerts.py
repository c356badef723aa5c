"""An event as the outputs show it: the alert record, JSON, the archive and firewall lines, a custom format.

`Renderer` holds what is the same for many events: the date of the current second, the JSON of each rule.  See
`ossec.messages.alert` and `ossec.messages.alert_json` for the formats themselves.
"""

from __future__ import annotations

import base64
import re
import time as clock
from operator import attrgetter
from typing import TYPE_CHECKING

from ossec.analysisd.rootcheck import DECODER as ROOTCHECK
from ossec.analysisd.rootcheck import keyed_values
from ossec.messages import alert, alert_json
from ossec.messages.alert import MAX_LINE
from ossec.messages.alert_json import RuleText, text

if TYPE_CHECKING:
    from ossec.analysisd.decoders import Decoder
    from ossec.analysisd.event import Event
    from ossec.analysisd.rules import Rule

MAX_RULES = 65536  # rules whose JSON is kept: more than any rule set has
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NO_DESCRIPTION = "(null)"
KEEPALIVE = b"ossec-keepalive"
ABSENT = b"None"  # in a custom format

# keys of alerts.json in order, and the event's attributes
_FIELDS = ("action", "protocol", "srcip", "srcport", "srcuser", "dstip", "dstport", "dstuser")
_FIELDS_OF = attrgetter(*_FIELDS)
_MORE_FIELDS = ("status", "command", "url", "data", "systemname")
_MORE_FIELDS_OF = attrgetter(*_MORE_FIELDS[:-1], "system_name")

_AGENT = re.compile(rb"\((.*?)\) (.*?)->(.*)", re.DOTALL)
_TOKEN = re.compile(
    rb"\$(TIMESTAMP|FTELL|RULEALERT|HOSTNAME|LOCATION|RULEID|RULELEVEL|SRCIP|DSTUSER|FULLLOG|RULECOMMENT|RULEGROUP)"
)


def encode(value: str) -> bytes:
    """Text of the configuration as the bytes it was read from."""
    return value.encode("utf-8", "surrogateescape")


def place(event: Event) -> bytes:
    """`host->location`, or the location alone where it names the host (agents, other servers' alerts)."""
    if event.agent or event.hostname == event.location:
        return event.location
    return event.hostname + b"->" + event.location


class _KnownRule:
    """What alerts of one rule share.  Keeps the rule, so that its id() stays its own."""

    __slots__ = ("comment", "group", "head", "json", "line", "rule")

    def __init__(self, rule: Rule) -> None:
        comment = rule.description if rule.description is not None else NO_DESCRIPTION
        group = " ".join(rule.group.splitlines())
        info = rule.info[0][1] if rule.info else None
        self.rule = rule
        self.comment = encode(comment)
        self.group = encode(group)
        self.head = alert.head_text(rule.mail, self.group)
        self.line = alert.rule_text(rule.id, rule.level, self.comment)
        self.json = RuleText(rule.level, comment, rule.id, rule.cve, info, rule.frequency, group)


class Renderer:
    """Formats events; one per daemon, or per test."""

    def __init__(self, geoip_in_json: bool = False) -> None:
        """`geoip_in_json`: analysisd.geoip_jsonout."""
        self.geoip_in_json = geoip_in_json
        self._second = -1
        self._stamp = b""
        self._rules: dict[int, _KnownRule] = {}
        self._decoders: dict[int, tuple[Decoder, dict[str, object]]] = {}

    def stamp(self, now: int) -> bytes:
        """`2023 Nov 14 22:13:20`, local time."""
        if now != self._second:
            local = clock.localtime(now)
            self._second = now
            self._stamp = b"%d %b %02d %02d:%02d:%02d" % (
                local.tm_year,
                MONTHS[local.tm_mon - 1].encode(),
                local.tm_mday,
                local.tm_hour,
                local.tm_min,
                local.tm_sec,
            )
        return self._stamp

    def alert_text(self, event: Event, number: int) -> bytes:
        """The record for alerts.log of an event whose rule fired."""
        rule = event.rule
        assert rule is not None
        known = self._rules.get(id(rule)) or self._know(rule)
        now = int(event.time)
        log = event.full_log
        if len(log) > MAX_LINE:
            log = _cut(log)
        location = event.location
        if not event.agent and event.hostname != location:
            location = event.hostname + b"->" + location
        context = event.context
        return alert.compose(
            now,
            number,
            known.head,
            self._stamp if now == self._second else self.stamp(now),
            location,
            known.line,
            (event.srcip, event.srcport, event.dstip, event.dstport, event.dstuser),
            (log, *[line[:MAX_LINE] for line in context]) if context else (log,),
            (event.srcgeoip, event.dstgeoip),
        )

    def custom(self, template: bytes, event: Event, number: int) -> bytes:
        """One line in the format of `<custom_alert_output>`."""
        rule = event.rule
        assert rule is not None
        known = self._rules.get(id(rule)) or self._know(rule)
        values = {
            b"TIMESTAMP": b"%d" % int(event.time),
            b"FTELL": b"%d" % number,
            b"RULEALERT": b"mail " if rule.mail else b"",
            b"HOSTNAME": event.hostname,
            b"LOCATION": event.location,
            b"RULEID": b"%d" % rule.id,
            b"RULELEVEL": b"%d" % rule.level,
            b"SRCIP": event.srcip,
            b"DSTUSER": event.dstuser,
            b"FULLLOG": event.full_log,
            b"RULECOMMENT": known.comment,
            b"RULEGROUP": known.group,
        }

        def value(match: re.Match[bytes]) -> bytes:
            found = values[match.group(1)]
            return ABSENT if found is None else found

        return _TOKEN.sub(value, template).replace(b"\n", b" ") + b"\n"

    def json(self, event: Event, number: int) -> bytes:
        """The line for alerts.json."""
        rule = event.rule
        assert rule is not None
        now = int(event.time)
        body: dict[str, object] = {"id": f"{now}.{number}", "TimeStamp": now * 1000}
        decoder = event.decoder
        if decoder is not None:
            body["decoder"] = text(decoder.name)
            if decoder.parent is not None:
                body["decoder_parent"] = text(decoder.parent.name)
        for name, value in zip(_FIELDS, _FIELDS_OF(event), strict=True):
            if value is not None:
                body[name] = text(value)
        if self.geoip_in_json and (event.srcgeoip is not None or event.dstgeoip is not None):
            body = _with_places(body, event)
        body["location"] = text(event.location)
        raw = event.full_log
        log = body["full_log"] = text(raw)
        context = event.context
        if len(context) > 1:
            body["previous_output"] = text(context[1])
        if event.file_change is not None:
            body["SyscheckFile"] = _file(event)
        body["hostname"] = text(event.hostname)
        if event.program_name is not None:
            body["program_name"] = text(event.program_name)
        for name, value in zip(_MORE_FIELDS, _MORE_FIELDS_OF(event), strict=True):
            if value is not None:
                body[name] = text(value)
        if event.fields:
            _add_fields(body, event.fields)
        body["decoder_desc"] = self._decoder(event)
        agent, logfile = self._agent(event)
        body |= agent
        body["timestamp"] = self.stamp(now).decode("ascii")
        body["logfile"] = logfile
        if event.id is not None:
            body["event_id"] = text(event.id)
        if context:
            body["previous_events"] = [text(line) for line in context]
        if "\ufffd" in log and log.encode() != raw:
            body["full_log_b64"] = base64.b64encode(raw).decode("ascii")
        return alert_json.format_line(body, self._rule_json(event, rule))

    def archive_text(self, event: Event) -> bytes:
        """The line for archives.log."""
        return b"%b %b %b\n" % (self.stamp(int(event.time)), place(event), event.full_log)

    def archive_json(self, event: Event) -> bytes:
        """The line for archives.json."""
        body: dict[str, object] = {}
        if event.program_name is not None:
            body["program_name"] = text(event.program_name)
        body["log"] = text(event.log)
        last = "log"
        for name in (
            *("srcip", "dstip", "srcport", "dstport", "protocol", "action", "srcuser", "dstuser"),
            *("id", "status", "command", "url", "data"),
        ):
            value = getattr(event, name)
            if value is not None:
                body[name] = text(value)
                last = name
        if event.system_name is not None:
            body["systemname"] = text(event.system_name)
            last = "systemname"
        if event.filename is not None:
            body["filename"] = text(event.filename)
            last = "filename"
        if event.file_change is not None:
            changed = _file(event)
            del changed["path"]
            body.update(changed)
            last = next(reversed(body))
        if event.fields:
            _add_fields(body, event.fields)
        body["decoder"] = self._decoder(event)
        body["full_log"] = text(event.full_log)
        agent, logfile = self._agent(event)
        body["timestamp"] = self.stamp(int(event.time)).decode("ascii")
        body |= agent
        body["logfile"] = logfile
        if event.rule is None:
            return alert_json.format_line(body)
        return alert_json.format_line(body, self._rule_json(event, event.rule), last)

    def firewall(self, event: Event) -> bytes:
        """The line for firewall.log."""
        return b"%b %b %b %b %b:%b->%b:%b\n" % (
            self.stamp(int(event.time)),
            place(event),
            event.action or b"",
            event.protocol or b"",
            event.srcip or b"",
            b"0" if event.srcport is None else event.srcport,
            event.dstip or b"",
            b"0" if event.dstport is None else event.dstport,
        )

    def forget(self) -> None:
        """After a reload: rules and decoders are others."""
        self._rules.clear()
        self._decoders.clear()

    def _know(self, rule: Rule) -> _KnownRule:
        """Make what is the same for every alert of a rule."""
        if len(self._rules) >= MAX_RULES:
            self._rules.clear()
        known = self._rules[id(rule)] = _KnownRule(rule)
        return known

    def _rule_json(self, event: Event, rule: Rule) -> str:
        more = None
        decoder = event.decoder
        if decoder is not None and decoder.name == ROOTCHECK and b"{" in event.full_log:
            more = keyed_values(text(event.full_log))
        known = self._rules.get(id(rule)) or self._know(rule)
        return known.json.format(rule.firedtimes, more)

    def _decoder(self, event: Event) -> dict[str, object]:
        decoder = event.decoder
        if decoder is None:
            return {}
        known = self._decoders.get(id(decoder))
        if known is None:
            known = decoder, _describe(decoder)
            self._decoders[id(decoder)] = known
        if event.first_seen and decoder.name == ROOTCHECK:
            return {"fts": alert_json.FTS_DONE, **known[1]}
        return known[1]

    def _agent(self, event: Event) -> tuple[dict[str, object], str]:
        """agent_name and agentip, and logfile."""
        agent = _AGENT.fullmatch(event.location) if event.agent else None
        if agent is None:
            return {"agent_name": text(event.hostname)}, text(event.location)
        return {"agent_name": text(agent[1]), "agentip": text(agent[2])}, text(agent[3])


def _describe(decoder: Decoder) -> dict[str, object]:
    described: dict[str, object] = {}
    bits = 0
    for word in decoder.fts:
        bits |= alert_json.FTS_BITS.get(word, 0)
    if bits:
        described["fts"] = bits
    if decoder.accumulate:
        described["accumulate"] = 1
    if decoder.parent is not None:
        described["parent"] = text(decoder.parent.name)
    described["name"] = text(decoder.name)
    return described


def _file(event: Event) -> dict[str, object]:
    """`SyscheckFile`: what differs, OSSEC's keys first, then the sizes."""
    change = event.file_change
    assert change is not None
    shown: dict[str, object] = {"path": text(change.path)}
    for name in ("md5", "sha1", "sha256", "owner", "gowner", "perm", "size"):
        for when, values in (("before", change.before), ("after", change.after)):
            value = values.get(name)
            if value is not None:
                shown[f"{name}_{when}"] = int(value) if name == "perm" else text(value)
    return shown


def _with_places(body: dict[str, object], event: Event) -> dict[str, object]:
    """The places of addresses, each behind its address."""
    placed: dict[str, object] = {}
    for name, value in body.items():
        placed[name] = value
        if name == "srcip" and event.srcgeoip is not None:
            placed["srcgeoip"] = text(event.srcgeoip)
        elif name == "dstip" and event.dstgeoip is not None:
            placed["dstgeoip"] = text(event.dstgeoip)
    return placed


def _add_fields(body: dict[str, object], fields: dict[str, bytes]) -> None:
    """Dynamic fields by their names; one that has the name of a key of ours is told apart by a `field.` in front."""
    for name, value in fields.items():
        key = text(name)
        body[f"field.{key}" if key in body or key in _RESERVED else key] = text(value)


_RESERVED = frozenset(
    (
        "rule",
        "decoder_desc",
        "decoder",
        "full_log",
        "agent_name",
        "agentip",
        "timestamp",
        "logfile",
        *alert_json.ADDITIONS,
    )
)


def _cut(log: bytes) -> bytes:
    """A log of one line as OSSEC cuts it; of several (a file's diff), each line."""
    if b"\n" not in log:
        return log[:MAX_LINE]
    return b"\n".join([line[:MAX_LINE] for line in log.split(b"\n")])
