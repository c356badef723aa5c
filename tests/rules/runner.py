"""The examples of this folder on our own decoders and rules, by the same code as ossec-ruletest."""

from __future__ import annotations

from pathlib import Path

from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.engine import Engine, EngineOptions
from ossec.analysisd.rehearsal import DAY, Judgement
from ossec.analysisd.rehearsal import Rehearsal as Runner
from ossec.analysisd.rule_loader import load_rules
from ossec.analysisd.ruletests import Example
from ossec.analysisd.ruletests import read_folder as read_family

__all__ = ["DAY", "ETC", "EXAMPLES", "Example", "Judgement", "Runner", "families", "load_engine", "read_family",
           "rule_files"]  # fmt: skip

ETC = Path(__file__).resolve().parents[2] / "etc"
EXAMPLES = Path(__file__).resolve().parent


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


def families() -> list[Path]:
    """All folders with examples."""
    return sorted(path.parent for path in EXAMPLES.glob("*/events.log"))
