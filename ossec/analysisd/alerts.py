"""An event as the outputs show it: the alert record, JSON, the archive and firewall lines, a custom format.

`Renderer` holds what is the same for many events: the date of the current second, the JSON of each rule.  See
`ossec.messages.alert` and `ossec.messages.alert_json` for the formats themselves.
"""

from __future__ import annotations

import base64
import re
import time as clock
from json.encoder import encode_basestring
from operator import attrgetter
from typing import TYPE_CHECKING

from ossec.analysisd.rootcheck import DECODER as ROOTCHECK
from ossec.analysisd.rootcheck import keyed_values
from ossec.messages import alert, alert_json
from ossec.messages.alert import MAX_LINE
from ossec.messages.alert_json import RuleText, quote, text

if TYPE_CHECKING:
    from ossec.analysisd.decoders import Decoder
    from ossec.analysisd.event import Event
    from ossec.analysisd.rules import Rule

MAX_RULES = 65536  # rules and decoders whose JSON is kept: more than any rule set has
MAX_QUOTED = 4096  # places, hosts and programs whose JSON is kept; whoever invents some only makes us forget
MAX_QUOTED_SIZE = 512  # bytes of one: a place as long is no place that comes again
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


class _KnownDecoder:
    """What alerts of one decoder (None: of no decoder) share."""

    __slots__ = ("decoder", "described", "head", "is_rootcheck", "text")

    def __init__(self, decoder: Decoder | None) -> None:
        self.decoder = decoder
        self.is_rootcheck = decoder is not None and decoder.name == ROOTCHECK
        self.described: dict[str, object] = {} if decoder is None else _describe(decoder)
        self.text = alert_json.members({"decoder_desc": self.described})
        head: dict[str, object] = {}
        if decoder is not None:
            head["decoder"] = text(decoder.name)
            if decoder.parent is not None:
                head["decoder_parent"] = text(decoder.parent.name)
        self.head = alert_json.members(head)


class Renderer:
    """Formats events; one per daemon, or per test."""

    def __init__(self, geoip_in_json: bool = False) -> None:
        """`geoip_in_json`: analysisd.geoip_jsonout."""
        self.geoip_in_json = geoip_in_json
        self._second = -1
        self._stamp = b""
        self._rules: dict[int, _KnownRule] = {}
        self._decoders: dict[int, _KnownDecoder] = {}
        self._quoted: dict[bytes, str] = {}

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
        """The line for alerts.json.

        Put together from pieces, for a dictionary and its encoding take four times as long (bench/NOTES.md).  What
        many events share (places, hosts, programs) is quoted once.
        """
        rule = event.rule
        assert rule is not None
        now = int(event.time)
        known = self._rules.get(id(rule)) or self._know(rule)
        decoder = event.decoder
        described = self._decoders.get(id(decoder)) or self._know_decoder(decoder)
        more = described.is_rootcheck and b"{" in event.full_log
        shown = self._rule_json(event, rule) if more else known.json.format(rule.firedtimes)
        quoted, q = self._quoted, encode_basestring  # `quote`, without its call
        line = f'{{"rule":{shown},"id":"{now}.{number}","TimeStamp":{now * 1000}{described.head}'
        value = event.action
        if value is not None:
            line += f',"action":{q(value.decode("utf-8", "replace"))}'
        value = event.protocol
        if value is not None:
            line += f',"protocol":{q(value.decode("utf-8", "replace"))}'
        value = event.srcip
        if value is not None:
            line += f',"srcip":{q(value.decode("utf-8", "replace"))}'
            if event.srcgeoip is not None and self.geoip_in_json:
                line += f',"srcgeoip":{q(event.srcgeoip.decode("utf-8", "replace"))}'
        value = event.srcport
        if value is not None:
            line += f',"srcport":{q(value.decode("utf-8", "replace"))}'
        value = event.srcuser
        if value is not None:
            line += f',"srcuser":{q(value.decode("utf-8", "replace"))}'
        value = event.dstip
        if value is not None:
            line += f',"dstip":{q(value.decode("utf-8", "replace"))}'
            if event.dstgeoip is not None and self.geoip_in_json:
                line += f',"dstgeoip":{q(event.dstgeoip.decode("utf-8", "replace"))}'
        value = event.dstport
        if value is not None:
            line += f',"dstport":{q(value.decode("utf-8", "replace"))}'
        value = event.dstuser
        if value is not None:
            line += f',"dstuser":{q(value.decode("utf-8", "replace"))}'
        location = event.location
        raw = event.full_log
        line += f',"location":{quoted.get(location) or self._quote(location)}'
        line += f',"full_log":{q(raw.decode("utf-8", "replace"))}'
        context = event.context
        if len(context) > 1:
            line += f',"previous_output":{q(context[1].decode("utf-8", "replace"))}'
        if event.file_change is not None:
            line += alert_json.members({"SyscheckFile": _file(event)})
        hostname = event.hostname
        host = quoted.get(hostname) or self._quote(hostname)
        line += f',"hostname":{host}'
        value = event.program_name
        if value is not None:
            line += f',"program_name":{quoted.get(value) or self._quote(value)}'
        value = event.status
        if value is not None:
            line += f',"status":{q(value.decode("utf-8", "replace"))}'
        value = event.command
        if value is not None:
            line += f',"command":{q(value.decode("utf-8", "replace"))}'
        value = event.url
        if value is not None:
            line += f',"url":{q(value.decode("utf-8", "replace"))}'
        value = event.data
        if value is not None:
            line += f',"data":{q(value.decode("utf-8", "replace"))}'
        value = event.system_name
        if value is not None:
            line += f',"systemname":{q(value.decode("utf-8", "replace"))}'
        if event.fields:
            line += alert_json.members(_name_fields(event.fields, self._keys(event)))
        shown = described.text
        if event.first_seen and described.is_rootcheck:
            shown = alert_json.members({"decoder_desc": self._decoder(event)})
        stamp = (self._stamp if now == self._second else self.stamp(now)).decode("ascii")
        found = _AGENT.fullmatch(location) if event.agent else None
        if found is None:
            logfile = quoted.get(location) or self._quote(location)
            line += f'{shown},"agent_name":{host},"timestamp":"{stamp}","logfile":{logfile}'
        else:
            name, address, path = found.groups()
            line += f'{shown},"agent_name":{quoted.get(name) or self._quote(name)}'
            line += f',"agentip":{quoted.get(address) or self._quote(address)}'
            line += f',"timestamp":"{stamp}","logfile":{quoted.get(path) or self._quote(path)}'
        value = event.id
        if value is not None:
            line += f',"event_id":{q(value.decode("utf-8", "replace"))}'
        if context:
            line += f',"previous_events":[{",".join([q(earlier.decode("utf-8", "replace")) for earlier in context])}]'
        if not raw.isascii() and text(raw).encode() != raw:
            line += f',"full_log_b64":"{base64.b64encode(raw).decode("ascii")}"'
        return f"{line}}}\n".encode("utf-8", "replace")

    def _quote(self, value: bytes) -> str:
        """A value that comes again, as JSON."""
        shown = quote(value)
        if len(value) <= MAX_QUOTED_SIZE:
            if len(self._quoted) >= MAX_QUOTED:
                self._quoted.clear()
            self._quoted[value] = shown
        return shown

    def _keys(self, event: Event) -> set[str]:
        """The keys of an event's alert before its dynamic fields."""
        keys = {"id", "TimeStamp", "location", "full_log", "hostname"}
        keys.update(name for name, value in zip(_FIELDS, _FIELDS_OF(event), strict=True) if value is not None)
        keys.update(name for name, value in zip(_MORE_FIELDS, _MORE_FIELDS_OF(event), strict=True) if value is not None)
        for name, present in (
            ("decoder_parent", event.decoder is not None and event.decoder.parent is not None),
            ("srcgeoip", self.geoip_in_json and event.srcip is not None and event.srcgeoip is not None),
            ("dstgeoip", self.geoip_in_json and event.dstip is not None and event.dstgeoip is not None),
            ("previous_output", len(event.context) > 1),
            ("SyscheckFile", event.file_change is not None),
            ("program_name", event.program_name is not None),
        ):
            if present:
                keys.add(name)
        return keys

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

    def _know_decoder(self, decoder: Decoder | None) -> _KnownDecoder:
        if len(self._decoders) >= MAX_RULES:
            self._decoders.clear()
        known = self._decoders[id(decoder)] = _KnownDecoder(decoder)
        return known

    def _decoder(self, event: Event) -> dict[str, object]:
        decoder = event.decoder
        known = self._decoders.get(id(decoder)) or self._know_decoder(decoder)
        if event.first_seen and known.is_rootcheck:
            return {"fts": alert_json.FTS_DONE, **known.described}
        return known.described

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


def _add_fields(body: dict[str, object], fields: dict[str, bytes]) -> None:
    body.update(_name_fields(fields, set(body)))


def _name_fields(fields: dict[str, bytes], taken: set[str]) -> dict[str, object]:
    """Dynamic fields by their names; one that has the name of a key of ours is told apart by a `field.` in front."""
    named: dict[str, object] = {}
    for name, value in fields.items():
        key = text(name)
        if key in taken or key in _RESERVED or key in named:
            key = f"field.{key}"
        named[key] = text(value)
    return named


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
