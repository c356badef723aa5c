"""Alerts as JSON lines."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ossec.messages import alert_json
from ossec.messages.alert_json import RuleText
from tests.fuzz.fuzz_alert_json import fuzz_alert_json


def test_the_rule_object_is_ossecs_to_the_byte() -> None:
    rule = RuleText(5, 'de"sc', 100201, "2020-1", "inf", 0, "t,one,other,")
    assert rule.format(1) == (
        '{"level":5,"comment":"de\\"sc","sidid":100201,"cve":"2020-1","info":"inf","firedtimes":1,'
        '"group":"t,one,other,","groups":["t","one","other"]}'
    )
    assert '"firedtimes"' not in rule.format(0)


def test_compliance_groups_keep_their_whole_value() -> None:
    rule = json.loads(RuleText(3, "d", 1, None, None, 6, "a,pci_dss_10.2.4,cis_1.1,b").format(2))
    assert rule["groups"] == ["a", "b"]
    assert (rule["PCI_DSS"], rule["CIS"], rule["frequency"]) == (["10.2.4"], ["1.1"], 6)


def test_the_rule_stands_where_it_is_asked_for() -> None:
    line = alert_json.format_line({"log": "x", "full_log": "y"}, '{"level":1}', "log")
    assert line == b'{"log":"x","rule":{"level":1},"full_log":"y"}\n'


def test_invalid_bytes_become_replacement_characters() -> None:
    assert alert_json.text(b"a\xff\xc3\xa9") == "a\ufffd\u00e9"
    assert alert_json.text("a\udcff") == "a\ufffd"


@given(st.dictionaries(st.text(), st.binary(max_size=50), min_size=1, max_size=5))
def test_every_line_is_valid_json_in_utf8(values: dict[str, bytes]) -> None:
    fields = {alert_json.text(key.encode("utf-8", "replace")): alert_json.text(value) for key, value in values.items()}
    line = alert_json.format_line(fields, RuleText(1, "d", 2, None, None, 0, "g,").format(1))
    line.decode("utf-8")
    assert line.count(b"\n") == 1
    read = alert_json.parse(line)
    read_rule = read.pop("rule") if "rule" not in fields else None
    assert read == fields or read_rule is None


@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_object_or_the_documented_error(data: bytes) -> None:
    fuzz_alert_json(data)
