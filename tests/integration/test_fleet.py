"""A server and three agents with real addresses: enrolled, heard, ordered about, cut off, killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.fleet import (
    MAX_DOUBLED,
    STRANGER,
    Fleet,
    Host,
    arrived,
    identity,
    log,
    missing_tools,
)
from tests.support import wait_until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces and the firewall"),
    pytest.mark.skipif(bool(missing_tools()), reason=f"needs {', '.join(missing_tools())}"),
]

PORT = 8080
OUTAGE = 15.0  # seconds: longer than the agent's three probes, so that it passes into looking for its server


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.close()


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
    wait_until(second.suite.layout.ar_conf.is_file, "ar.conf on the agent")
    done = fleet.server.suite.python(
        *("-m", "ossec.cli.agent_control", "-D", str(fleet.server.suite.layout.home)),
        *("-b", STRANGER, "-f", "firewall-drop5", "-u", identity(second)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
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
    written, doubled = fleet.sit_out(silently, OUTAGE)
    assert doubled <= MAX_DOUBLED, f"{doubled} of {written} arrived twice"


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
