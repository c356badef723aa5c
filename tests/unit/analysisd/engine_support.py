"""A small engine from rules given as text."""

from __future__ import annotations

from pathlib import Path

from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.engine import Engine, EngineOptions, Verdict
from ossec.analysisd.event import Event
from ossec.analysisd.rule_loader import LoadOptions, load_rules
from ossec.analysisd.stores import Stores

DECODERS = r"""
<decoder name="app"><program_name>^app</program_name></decoder>
<decoder name="app-login"><parent>app</parent><prematch>^login </prematch>
<regex offset="after_prematch">^(\S+) from (\S+)</regex><order>user,srcip</order><fts>name,user,srcip</fts></decoder>
<decoder name="plain"><prematch>^PLAIN </prematch></decoder>
"""
ROOT = (
    '<group name="syslog,"><rule id="1" level="0" noalert="1"><category>syslog</category>'
    "<description>root</description></rule></group>"
)


def make_engine(
    folder: Path,
    rules: str,
    decoders: str = DECODERS,
    *,
    report: Report | None = None,
    options: EngineOptions | None = None,
    stores: Stores | None = None,
) -> Engine:
    """An engine with the decoders above and `rules` in a group `t,` below a root of type syslog."""
    report = report or Report()
    (folder / "decoder.xml").write_text(decoders)
    (folder / "rules.xml").write_text(f'{ROOT}\n<group name="t,">\n{rules}\n</group>\n')
    loaded = load_decoders([Source(folder / "decoder.xml", "/etc/decoder.xml")], report)
    tree = load_rules([Source(folder / "rules.xml", "rules.xml")], report, loaded.keys(), LoadOptions())
    return Engine(loaded, tree, options or EngineOptions(own_name=b"me"), stores)


def feed(engine: Engine, log: str, time: float = 0.0, location: bytes = b"/var/log/app") -> tuple[int | None, Verdict]:
    """Judge one line of the program app; its rule and verdict."""
    event = make_event(log, time, location)
    verdict = engine.process(event)
    return (event.rule.id if event.rule else None), verdict


def make_event(log: str, time: float = 0.0, location: bytes = b"/var/log/app") -> Event:
    return Event(b"1", location, f"Nov 14 22:13:20 h1 app[7]: {log}".encode(), 1_700_000_000 + time)
