"""A server and three agents with real addresses: enrolled, heard, ordered about, cut off, killed."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossec.crypto.keys import AgentKey
from tests.integration.fleet import STRANGER, Fleet, Host, missing_tools, wait_for_agents
from tests.integration.suite import section
from tests.support import wait_until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces and the firewall"),
    pytest.mark.skipif(bool(missing_tools()), reason=f"needs {', '.join(missing_tools())}"),
]

PORT = 8080
OUTAGE = 15.0  # seconds: longer than the agent's three probes, so that it passes into looking for its server
COUNTED = """\
<group name="fleet,">
  <rule id="100900" level="3">
    <match>fleet event </match>
    <description>An event that a test counts.</description>
  </rule>
</group>
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    try:
        fleet.open()
        fleet.install()
        server = fleet.server.suite
        (server.layout.rules_dir / "local_rules.xml").write_text(COUNTED)
        server.append(
            section("command", name="drop", executable="firewall-drop.sh", expect="srcip", timeout_allowed="yes"),
            section("active-response", command="drop", location="local", level=15, timeout=5),
        )
        enrol(fleet)
        server.start()
        for agent in fleet.agents:
            agent.suite.start()
        wait_for_agents(server, [agent.name for agent in fleet.agents])
        yield fleet
    finally:
        fleet.close()


def enrol(fleet: Fleet) -> None:
    """By hand: a key on both sides."""
    keys = [
        AgentKey.parse(f"{number:03} {agent.name} {agent.address} {number:064x}")
        for number, agent in enumerate(fleet.agents, 1)
    ]
    fleet.server.suite.layout.client_keys.write_text("".join(key.format() + "\n" for key in keys))
    for agent, key in zip(fleet.agents, keys, strict=True):
        agent.suite.layout.client_keys.write_text(key.format() + "\n")


def log(host: Host, numbers: range) -> None:
    host.suite.write(*(f"fleet event {host.name} {number}" for number in numbers), program="app")


def arrived(fleet: Fleet, host: Host) -> list[int]:
    """The numbers of this host's events in the server's alerts, in order of arrival."""
    pattern = re.compile(rf"fleet event {host.name} (\d+)")
    logs = (alert["full_log"] for alert in fleet.server.suite.alerts(100900))
    return [int(match[1]) for text in logs if (match := pattern.search(text))]


def test_events_carry_the_agents_name_and_an_order_reaches_one_agent(fleet: Fleet) -> None:
    for agent in fleet.agents:
        log(agent, range(3))
        wait_until(lambda agent=agent: arrived(fleet, agent) == [0, 1, 2], f"the events of {agent.name}")
    alert = next(a for a in fleet.server.suite.alerts(100900) if " a2 " in a["full_log"])
    second = fleet.agents[1]
    assert alert["location"] == f"(a2) {second.address}->{second.suite.log}"

    for agent in fleet.agents:
        agent.listen(PORT)
        wait_until(lambda agent=agent: fleet.stranger.reaches(agent.address, PORT), f"{agent.name} to be reached")
    order = f"(msg_to_agent) [] NNS 002 drop5 - {STRANGER} (from_the_server) (no_rule_id)"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as tool:
        tool.sendto(order.encode(), str(fleet.server.suite.layout.ar_queue))
    wait_until(lambda: not fleet.stranger.reaches(second.address, PORT), "the drop on the second agent")
    assert fleet.stranger.reaches(fleet.agents[0].address, PORT, 5)
    wait_until(lambda: fleet.stranger.reaches(second.address, PORT), "the release")


def test_a_changed_agent_conf_reaches_all_agents(fleet: Fleet) -> None:
    text = "<agent_config>\n<!-- new -->\n</agent_config>\n"
    (fleet.server.suite.layout.shared_dir / "agent.conf").write_text(text)
    for agent in fleet.agents:
        path = agent.suite.layout.agent_conf
        wait_until(lambda path=path: path.is_file() and path.read_text() == text, f"agent.conf on {agent.name}", 40)


@pytest.mark.parametrize("silently", [False, True], ids=["cable-pulled", "packets-swallowed"])
def test_nothing_is_missing_after_an_outage_under_load(fleet: Fleet, silently: bool) -> None:
    agent = fleet.agents[0]
    number = 0
    pace = threading.Event()  # never set: what keeps the load at 400 events/s
    cut = agent.swallow if silently else lambda on: agent.link("down" if on else "up")

    def load(seconds: float) -> None:
        nonlocal number
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            log(agent, range(number, number + 20))
            number += 20
            pace.wait(0.05)

    load(1.0)
    cut(True)
    load(OUTAGE)
    cut(False)
    load(1.0)
    wait_until(lambda: len(set(arrived(fleet, agent))) == number, "all events", 90)
    doubled = len(arrived(fleet, agent)) - number
    assert doubled <= 1000, f"{doubled} of {number} arrived twice"


def test_every_daemon_may_die(fleet: Fleet) -> None:
    agent, server = fleet.agents[0], fleet.server.suite
    number = 0
    for suite, name in (
        (agent.suite, "ossec-logcollector"),
        (agent.suite, "ossec-agentd"),
        (server, "ossec-remoted"),
        (server, "ossec-analysisd"),
        (agent.suite, "ossec-execd"),
    ):
        log(agent, range(number, number + 20))
        suite.kill(name)
        log(agent, range(number + 20, number + 40))
        number += 40
        suite.start()
        wait_for_all(fleet, agent, number, name)


def wait_for_all(fleet: Fleet, agent: Host, number: int, victim: str) -> None:
    """Until all events of this agent have arrived; says which did not."""

    def complete() -> bool:
        return len(set(arrived(fleet, agent))) == number

    try:
        wait_until(complete, patience=60)
    except pytest.fail.Exception:
        missing = sorted(set(range(number)) - set(arrived(fleet, agent)))
        pytest.fail(f"after the death of {victim}, {len(missing)} of {number} are missing: {missing[:50]}")
