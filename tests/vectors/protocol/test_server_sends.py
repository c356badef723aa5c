"""What a real server did with keep-alives and orders, done by our core (spec/protocol.md, sections 5 to 7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.crypto import counters
from ossec.crypto.channel import Channel, Method
from ossec.crypto.keys import parse
from ossec.messages import control
from ossec.remoted.core import Remoted
from ossec.remoted.shared import SharedFiles
from tests.unit.remoted.recorder import Recorder

HERE = Path(__file__).parent

# Where ours deliberately does not do as OSSEC; docs/differences.md has the reasons.
ORDERS = {
    "remote agent, path with space": "a blank in a location loses no response",
    "lower-case flags": "told as malformed, which OSSEC drops in silence",
    "no ')'": "the line shows the whole message",
    "no space after loc": "the line shows the whole message",
    "no id": "the line shows the whole message",
    "no msg": "the line shows the whole message",
    "specific not connected": "it waits for the agent, and says so",
}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


class Sender:
    """An agent's side."""

    def __init__(self, core: Remoted, identity: str, address: str, method: Method = Method.AES) -> None:
        key = core.agents.by_id[identity].key
        self.core = core
        self.channel = Channel(key, prefixed=not key.single_host)
        self.peer = (address, 40000)
        self.method = method
        self.counter = counters.START

    def send(self, text: bytes) -> None:
        self.counter = counters.following(self.counter)
        self.core.receive(self.channel.seal(text, self.counter, self.method), self.peer, 1000.0)


def test_keepalives_are_answered_recorded_and_judged_as_recorded() -> None:
    setup, *cases = rows("keepalives.jsonl")
    ports = Recorder()
    core = Remoted(ports, complaint_interval=0)
    core.load_keys(parse(setup["key_line"].encode()).keys, {})
    core.shared = SharedFiles((name, content.encode()) for name, content in setup["shared_dir"].items())
    assert core.shared.merge.digest == setup["merged_md5"]
    agent = Sender(core, "001", "10.9.0.11")
    for case in cases:
        ports.sent.clear()
        ports.log.clear()
        agent.send(case["keepalive"].encode("latin-1"))
        sent = [text.decode("latin-1") for _, text in ports.texts(core)]
        assert sent == case["replies"], case["keepalive"][:80]
        if "\n" in case["keepalive"]:  # OSSEC keeps what it had, or the text itself, where there is no line end
            assert ports.info["web01-10.9.0.11"].decode("latin-1") == case["agent_info"]
        if len(case["keepalive"]) < control.MAX_FILE_LIST:  # of a longer one OSSEC complains, ours takes what is there
            assert bool(ports.log) == bool(case["log"])


def test_orders_reach_the_agents_that_they_reached() -> None:
    setup, *cases = rows("ar_queue_to_datagrams.jsonl")
    ports = Recorder()
    core = Remoted(ports, complaint_interval=0)
    core.load_keys(parse(setup["client_keys"].encode()).keys, {})
    Sender(core, "001", "127.0.0.1").send(control.STARTUP)
    Sender(core, "002", "10.9.0.12").send(control.STARTUP)
    Sender(core, "003", "10.9.0.13", Method.BLOWFISH).send(control.STARTUP)
    differ = {}
    for case in cases:
        ports.sent.clear()
        ports.log.clear()
        core.order(case["queue_msg"].encode("latin-1") + b"\0", 1001.0)
        sent = [(agent, text.decode("latin-1")) for agent, text in ports.texts(core)]
        wanted = [(row["agent"], row["plaintext"]) for row in case["sent"]]
        log = [line.removeprefix("WARN: ") for line in ports.log]
        if sent != wanted or log != case["remoted_log"]:
            differ[case["case"]] = (sent, wanted, ports.log, case["remoted_log"])
    assert set(differ) == set(ORDERS), {name: differ.get(name) for name in set(differ) ^ set(ORDERS)}


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_cut_order_is_refused_or_goes_to_nobody(cut: int) -> None:
    setup, *_ = rows("ar_queue_to_datagrams.jsonl")
    ports = Recorder()
    core = Remoted(ports)
    core.load_keys(parse(setup["client_keys"].encode()).keys, {})
    core.order(b"(msg_to_agent) [] NNS 002 firewall-drop600 - 192.0.2.1 a b"[:cut], 1.0)
    assert ports.sent == []
