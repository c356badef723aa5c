"""Trying decoders and rules on examples: a line goes in, what a rule author can see comes out.

`Rehearsal` judges each example as if the engine had just been started: nothing was seen before but what the example
itself says.  `differences` compares, `Rehearsal.explain` tells why a rule did not decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ossec.analysisd.decoders import Decoder
from ossec.analysisd.engine import Engine
from ossec.analysisd.event import Event
from ossec.analysisd.geoip import GeoIP
from ossec.analysisd.predecode import read_line
from ossec.analysisd.rules import Rule
from ossec.analysisd.ruletests import PLACE, Example
from ossec.analysisd.stores import MemoryDiffs

START = 1_700_000_000.0  # when an example comes that says nothing else: Tuesday 2023-11-14 22:13:20 UTC
DAY = 86400.0  # between two examples: longer than any window, silence or time frame of a rule
FIELDS = {  # the name in <order>: the event's attribute
    "srcip": "srcip",
    "srcport": "srcport",
    "dstip": "dstip",
    "dstport": "dstport",
    "protocol": "protocol",
    "dstuser": "dstuser",
    "srcuser": "srcuser",
    "action": "action",
    "status": "status",
    "id": "id",
    "url": "url",
    "extra_data": "data",
    "system_name": "system_name",
    "filename": "filename",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule author sees of one event."""

    rule: int | None
    level: int | None
    decoder: str | None
    fields: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise."""

    key: str
    expected: Any
    found: Any


def differences(example: Example, found: Judgement) -> list[Difference]:
    """What is otherwise than the example says; empty: it is as expected."""
    wrong = []
    for key, expected in example.compared.items():
        value = getattr(found, key)
        if (tuple(expected) if key == "groups" else expected) != value:
            wrong.append(Difference(key, expected, list(value) if key == "groups" else value))
    if example.holds:
        return wrong
    return [] if wrong else [Difference("rule", f"not {example.compared.get('rule')}", found.rule)]


class Rehearsal:
    """One engine for all examples.  It should have stores of its own: what it knows is forgotten each time."""

    def __init__(self, engine: Engine, geoip: GeoIP | None = None) -> None:
        self.engine = engine
        self.geoip = geoip
        self._now = START
        names = engine.decoders.keys()
        self._given = {name: Decoder(name, key=name, type="ossec") for name in names}

    def judge(
        self,
        line: bytes,
        *,
        before: tuple[tuple[bytes, str | None], ...] = (),
        given: str | None = None,
        place: str = PLACE,
        at: float | None = None,
        agent: bool = True,
    ) -> Judgement:
        """What becomes of a line when `before` came first.  `agent` False: the line was read on this machine."""
        event = self._play(line, before, given, place, at, agent, None)
        rule = event.rule
        fields = {}
        for name, attribute in FIELDS.items():
            value = getattr(event, attribute)
            if value is not None:
                fields[name] = value.decode("utf-8", "surrogateescape")
        for name, value in (event.fields or {}).items():
            fields[name] = value.decode("utf-8", "surrogateescape")
        decoder = None
        if event.decoder is not None:
            decoder = given if given is not None else event.decoder.name
        if rule is None:
            return Judgement(None, None, decoder, fields)
        return Judgement(rule.id, rule.level, decoder, fields, rule.groups)

    def run(self, example: Example) -> Judgement:
        """What becomes of an example."""
        return self.judge(example.line, before=example.before, **self._circumstances(example))

    def explain(self, example: Example) -> str:
        """Why the rule that should decide did not; empty when there is nothing to say."""
        wanted = example.compared.get("rule")
        if wanted is None or not example.holds:
            return ""
        steps: list[tuple[str, Rule, str]] = []
        circumstances = self._circumstances(example)
        event = self._play(example.line, example.before, trace=steps, **circumstances)
        return _reason(self.engine, wanted, event.rule, steps)

    @staticmethod
    def _circumstances(example: Example) -> dict[str, Any]:
        return {
            "given": example.given,
            "place": example.place if not example.title else "stdin",
            "at": example.at,
            "agent": not example.title,
        }

    def _play(
        self,
        line: bytes,
        before: tuple[tuple[bytes, str | None], ...],
        given: str | None,
        place: str,
        at: float | None,
        agent: bool,
        trace: list[tuple[str, Rule, str]] | None,
    ) -> Event:
        self._start_afresh()
        self._now += DAY
        now = self._now if at is None else at - len(before)
        location = f"(example) 192.0.2.77->{place}".encode() if agent else place.encode("utf-8", "surrogateescape")
        seen: set[bytes] = set()
        for earlier, as_decoder in before:
            self._feed(earlier, as_decoder, location, now, seen, None)
            now += 1
        return self._feed(line, given, location, now, seen, trace)

    def _start_afresh(self) -> None:
        self.engine.start_afresh()
        stores = self.engine.stores
        stores.fts.clear()
        stores.ignored.clear()
        if isinstance(stores.diffs, MemoryDiffs):
            stores.diffs.clear()

    def _feed(
        self,
        line: bytes,
        given: str | None,
        location: bytes,
        now: float,
        seen: set[bytes],
        trace: list[tuple[str, Rule, str]] | None,
    ) -> Event:
        event = read_line(b"1", location, line, now)
        engine = self.engine
        if given is None:
            engine.decode(event)
            if self.geoip is not None:
                self.geoip.locate(event)
        else:
            event.hostname = location
            event.decoder = self._given.get(given) or Decoder(given, key=given, type="ossec")
            event.type = event.decoder.type
            event.first_seen = line not in seen
            seen.add(line)
        if trace is None:
            engine.judge(event)
        else:
            steps = trace
            engine.accumulate(event)
            engine.judge_traced(event, lambda step, rule, element: steps.append((step, rule, element)))
        return event


def _reason(engine: Engine, wanted: int, won: Rule | None, steps: list[tuple[str, Rule, str]]) -> str:
    """Why `won` decided and not the rule `wanted`."""
    if won is not None and won.id == wanted:
        return ""
    rule = engine.rules.by_id.get(wanted)
    if rule is None:
        return f"no rule {wanted} is loaded"
    outcome = {tried.id: (step, element) for step, tried, element in steps if step in ("fail", "match")}
    above: list[str] = []
    while rule.id not in outcome:  # up to where the event came
        parents = [other for other in engine.rules if rule in other.children]
        above.append(str(rule.id))
        if not parents:
            return f"rule {' under '.join(above)} was not tried, for that is the root of '{rule.category}' only"
        rule = next((other for other in parents if other.id in outcome), parents[0])
    text = f"rule {' under '.join([*above, str(rule.id)])} was not tried: " if above else ""
    step, element = outcome[rule.id]
    if step == "fail":
        asked = rule.wants(element)
        return f"{text}<{rule.written(element)}>{'' if asked is None else f' {asked}'} of rule {rule.id} does not hold"
    if won is None:
        return f"{text}rule {rule.id} matched, but alone it alerts of nothing (noalert)"
    return f"{text}rule {rule.id} matched, then rule {won.id}, which decided"
