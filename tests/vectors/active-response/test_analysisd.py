"""What a real analysisd sent to execq and ar for 33 configurations, against ours.

Deliberate differences, by name: configurations for agents only work here, and `disabled` is for its own block.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ossec.analysisd import responses
from ossec.analysisd.event import Event
from ossec.analysisd.responses import AllowList, Responder
from ossec.analysisd.rules import Rule
from ossec.config import load
from ossec.layout import Layout

CASES = [json.loads(line) for line in (Path(__file__).parent / "analysisd.jsonl").read_text().splitlines()]
_ARX = re.compile(r"ARX user=(\S*) ip=(\S*) file=(.*) KEY")
_ARY = re.compile(r"ARY src=(\S*) dst=(\S*) ip=(\S*) KEY")
_IP = "1.2.3.4"

# what ours sends where OSSEC stays silent: per event (execq, ar)
DIFFERENT: dict[str, list[tuple[list[str], list[str]]]] = {
    "all-only": [
        ([], [f"(local_source) /var/log/ar.log ANN (null) fw0 - {_IP} TIME.ALERTID 100110 /var/log/ar.log (null)"]),
        (
            [],
            [
                (
                    f"(agent1) 10.0.0.1->/var/log/ar.log ANN (null) fw0 - {_IP} TIME.ALERTID 100110 "
                    "(agent1) 10.0.0.1->/var/log/ar.log (null)"
                )
            ],
        ),
    ],
    "defined-agent-only": [
        ([], [f"(local_source) /var/log/ar.log NNS 003 fw0 - {_IP} TIME.ALERTID 100110 /var/log/ar.log (null)"]),
        (
            [],
            [
                (
                    f"(agent1) 10.0.0.1->/var/log/ar.log NNS 003 fw0 - {_IP} TIME.ALERTID 100110 "
                    "(agent1) 10.0.0.1->/var/log/ar.log (null)"
                )
            ],
        ),
    ],
    "disabled-after-enabled": [
        ([f"fw60 - {_IP} TIME.ALERTID 100110 /var/log/ar.log -"], []),
        (
            [],
            [
                (
                    f"(agent1) 10.0.0.1->/var/log/ar.log NRN (null) fw60 - {_IP} TIME.ALERTID 100110 "
                    "(agent1) 10.0.0.1->/var/log/ar.log (null)"
                )
            ],
        ),
    ],
    "disabled-between": [
        ([], [f"(local_source) /var/log/ar.log ANN (null) fw0 - {_IP} TIME.ALERTID 100105 /var/log/ar.log (null)"]),
        (
            [f"fw0 - {_IP} TIME.ALERTID 100110 (agent1) 10.0.0.1->/var/log/ar.log -"],
            [
                (
                    f"(agent1) 10.0.0.1->/var/log/ar.log ANN (null) fw0 - {_IP} TIME.ALERTID 100110 "
                    "(agent1) 10.0.0.1->/var/log/ar.log (null)"
                )
            ],
        ),
    ],
}


def make_rules() -> dict[str, Rule]:
    """The rules of the recording, by the key in the log."""
    group = "artest,base,"
    return {
        "3": Rule(id=100103, level=3, group=group),
        "5": Rule(id=100105, level=5, group=group + "attack,web-scan,"),
        "10": Rule(id=100110, level=10, group=group),
        "0": Rule(id=100120, level=0, group=group),
        "NOAR": Rule(id=100111, level=10, group=group, no_ar=True),
        "NOLOG": Rule(id=100112, level=10, group=group, log=False),
    }


def decode(record: dict[str, Any], rules: dict[str, Rule]) -> Event:
    """What the decoders and rules of the recording make of a log."""
    text = record["log"]
    event = Event(b"1", record["location"].encode(), text.encode(), 1700000000)
    first, second = _ARX.match(text), _ARY.match(text)
    if first is not None:
        event.dstuser, event.srcip, event.filename = (value.encode() for value in first.groups())
    elif second is not None:
        event.srcuser, event.dstuser, event.srcip = (value.encode() for value in second.groups())
    key = re.search(r"KEY(\w+)", text)
    assert key is not None
    event.rule = rules[key[1]]
    return event


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_responses_are_what_analysisd_sent(
    case: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout = Layout(tmp_path)
    layout.ossec_conf.parent.mkdir()
    layout.ossec_conf.write_text(f"<ossec_config>\n{case['ossec_conf_active_response']}\n</ossec_config>\n")
    configuration = load(layout)
    rules = make_rules()
    responses.bind(rules.values(), responses.from_configuration(configuration.responses))
    allow = AllowList(configuration.global_.allow_addresses, configuration.global_.allow_hostnames)
    responder = Responder(allow)
    sent: list[tuple[list[str], list[str]]] = []
    caplog.clear()
    for record in case["events"]:
        event = decode(record, rules)
        assert event.rule is not None
        found = responder.decide(event, event.rule.responses, b"TIME.ALERTID")
        assert all(one.datagram.endswith(b"\0") for one in found)
        sent.append(
            (
                [one.datagram[:-1].decode() for one in found if one.to_execd],
                [one.datagram[:-1].decode() for one in found if not one.to_execd],
            )
        )
    recorded = [(record["execq"], record["ar"]) for record in case["events"]]
    assert sent == DIFFERENT.get(case["name"], recorded)
    warned = [line.split(": WARN: ", 1)[1] for line in case["log"] if ": WARN: " in line]
    assert [record.getMessage() for record in caplog.records] == warned
    listed = [line.split(": INFO: ", 1)[1] for line in case["log"] if "allow list" in line or "Allow listing" in line]
    if listed:
        assert allow.describe() == listed


def test_the_differences_are_real() -> None:
    recorded = {case["name"]: [(record["execq"], record["ar"]) for record in case["events"]] for case in CASES}
    assert all(recorded[name] != ours for name, ours in DIFFERENT.items())
