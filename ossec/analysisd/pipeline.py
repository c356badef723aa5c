"""From a datagram of the event queue to alerts, archives and responses (spec/analysis.md, 14: the order per event).

`Analysis` ties the pieces together in one pass: take the datagram apart, decode it (logs by the engine; file events,
rootcheck findings and host information by their databases), drop repeats, count the hour, let the rules judge, write.
It touches files only through `outputs` and the databases, sockets not at all: responses are returned, and the shell
sends them once the batch is written, so a script finds the alert that started it.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ossec.analysisd.decoders import SYSCHECK_DECODERS, Decoder
from ossec.analysisd.engine import Engine, Verdict
from ossec.analysisd.event import Event
from ossec.analysisd.hostinfo import MODIFIED, Hostinfo
from ossec.analysisd.plugins import decode_ossec_alert
from ossec.analysisd.predecode import clean
from ossec.analysisd.rootcheck import DECODER as ROOTCHECK
from ossec.analysisd.rules import Rule
from ossec.analysisd.statistics import DESCRIPTION, GROUP, RULE_ID, Limits, Statistics
from ossec.analysisd.syscheck import CHANGED, Syscheck
from ossec.daemon import code
from ossec.messages import queue

if TYPE_CHECKING:
    from ossec.analysisd.geoip import GeoIP
    from ossec.analysisd.outputs import Outputs
    from ossec.analysisd.responses import Dispatch, Responder
    from ossec.analysisd.rootcheck import Rootcheck

log = logging.getLogger("ossec.analysisd")

REPEATS = 3  # lines that a new one is compared with
ALERT = Verdict.ALERT
REPEATS_AS_OSSEC, REPEATS_PER_LOCATION = 1, 2  # analysisd.repeat_filter; 0: off
MAX_LOCATIONS = 4096  # locations whose last lines are kept, with REPEATS_PER_LOCATION
MAX_COMPLAINTS = 100  # lines about malformed messages in an hour; the rest is counted
SHOWN = 1024  # bytes of a malformed message in such a line
KEEPALIVE = b"ossec-keepalive"
KEEPALIVE_OF_AGENT = b"->ossec-keepalive"

_FORWARDED = re.compile(
    rb"(?:ossec: )?Alert Level: (\d+); Rule: (\d+) - .*?; Location: (.*?);"
    rb"(?: srcip: ([^;]*);)?(?: user: ([^;]*);)?  (.*)",
    re.DOTALL,
)
_RULE_TEXT = re.compile(rb"(?:ossec: )?Alert Level: \d+; Rule: (.*)", re.DOTALL)


def _may_forward(location: bytes) -> bool:
    """Whether another server's alert may come from here: by syslog, or from a file that is called alerts.log.

    A line like one may be written into any other log by anybody (`logger -t ossec`), and would raise what it names.
    """
    if b"->" in location or location.startswith(b"/"):
        return location.endswith(b"/alerts.log")
    return True


@dataclass(slots=True)
class Counters:
    """What went through, for the state file."""

    received: int = 0
    malformed: int = 0
    repeats: int = 0  # dropped by the repeat filter
    alerts: int = 0  # written
    responses: int = 0  # asked for
    incomplete_packets: int = 0  # firewall events without address, action or protocol
    file_events: int = 0
    forwarded_unknown: int = 0  # alerts of other servers under rules that we do not have


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """What the order per event depends on."""

    own_name: bytes
    log_firewall: bool = True  # analysisd.log_fw
    repeat_filter: int = REPEATS_AS_OSSEC
    stats_level: int = 4  # of rule 11; 0: off
    stats_limits: Limits = field(default_factory=Limits)
    stats_log: bool = True  # rule 11 is at or above log_alert_level
    stats_mail: bool = False


@dataclass(slots=True)
class Analysis:
    """One analysisd without its sockets.  `next_number` gives the number of the next alert."""

    engine: Engine
    outputs: Outputs
    responder: Responder
    syscheck: Syscheck
    rootcheck: Rootcheck
    hostinfo: Hostinfo
    statistics: Statistics
    options: PipelineOptions
    next_number: Callable[[], int]
    write_statistics: Callable[[dict[tuple[str, ...], str]], None]
    note_sender: Callable[[bytes, bytes], None]  # an alert of another server came: (host, sender)
    geoip: GeoIP | None = None
    counters: Counters = field(default_factory=Counters)
    _recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=REPEATS))
    _recent_by_location: dict[bytes, deque[bytes]] = field(default_factory=dict)
    _complaints: int = 0
    _stats_rule: Rule | None = None
    _built_in: dict[str, Decoder] = field(default_factory=dict)
    _handlers: dict[bytes, Callable[[Event], str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._built_in = {name: Decoder(CHANGED[0], key=name, type="ossec") for name in SYSCHECK_DECODERS}
        self._built_in |= {name: Decoder(MODIFIED, key=name, type="ossec") for name in ("hostinfo_new", MODIFIED)}
        self._built_in[ROOTCHECK] = Decoder(ROOTCHECK, type="ossec")
        self._handlers = {
            queue.SYSCHECK: self._decode_syscheck,
            queue.ROOTCHECK: self.rootcheck.decode,
            queue.HOSTINFO: self.hostinfo.decode,
        }
        self._make_stats_rule()

    def receive(self, datagrams: Iterable[bytes], now: int) -> list[Dispatch]:
        """Handle datagrams that arrived at `now`, in order; the responses they ask for.  `outputs.flush()` is due."""
        # One loop with few calls: this is run for every event (see bench_analysisd).
        hour = self.statistics.hour
        if not hour.start <= now < hour.end:
            self.roll(now)
        dispatches: list[Dispatch] = []
        take_apart, decode, judge = queue.take_apart, self.engine.decode, self.engine.judge
        handlers, statistics, recent = self._handlers, self.statistics, self._recent
        log_firewall, as_ossec = self.options.log_firewall, self.options.repeat_filter == REPEATS_AS_OSSEC
        archives, geoip = self.outputs.has_archives, self.geoip
        for datagram in datagrams:
            self.counters.received += 1
            try:
                kind, location, text = take_apart(datagram)
            except queue.BadQueueMessage:
                self._complain(datagram)
                continue
            handler = handlers.get(kind)
            if handler is not None:
                self._handle_special(Event(kind, location, text, now), handler, dispatches)
                continue
            line = clean(text)
            event = Event(kind, location, line, now)
            if len(line) != len(text):
                event.raw = text
            decode(event)
            if event.type == "syslog":
                if as_ossec:
                    if line in recent:
                        self.counters.repeats += 1
                        continue
                    recent.append(line)
                elif self._repeats(event):
                    self.counters.repeats += 1
                    continue
            elif event.type == "firewall" and log_firewall and not self._normalise_packet(event):
                continue
            decoder = event.decoder
            if decoder is not None and decoder.plugin is decode_ossec_alert and _may_forward(event.location):
                self._handle_forwarded(event, dispatches)
                continue
            if geoip is not None:
                geoip.locate(event)
            statistics.events += 1
            if statistics.events > statistics.limit:
                self._tell_excess(event)
            if judge(event) is ALERT:
                self._raise(event, dispatches)
            if archives:
                self._archive(event)
        return dispatches

    def roll(self, now: int) -> None:
        """Begin another hour: totals, averages, other files on another day.  Also called when nothing arrives."""
        hour = self.statistics.hour
        if hour.start <= now < hour.end:
            return
        self.outputs.flush()
        hits = [(rule.id, rule.level, rule.firedtimes) for rule in self.engine.rules if rule.firedtimes]
        self.engine.new_hour()
        self.write_statistics(self.statistics.roll(now, hits))
        self.outputs.roll(self.statistics.hour)
        if self._complaints > MAX_COMPLAINTS:
            log.error("%d more malformed messages came in the last hour.", self._complaints - MAX_COMPLAINTS)
        self._complaints = 0
        self.responder.begin_hour()

    def replace(self, engine: Engine, responder: Responder, syscheck: Syscheck, options: PipelineOptions) -> None:
        """After a reload: other rules and settings, what is known stays."""
        engine.adopt(self.engine)
        self.engine = engine
        self.responder = responder
        self.syscheck = syscheck
        self.options = options
        self.statistics.change(options.stats_limits, enabled=options.stats_level > 0)
        self._make_stats_rule()

    # one event
    def _handle_special(self, event: Event, handler: Callable[[Event], str | None], dispatches: list[Dispatch]) -> None:
        event.hostname = event.location if event.agent else self.options.own_name
        if event.queue != queue.SYSCHECK:
            event.full_log = clean(event.full_log)
        found = handler(event)
        if found is None:
            return
        event.decoder = self._built_in[found]
        event.type = "ossec"
        self._judge(event, dispatches)

    def _decode_syscheck(self, event: Event) -> str | None:
        self.counters.file_events += 1
        self.statistics.syscheck += 1
        return self.syscheck.decode(event)

    def _judge(self, event: Event, dispatches: list[Dispatch]) -> None:
        if self.statistics.count():
            self._tell_excess(event)
        if self.engine.judge(event) is ALERT:
            self._raise(event, dispatches)
        self._archive(event)

    def _raise(self, event: Event, dispatches: list[Dispatch]) -> None:
        """An alert: number, files, responses."""
        rule = event.rule
        if rule is None:
            return
        number = self.next_number()
        if rule.log:
            self.counters.alerts += 1
            self.outputs.alert(event, number)
        if rule.responses:
            found = self.responder.decide(event, rule.responses, b"%d.%d" % (int(event.time), number))
            self.counters.responses += len(found)
            dispatches += found

    def _archive(self, event: Event) -> None:
        outputs = self.outputs
        if outputs.archives is not None:
            location = event.location
            if location != KEEPALIVE and not location.endswith(KEEPALIVE_OF_AGENT):
                outputs.archive_text(event)
        if outputs.archives_json is not None:
            outputs.archive_json(event)  # OSSEC's have keep-alives in this one

    # what comes between decoding and rules
    def _repeats(self, event: Event) -> bool:
        """Whether one of the last lines of the location was the same; never when the filter is off."""
        if self.options.repeat_filter != REPEATS_PER_LOCATION:
            return False
        recent = self._recent_by_location.get(event.location)
        if recent is None:
            if len(self._recent_by_location) >= MAX_LOCATIONS:
                self._recent_by_location.clear()
            recent = self._recent_by_location[event.location] = deque(maxlen=REPEATS)
        if event.full_log in recent:
            return True
        recent.append(event.full_log)
        return False

    def _normalise_packet(self, event: Event) -> bool:
        """Give the action one of four names and log the packet; False when parts are missing."""
        if event.action is None or event.srcip is None or event.dstip is None or event.protocol is None:
            self.counters.incomplete_packets += 1
            return False
        event.action = normalise_action(event.action)
        self.statistics.firewall += 1
        self.outputs.packet(event)
        return True

    def _handle_forwarded(self, event: Event, dispatches: list[Dispatch]) -> None:
        """An alert of another server: ours under the local rule of the same number, without asking the rules."""
        found = _FORWARDED.fullmatch(event.log)
        if found is None:
            rest = _RULE_TEXT.match(event.log)
            if rest is not None:
                log.debug("A forwarded alert cannot be read: %r", event.log[:SHOWN])
            return
        _, sid, location, srcip, user, text = found.groups()
        rule = self.engine.rules.by_id.get(int(sid)) if len(sid) <= 9 else None
        if rule is None:
            self.counters.forwarded_unknown += 1
            shown = _RULE_TEXT.match(event.log)
            log.warning(
                "Rule id '%s' not found internally: %s",
                (shown.group(1) if shown else sid).decode("utf-8", "surrogateescape"),
                event.log.decode("utf-8", "surrogateescape"),
            )
            return
        sender = event.location
        self.note_sender(event.hostname, sender)
        event.location = event.hostname = sender + b"|" + location
        event.full_log = event.log = text
        event.srcip = srcip
        event.dstuser = user
        event.rule = rule
        if self.statistics.count():
            self._tell_excess(event)
        if rule.level:
            self._raise(event, dispatches)
        self._archive(event)

    # statistics
    def _make_stats_rule(self) -> None:
        options = self.options
        self._stats_rule = Rule(
            id=RULE_ID,
            level=options.stats_level,
            group=GROUP,
            description=DESCRIPTION,
            log=options.stats_log,
            mail=options.stats_mail,
        )

    def _tell_excess(self, event: Event) -> None:
        text = self.statistics.tell()
        told = Event(event.queue, event.location, text.encode(), event.time)
        told.hostname = event.hostname
        told.rule = self._stats_rule
        self._raise(told, [])

    # messages that are none
    def _complain(self, datagram: bytes) -> None:
        self.counters.malformed += 1
        self._complaints += 1
        if self._complaints > MAX_COMPLAINTS:
            return
        text = datagram[: queue.MAX_MESSAGE].partition(b"\0")[0]
        if len(text) >= 4:
            log.error("String not correctly formatted.", extra=code(1106))
            location, colon, _ = text[2:].partition(b":")
            if colon and not location.startswith(b"("):  # OSSEC shows as much as it had taken apart
                text = text[:2] + location
        log.error("Invalid msg: %s", text[:SHOWN].decode("utf-8", "surrogateescape"), extra=code(1222))


def normalise_action(action: bytes) -> bytes:
    """DROP, CLOSED, ALLOW or UNKNOWN, by the first letter or a word inside."""
    letter = action[:1].lower()
    if letter in (b"d", b"r", b"b"):
        return b"DROP"
    if letter in (b"c", b"t"):
        return b"CLOSED"
    if letter in (b"a", b"p", b"o"):
        return b"ALLOW"
    if b"drop" in action.lower():
        return b"DROP"
    if b"accept" in action.lower():
        return b"ALLOW"
    return b"UNKNOWN"
