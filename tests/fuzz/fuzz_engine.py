"""Any bytes as a log, as rules, as decoders, as a CDB file: judged, read, or refused with the documented error."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from ossec.analysisd import cdb
from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.diagnostics import LoadError, Report
from ossec.analysisd.engine import Engine
from ossec.analysisd.event import Event
from ossec.analysisd.predecode import clean
from ossec.analysisd.rule_loader import load_rules
from ossec.analysisd.ruletests import BadRuleTest, read

DECODERS = rb"""<decoder name="app"><program_name>^a</program_name></decoder>
<decoder name="kv"><parent>app</parent><regex>(\w+)=(\S*)</regex><order>user,x</order></decoder>
<decoder name="json"><prematch>^{</prematch><plugin_decoder>JSON_Decoder</plugin_decoder></decoder>
<decoder name="pf"><prematch>rule</prematch><plugin_decoder>PF_Decoder</plugin_decoder></decoder>
<decoder name="sonic"><prematch>id=</prematch><plugin_decoder>SonicWall_Decoder</plugin_decoder></decoder>
"""
RULES = rb"""<group name="t,"><rule id="1" level="1"><category>syslog</category></rule>
<rule id="20" level="2"><match>a|error</match></rule><rule id="21" level="3"><field name="x">\d</field></rule>
<rule id="22" level="4" frequency="2"><if_matched_sid>20</if_matched_sid><same_user /></rule></group>
"""


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-analysis-"))


def source(name: str, data: bytes) -> Source:
    path = folder() / name
    path.write_bytes(data)
    return Source(path, name)


@cache
def engine() -> Engine:
    decoders = load_decoders([source("good-decoder.xml", DECODERS)], Report())
    return Engine(decoders, load_rules([source("good-rules.xml", RULES)], Report(), decoders.keys()))


def fuzz_judge(data: bytes) -> None:
    """Any line is judged."""
    for line in data.split(b"\n"):
        engine().process(Event(b"1", b"x", clean(line), 0.0))


def fuzz_rules(data: bytes) -> None:
    """Any file of rules is read, or refused with `LoadError`."""
    with suppress(LoadError):
        load_rules([source("rules.xml", data)], Report(), {"app"})


def fuzz_decoders(data: bytes) -> None:
    """Any file of decoders is read, or refused with `LoadError`."""
    with suppress(LoadError):
        load_decoders([source("decoder.xml", data)], Report())


def fuzz_cdb(data: bytes) -> None:
    """Any bytes are a list, or refused with `BadList`."""
    with suppress(cdb.BadList):
        cdb.decode(data)
    cdb.parse_text(data)


def fuzz_ruletests(data: bytes) -> None:
    """Any bytes are examples of what rules must say, or refused with `BadRuleTest`."""
    place = folder() / "examples"
    place.mkdir(exist_ok=True)
    for name in ("x.ini", "events.log", "expect.json"):
        (place / name).write_bytes(data)
    for path in (place / "x.ini", place):
        with suppress(BadRuleTest):
            read(path, [])
