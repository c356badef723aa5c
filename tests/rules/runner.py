"""Runs example folders on the engine: a line goes in, what a rule author can see comes out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.decoders import Decoder
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.engine import Engine, EngineOptions
from ossec.analysisd.event import Event
from ossec.analysisd.predecode import clean
from ossec.analysisd.rule_loader import load_rules

ETC = Path(__file__).resolve().parents[2] / "etc"
EXAMPLES = Path(__file__).resolve().parent
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
class Example:
    """One line of events.log with its entry of expect.json."""

    family: str
    number: int  # from 1, as an editor counts
    line: bytes
    expected: dict[str, Any] | None
    before: tuple[tuple[bytes, str | None], ...] = ()  # (line, given)

    @property
    def given(self) -> str | None:
        return None if self.expected is None else self.expected.get("given")

    @property
    def place(self) -> str:
        return "/var/log/syslog" if self.expected is None else self.expected.get("place", "/var/log/syslog")

    def __str__(self) -> str:
        return f"{self.family}/events.log:{self.number}"


def rule_files(etc: Path = ETC) -> list[str]:
    """The rule files of etc/rules.list, in order."""
    return (etc / "rules.list").read_text(encoding="utf-8").split()


def load_engine(etc: Path = ETC) -> tuple[Engine, Report]:
    """An engine with our own decoders and rules, and what loading had to say."""
    report = Report()
    decoders = load_decoders([Source(etc / "decoder.xml", "etc/decoder.xml")], report)
    sources = [Source(etc / "rules" / name, f"rules/{name}") for name in rule_files(etc)]
    rules = load_rules(sources, report, decoders.keys())
    return Engine(decoders, rules, EngineOptions(own_name=b"bastion")), report


def read_family(folder: Path) -> list[Example]:
    """The examples of one folder."""
    lines = (folder / "events.log").read_bytes().split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    entries: list[dict[str, Any] | None] = json.loads((folder / "expect.json").read_text(encoding="utf-8"))
    assert len(lines) == len(entries), f"{folder.name}: {len(lines)} lines, {len(entries)} entries"
    examples = []
    for number, (line, entry) in enumerate(zip(lines, entries, strict=True), 1):
        before: list[tuple[bytes, str | None]] = []
        for which, times in (entry or {}).get("before", []):
            earlier = entries[which - 1] or {}
            before += [(lines[which - 1], earlier.get("given"))] * times
        examples.append(Example(folder.name, number, line, entry, tuple(before)))
    return examples


def families() -> list[Path]:
    """All folders with examples."""
    return sorted(path.parent for path in EXAMPLES.glob("*/events.log"))


class Runner:
    """One engine for all examples.

    Each example has its own agent and its own day, so that nothing that an earlier one left behind (first-seen tuples,
    windows, silences, kept command output) can reach it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._now = 1_000_000.0
        self._count = 0
        names = engine.decoders.keys()
        self._given = {name: Decoder(name, key=name, type="ossec") for name in names}

    def judge(
        self,
        line: bytes,
        *,
        before: tuple[tuple[bytes, str | None], ...] = (),
        given: str | None = None,
        place: str = "/var/log/syslog",
    ) -> Judgement:
        """What becomes of a line when `before` came first."""
        self._now += DAY
        self._count += 1
        location = f"(example{self._count}) 192.0.2.77->{place}".encode()
        seen: set[bytes] = set()
        for earlier, as_decoder in before:
            self._feed(earlier, as_decoder, location, seen)
            self._now += 1
        return self._feed(line, given, location, seen)

    def run(self, example: Example) -> Judgement:
        """What becomes of an example."""
        return self.judge(example.line, before=example.before, given=example.given, place=example.place)

    def _feed(self, line: bytes, given: str | None, location: bytes, seen: set[bytes]) -> Judgement:
        event = Event(b"1", location, clean(line), self._now)
        if given is None:
            self.engine.process(event)
        else:
            event.hostname = location
            event.decoder = self._given[given]
            event.type = event.decoder.type
            event.first_seen = line not in seen
            seen.add(line)
            self.engine.judge(event)
        rule = event.rule
        fields = {}
        for name, attribute in FIELDS.items():
            value = getattr(event, attribute)
            if value is not None:
                fields[name] = value.decode("utf-8", "surrogateescape")
        decoder = None
        if event.decoder is not None:
            decoder = given if given is not None else event.decoder.name
        if rule is None:
            return Judgement(None, None, decoder, fields)
        return Judgement(rule.id, rule.level, decoder, fields, rule.groups)
