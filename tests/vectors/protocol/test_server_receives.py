"""Datagrams thrown at a real server, valid and hostile, thrown at our core (spec/protocol.md, sections 2 to 4).

The rows are read from beside the checkout; `replies` of shared files are compared elsewhere (they hold OSSEC's files).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.crypto.channel import Channel
from ossec.crypto.keys import parse
from ossec.messages import control
from ossec.remoted.core import Remoted
from tests.unit.remoted.recorder import Recorder

RECORDED = Path(__file__).resolve().parents[3].parent / "shared/vectors/protocol/server_crafted_datagrams.jsonl"

# Rows where ours deliberately does not do as OSSEC; the reason stands in docs/differences.md.
STALE = {"stale_colon_from_B", "stale_colon_from_B_again", "stale_dyn"}  # never reads past the received bytes
LEGACY = "old_format_"  # any rejection


def load() -> tuple[str, list[dict[str, Any]]]:
    if not RECORDED.exists():
        return "", []
    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    return rows[0]["client_keys"], rows[1:]


@pytest.mark.upstream
@pytest.mark.skipif(not RECORDED.exists(), reason=f"needs {RECORDED.name} beside the checkout")
@pytest.mark.parametrize("series", ["main", "stale_buffer"])
def test_a_real_servers_decisions(series: str) -> None:
    client_keys, rows = load()
    ports = Recorder()
    core = Remoted(ports, complaint_interval=0)
    core.load_keys(parse(client_keys.encode()).keys, {})
    differ = []
    for row in (row for row in rows if row["series"] == series):
        ports.events.clear()
        ports.sent.clear()
        ports.log.clear()
        core.receive(bytes.fromhex(row["datagram"])[:6144], (row["src_ip"], 40000), 1000.0)
        events = [event.decode("latin-1") for event in ports.events]
        acks = [
            Channel(core.agents.by_id[row["agent"]].key).open(datagram).text == control.ACK
            for datagram, _ in ports.sent[:1]
        ]
        wanted_log = [line for line in row["log"] if "(uname)" not in line]
        log = [line for line in ports.log if "(uname)" not in line and "--reset-counter" not in line]
        same = (events, acks, log) == (row["to_analysisd"], [True] * bool(row["replies"]), wanted_log)
        if row["case"] in STALE or row["case"].startswith(LEGACY):
            assert not events
            assert ports.log
        elif row["case"] == "B_event_low_counter":
            assert events  # refused by OSSEC only because the stale row above moved its counter
        elif not same:
            differ.append((row["case"], events, acks, ports.log, row["log"]))
    assert not differ
