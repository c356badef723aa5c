"""Patterns that probably mean something else are told when rules and decoders are loaded."""

from __future__ import annotations

from pathlib import Path

from ossec.analysisd.diagnostics import Report
from tests.unit.analysisd.engine_support import DECODERS, make_engine

RULES = r"""<rule id="100" level="3"><decoded_as>app</decoded_as>
<match>id=\d+</match>
<description>x</description></rule>
<rule id="101" level="3"><if_sid>100</if_sid><field name="a">[0-9]+ x</field>
<program_name>!cron</program_name></rule>"""


def test_what_looks_wrong_is_told_by_file_line_rule_and_element(tmp_path: Path) -> None:
    report = Report()
    decoders = (
        DECODERS + "<decoder name='odd'><parent>app</parent>\n<regex>(\\d{3}) end</regex><order>id</order></decoder>"
    )
    make_engine(tmp_path, RULES, decoders, report=report)
    told = [str(note).partition(" here")[0].removeprefix(f"{tmp_path}/") for note in report.notes]
    assert told == [
        r"decoder.xml:7: decoder 'odd': <regex>, character 2: \d{3} is not a count",
        r"rules.xml:4: rule 100: <match>, character 4: \d+ is text",
        "rules.xml:6: rule 101: <field>, character 1: [0-9 is no class",
        "rules.xml:7: rule 101: <program_name>, character 1: a leading ! is text",
    ]
    assert report.lines == []
    assert not report.failed
