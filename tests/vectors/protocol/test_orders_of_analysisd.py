"""What a real analysisd wrote to `queue/alerts/ar` and execq for each location, written and read by ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ossec.analysisd.event import Event
from ossec.analysisd.responses import AllowList, Responder, Response
from ossec.analysisd.rules import Rule
from ossec.messages import execq, queue

ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "ar_queue_from_analysisd.jsonl").read_text(encoding="utf-8").splitlines()
]
LOCATIONS = {"local": "on_local", "all": "on_all", "defined-agent": "on_defined", "server": "on_server"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['location']}-{row['event_queue_msg'][2:8]}")
def test_an_order_is_what_a_real_analysisd_sent(row: dict[str, Any]) -> None:
    response = Response(
        b"fwd600",
        wants_srcip=True,
        agent_id=b"002" if row["location"] == "defined-agent" else None,
        level=5,
        **{LOCATIONS[row["location"]]: True},  # type: ignore[arg-type]
    )
    message = queue.decode(row["event_queue_msg"].encode())
    event = Event(message.queue, message.location, message.log, 0.0)
    event.rule = Rule(id=5716, level=5, group="x,")
    address = re.search(rb"from (\S+) port", message.log)
    assert address is not None
    event.srcip = address[1]
    recorded = row["ar_queue"] + row["exec_queue"]
    alert = re.search(r" (\d+\.\d+) 5716 ", recorded[0])
    assert alert is not None
    found = Responder(AllowList()).decide(event, [response], alert[1].encode())
    assert [one.datagram for one in found if not one.to_execd] == [text.encode() + b"\0" for text in row["ar_queue"]]
    assert [one.datagram for one in found if one.to_execd] == [text.encode() + b"\0" for text in row["exec_queue"]]
    for one in found:
        if not one.to_execd:
            order = execq.decode_order(one.datagram)
            assert (order.to_origin, order.to_all, order.to_agent) == (
                row["location"] == "local",
                row["location"] == "all",
                row["location"] == "defined-agent",
            )
            assert execq.encode_order(order) == one.datagram


def test_all_rows_are_taken() -> None:
    assert len(ROWS) == 8
