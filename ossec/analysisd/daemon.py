"""ossec-analysisd: the shell around `Analysis`.

One turn of the loop: take the datagrams that wait, judge them, write each file once, then send the responses.  What is
in the queue's socket while we reload or stop is kept by the kernel and handled after it.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterable, Mapping

from ossec.analysisd.assembly import Assembly, Parts, RulesError
from ossec.analysisd.names import NameWatch
from ossec.analysisd.numbers import AlertNumbers
from ossec.analysisd.pipeline import Analysis
from ossec.analysisd.responses import Dispatch, Response
from ossec.analysisd.sender import ResponseQueue
from ossec.config import Configuration, ar_conf, check, load
from ossec.config.internal import InternalOptions
from ossec.config.kind import home_kind
from ossec.daemon import Context, Service
from ossec.daemon.log import ready_made
from ossec.errors import ConfigError
from ossec.queues import Inbox
from ossec.regex import given_up

log = logging.getLogger("ossec.analysisd")

BATCH = 256  # datagrams between two writes: some 5 ms of work; a queue's kernel buffer may hold as few as ten
TICK = 1.0  # seconds between looks at the calendar and at files that could not be written
FORGOTTEN_PAUSE = 3600.0  # seconds between two warnings that the event memory is too small
DRAIN_LIMIT = 20.0  # seconds to empty the queue at a stop; ossec-control kills after 45
MAX_READ = 6144  # what OSSEC reads of a datagram, its NUL included
GC_LOT = 20_000  # objects between two looks of the garbage collector, which costs 5 % of the time otherwise
EXECQ_SHOWN, AR_SHOWN = "/queue/alerts/execq", "/queue/alerts/ar"


class Analysisd(Service):
    name = "ossec-analysisd"
    summary = "Read events, find what they mean, write alerts and ask for responses."
    user = "ossec"
    flags = "cgu"
    debug_option = "analysisd.debug"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.kind = home_kind(self.layout)
        self.assembly = Assembly(self.layout, self.kind)
        self.configuration, self.parts = self._load()
        self.state_interval = context.internal.get("analysisd.state_interval")
        self._watch: NameWatch | None = None
        self._known_addresses: frozenset[bytes] = frozenset()
        self._execq: ResponseQueue | None = None
        self._ar: ResponseQueue | None = None

    @classmethod
    def test(cls, context: Context) -> int:
        """`-t`: every line about ossec.conf, then about decoders and rules."""
        kind = home_kind(context.layout)
        path = context.config_path
        lines, status = check(context.layout, path, cls.name)
        _say(lines)
        if status:
            return status
        configuration = load(context.layout, path, cls.name)
        try:
            parts = Assembly(context.layout, kind).load(configuration, context.internal, write=False)
        except RulesError as error:
            _say(error.lines)
            return 1
        _say(parts.warnings)
        return 0

    def _load(self) -> tuple[Configuration, Parts]:
        configuration = load(self.layout, self.context.config_path, self.name)
        _say(configuration.warnings)
        parts = self.assembly.load(configuration, self.context.internal)
        _say(parts.warnings)
        return configuration, parts

    # --- life ---

    def prepare(self) -> None:
        self._write_ar_conf()

    def open(self) -> None:
        parts = self.parts
        self.numbers = AlertNumbers(self.layout.alert_number)
        self.analysis: Analysis = self.assembly.build(parts, self.numbers.next, int(time.time()))
        self._tell_rules()
        self._open_responses(parts)
        self.inbox = Inbox(self.layout.event_queue, max_datagram=MAX_READ)
        self.loop.on_readable(self.inbox.fileno(), self._on_readable)
        self._forgotten_told, self._tell_again = 0, 0.0
        self.loop.call_every(TICK, self._tick)
        _settle_memory()

    def reload(self) -> None:
        """Read everything again; a mistake leaves what is in force.  Events wait in the socket meanwhile."""
        internal = InternalOptions.load(self.layout, self.name)
        configuration = load(self.layout, self.context.config_path, self.name)
        parts = self.assembly.load(configuration, internal)
        try:
            self.analysis.outputs.flush()
            self.analysis.outputs.change(parts.outputs)
        except OSError as error:
            raise ConfigError(f"an output cannot be opened: {error}", configuration.path) from error
        _say(configuration.warnings)
        _say(parts.warnings)
        self.configuration, self.parts = configuration, parts
        self.analysis.replace(parts.engine, parts.responder, parts.syscheck, parts.options)
        self.analysis.geoip = parts.geoip
        self.state_interval = internal.get("analysisd.state_interval")
        self._write_ar_conf()
        self._tell_rules()
        self._open_responses(parts)
        _settle_memory()
        log.info("Configuration read again.")

    def close(self) -> None:
        """Empty the queue, write and send everything."""
        deadline = time.monotonic() + DRAIN_LIMIT
        while self._read():
            if time.monotonic() > deadline:
                log.error("More came than could be handled in %d seconds; the rest of the queue is lost.", DRAIN_LIMIT)
                break
        self.loop.forget(self.inbox.fileno())
        self.inbox.close()
        if self._watch is not None:
            self._watch.stop()
        for queue in (self._ar, self._execq):
            if queue is not None:
                queue.close()
        self.analysis.outputs.close()
        self.numbers.close()
        self.assembly.close()

    def state(self) -> Mapping[str, object]:
        analysis, counters = self.analysis, self.analysis.counters
        stream = analysis.outputs.stream
        queues = [queue for queue in (self._execq, self._ar) if queue is not None]
        return {
            "events_received": counters.received,
            "events_malformed": counters.malformed,
            "events_repeated": counters.repeats,
            "events_forgotten": analysis.engine.forgotten,
            "file_events": counters.file_events,
            "firewall_incomplete": counters.incomplete_packets,
            "alerts_written": counters.alerts,
            "alerts_lost": analysis.outputs.lost,
            "output_bytes_waiting": analysis.outputs.waiting,
            "last_alert_number": self.numbers.last,
            "stream_published": 0 if stream is None else stream.sent,
            "stream_missed": 0 if stream is None else stream.missed,
            "pattern_give_ups": given_up(),
            "responses": counters.responses,
            "responses_sent": sum(queue.sent for queue in queues),
            "responses_waiting": sum(queue.waiting for queue in queues),
            "responses_lost": sum(queue.lost for queue in queues),
            "responses_refused": analysis.responder.refused,
            "responses_allow_listed": analysis.responder.spared,
        }

    # --- events ---

    def _on_readable(self) -> None:
        self._read()

    def _read(self) -> int:
        """What is there, and what comes while it is handled, up to a batch; then write and send.  How many it was."""
        inbox, analysis = self.inbox, self.analysis
        dispatches: list[Dispatch] = []
        taken = 0
        while taken < BATCH:
            datagrams = inbox.receive(BATCH - taken)
            if not datagrams:
                break
            taken += len(datagrams)
            dispatches += analysis.receive(datagrams, int(time.time()))
        if taken:
            analysis.outputs.flush()
        if dispatches:
            self._send(dispatches)
        return taken

    def _send(self, dispatches: Iterable[Dispatch]) -> None:
        for dispatch in dispatches:
            queue = self._execq if dispatch.to_execd else self._ar
            if queue is not None:
                queue.send(dispatch.datagram)

    def _tick(self) -> None:
        self.analysis.engine.stores.lists.refresh()
        if self.analysis.geoip is not None:
            self.analysis.geoip.refresh()
        self.analysis.roll(int(time.time()))
        self.analysis.outputs.flush()
        self._tell_forgotten()

    def _tell_forgotten(self) -> None:
        """Say, at most once an hour, that events had to leave the memory while they could still have counted."""
        forgotten, now = self.analysis.engine.forgotten, self.loop.now()
        if forgotten > self._forgotten_told and now >= self._tell_again:
            log.warning(
                "%d events had to be forgotten while rules could still have counted them: raise <memory_size>.",
                forgotten - self._forgotten_told,
            )
            self._forgotten_told, self._tell_again = forgotten, now + FORGOTTEN_PAUSE

    # --- responses ---

    def _open_responses(self, parts: Parts) -> None:
        """Have the queues that the responses need, and know whom they must spare."""
        responses = parts.responses
        if responses:
            for line in parts.responder.allow.describe():
                log.info("%s", line)
        if self.kind != "local" and self._ar is None and any(map(_needs_ar, responses)):
            spool = self.layout.response_spool("ar")
            self._ar = ResponseQueue(self.layout.ar_queue, spool, AR_SHOWN, "active-response queue", self.loop)
            self._ar.connect()
            self._ar.recover()
        if self._execq is None and any(response.on_server or response.on_local for response in responses):
            spool = self.layout.response_spool("execq")
            self._execq = ResponseQueue(self.layout.exec_queue, spool, EXECQ_SHOWN, "exec queue", self.loop)
            self._execq.connect()
            self._execq.recover()
        allow = parts.responder.allow
        first = self._watch is None
        if self._watch is not None:
            self._watch.stop()
            allow.resolved = self._known_addresses

        def publish(addresses: frozenset[bytes]) -> None:
            allow.resolved = self._known_addresses = addresses

        self._watch = NameWatch(allow.names if responses else (), publish)
        self._watch.start(wait=first)

    def _write_ar_conf(self) -> None:
        if self.kind == "agent":
            return
        try:
            ar_conf.write(self.layout, self.configuration)
        except OSError as error:
            log.error("%s cannot be written, so execd keeps the responses it knows: %s", self.layout.ar_conf, error)

    def _tell_rules(self) -> None:
        for one in self.configuration.syscheck.ignore:
            log.info("Ignoring file: '%s'", one.text)
        log.info("Total rules enabled: '%d'", len(self.parts.engine.rules))


def _settle_memory() -> None:
    """Tell the collector that rules and decoders stay, and to look at events in large lots: no cycle is among them."""
    gc.unfreeze()  # what an earlier configuration left
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_LOT, 50, 50)


def _needs_ar(response: Response) -> bool:
    return response.on_local or response.on_all or response.on_defined


def _say(lines: Iterable[str]) -> None:
    """Lines that already name program, code and level."""
    for line in lines:
        level = logging.ERROR if ": ERROR: " in line else logging.WARNING if ": WARN: " in line else logging.INFO
        log.log(level, "%s", line, extra=ready_made)
