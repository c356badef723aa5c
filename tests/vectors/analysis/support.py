"""Making an engine out of a recorded case: files of a home, loaded as the daemon would."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ossec.analysisd import cdb
from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.decoders import Captured
from ossec.analysisd.diagnostics import LoadError, Report
from ossec.analysisd.engine import Engine, EngineOptions, Verdict
from ossec.analysisd.event import Event
from ossec.analysisd.lists import FileLists
from ossec.analysisd.predecode import read_line
from ossec.analysisd.rule_loader import LoadOptions, load_rules
from ossec.analysisd.stores import Stores
from ossec.layout import Layout

HERE = Path(__file__).parent


def text(value: bytes | None) -> str | None:
    """A value as the recordings hold it."""
    return None if value is None else value.decode("utf-8", "surrogateescape")


def raw(value: str) -> bytes:
    """The bytes of a recorded text."""
    return value.encode("utf-8", "surrogateescape")


@dataclass
class Loaded:
    """What loading a case gave: an engine, or an error."""

    report: Report
    engine: Engine | None = None
    error: LoadError | None = None
    results: list[tuple[Event, Captured, Verdict]] = field(default_factory=list)


def write_home(case: dict[str, Any], layout: Layout) -> None:
    """Decoders, rules and compiled lists of a case."""
    for folder in (layout.decoder_xml.parent, layout.rules_dir, layout.home / "lists"):
        folder.mkdir(parents=True, exist_ok=True)
    layout.decoder_xml.write_bytes(raw(case["decoder.xml"]))
    if case.get("local_decoder.xml"):
        layout.local_decoder_xml.write_bytes(raw(case["local_decoder.xml"]))
    for name, content in case["rules"].items():
        (layout.rules_dir / name).write_bytes(raw(content))
    for name, content in (case.get("lists") or {}).items():
        path = layout.home / "lists" / name
        path.write_bytes(raw(content))
        if case["name"] != "list-uncompiled":
            path.with_name(name + ".cdb").write_bytes(cdb.encode(cdb.parse_text(raw(content))))


def load(case: dict[str, Any], home: Path, *, compat: bool) -> Loaded:
    """Load a case in an empty directory."""
    layout = Layout(home)
    write_home(case, layout)
    internal = case.get("internal_options") or {}
    sources = [Source(layout.decoder_xml, "/etc/decoder.xml")]
    if layout.local_decoder_xml.exists():
        sources.append(Source(layout.local_decoder_xml, "/etc/local_decoder.xml"))
    lists = frozenset(f"lists/{name}" for name in case.get("lists") or {})
    levels = {"log_alert_level": 5, "email_alert_level": 9} if case["name"] == "options-log-level" else {}
    sid_max = int(internal.get("analysisd.sid_prev_matched_max", 128))
    loaded = Loaded(Report("ossec-testrule"))
    try:
        decoders = load_decoders(sources, loaded.report, int(internal.get("analysisd.decoder_order_size", 256)))
        rules = load_rules(
            [Source(layout.rules_dir / name, name) for name in case["rules"]],
            loaded.report,
            decoders.keys(),
            LoadOptions(lists=lists, sid_prev_matched_max=sid_max, compat=compat, **levels),
        )
    except LoadError as error:
        loaded.error = error
        return loaded
    options = EngineOptions(own_name=b"ossecsrv", compat=compat, sid_prev_matched_max=sid_max)
    loaded.engine = Engine(decoders, rules, options, Stores(lists=FileLists(layout, lists, compat)))
    return loaded


def run(case: dict[str, Any], home: Path, *, compat: bool) -> Loaded:
    """Load a case and feed its events."""
    loaded = load(case, home, compat=compat)
    if loaded.engine is not None:
        for recorded in case["events"]:
            event = read_line(b"1", b"stdin", raw(recorded["input"]), float(recorded["time"]))
            captured: Captured = []
            loaded.engine.decode(event, captured)
            loaded.results.append((event, captured, loaded.engine.judge(event)))
    return loaded


def shown(event: Event, captured: Captured, verdict: Verdict) -> dict[str, Any]:
    """An event as the recordings show it."""
    rule = event.rule
    return {
        "hostname": text(event.hostname),
        "program_name": text(event.program_name),
        "log": text(event.log),
        "decoder": event.decoder.name if event.decoder else None,
        "fields": [[label, text(value)] for label, value in captured],
        "rule": rule.id if rule else None,
        "level": rule.level if rule else None,
        "description": (rule.description or "(null)") if rule else None,
        "alert": verdict is Verdict.ALERT and rule is not None and rule.log,
    }


def cases() -> list[dict[str, Any]]:
    """The recorded cases of ossec-logtest."""
    return [json.loads(line) for line in (HERE / "logtest.jsonl").read_text().splitlines()]
