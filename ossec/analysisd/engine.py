"""The engine: an event goes in, its verdict comes out (spec/analysis.md, sections 2 to 7).

    engine = Engine(decoders, rules, EngineOptions(own_name=b"web01"), Stores.in_home(layout, write=True))
    verdict = engine.process(event)     # decode, then judge

The order of an event: predecode → decode → accumulate → rules → silence of a rule (`ignore="N"`) → ignored tuples →
remember.  The engine takes the time from the event and never waits; what it reads and writes is in `Stores`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ossec.analysisd.accumulate import Accumulator
from ossec.analysisd.conditions import Environment
from ossec.analysisd.correlation import Marks, Memory, Windows
from ossec.analysisd.decoders import Captured, DecoderSet
from ossec.analysisd.decoding import Decoding
from ossec.analysisd.event import Event
from ossec.analysisd.fts import FirstSeen, ignore_line
from ossec.analysisd.matching import Matching, Trace
from ossec.analysisd.predecode import predecode
from ossec.analysisd.rules import Rule
from ossec.analysisd.scan import Scanner
from ossec.analysisd.stores import Stores
from ossec.analysisd.tree import RuleSet


class Verdict(enum.Enum):
    """What becomes of an event."""

    NONE = "none"  # no rule matched
    SILENT = "silent"  # a rule of level 0: no alert, not remembered
    IGNORED = "ignored"  # the rule is silent for a while, or the tuple is on the ignore list
    ALERT = "alert"  # event.rule alerts; whether it is written, mailed, answered: rule.log, rule.mail, rule.responses


NONE, SILENT, IGNORED, ALERT = Verdict.NONE, Verdict.SILENT, Verdict.IGNORED, Verdict.ALERT


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the configuration says about judging."""

    own_name: bytes = b"localhost"  # this machine's host name, without domain
    compat: bool = False  # analysisd.ossec_compat: OSSEC's correlation, lists and dates, quirks included
    memory_size: int = 8192  # <memory_size>: events remembered for correlation
    sid_prev_matched_max: int = 128
    fts_list_size: int = 32
    fts_min_size_for_str: int = 14


class Engine:
    """Decoders, rules and all state between events."""

    def __init__(
        self, decoders: DecoderSet, rules: RuleSet, options: EngineOptions | None = None, stores: Stores | None = None
    ) -> None:
        self.decoders = decoders
        self.rules = rules
        self.options = options = options or EngineOptions()
        self.stores = stores = stores or Stores()
        kind = Marks if options.compat else Windows
        self.memory: Memory = kind(rules, options.memory_size, options.sid_prev_matched_max)
        self.first_seen = FirstSeen(stores.fts, options.fts_list_size, options.fts_min_size_for_str)
        self.accumulator = Accumulator()
        self._accumulates = any(d.accumulate for top in decoders.top for d in (top, *top.children))
        self._silent_since: dict[int, float] = {}  # rule -> when it last alerted, for rules with ignore="N"
        environment = Environment(stores, self.first_seen, self.memory, options.compat)
        scanner = Scanner()
        self.decoding = Decoding(decoders, scanner)
        self.matching = Matching(rules, environment, scanner)

    @property
    def forgotten(self) -> int:
        """Events that <memory_size> pushed out while they could still have counted."""
        return self.memory.forgotten

    def decode(self, event: Event, captured: Captured | None = None) -> None:
        """Set hostname, program name, log, decoder, type and fields of a raw event.

        `captured` receives what decoders cut out, in order, as ossec-logtest shows it.
        """
        predecode(event, self.options.own_name, self.options.compat)
        if captured is not None and event.fields:
            captured.extend(event.fields.items())
        self.decoding.decode(event, captured)

    def accumulate(self, event: Event) -> bool:
        """Fill fields from earlier events of the transaction; whether the decoder asks for it.  `judge` calls it."""
        return self._accumulates and self.accumulator.fill(event)

    def judge(self, event: Event) -> Verdict:
        """Find the event's rule and what follows of it; sets `event.rule` and `event.context`."""
        if self._accumulates:
            self.accumulator.fill(event)
        return self._conclude(event, self.matching.match(event))

    def judge_filled(self, event: Event) -> Verdict:
        """`judge` for an event that `accumulate` has already seen."""
        return self._conclude(event, self.matching.match(event))

    def process(self, event: Event) -> Verdict:
        """Decode and judge."""
        predecode(event, self.options.own_name, self.options.compat)
        self.decoding.decode(event)
        if self._accumulates:
            self.accumulator.fill(event)
        return self._conclude(event, self.matching.match(event))

    def judge_traced(self, event: Event, trace: Trace) -> Verdict:
        """`judge` without accumulating, rule by rule, telling `trace` of each that is tried."""
        return self._conclude(event, self.matching.walk_all(event, trace))

    def _conclude(self, event: Event, rule: Rule | None) -> Verdict:
        if rule is None:
            return NONE
        event.rule = rule
        rule.firedtimes += 1
        if rule.level == 0:
            return SILENT
        if rule.ignore_time:
            since = self._silent_since.get(rule.id)
            if since is not None and event.time - since < rule.ignore_time:
                return IGNORED
            self._silent_since[rule.id] = event.time
        if rule.check_if_ignored and ignore_line(event, rule.check_if_ignored) in self.stores.ignored:
            return IGNORED
        if rule.ignore:
            self.stores.ignored.add(ignore_line(event, rule.ignore))
        self.memory.remember(event)
        return ALERT

    def start_afresh(self) -> None:
        """Forget every event, as if just started (rule tests judge each line so); files keep what they know."""
        self.memory.clear()
        self.first_seen.recent.clear()
        self.accumulator = Accumulator()
        self._silent_since.clear()
        self.new_hour()

    def new_hour(self) -> None:
        """Forget how often each rule fired: the hour has changed."""
        for rule in self.rules:
            rule.firedtimes = 0

    def adopt(self, old: Engine) -> None:
        """Take over what another engine knows, rule by rule of the same id, after a reload."""
        self.accumulator = old.accumulator
        self.first_seen.recent.extend(old.first_seen.recent)
        for rule in self.rules:
            before = old.rules.by_id.get(rule.id)
            if before is not None:
                rule.firedtimes = before.firedtimes
                if rule.ignore_time and rule.id in old._silent_since:
                    self._silent_since[rule.id] = old._silent_since[rule.id]
        for event in old.memory.remembered():
            assert event.rule is not None
            now = self.rules.by_id.get(event.rule.id)
            if now is not None:
                event.rule = now
                self.memory.remember(event)
