"""A hybrid home for real: a server that alerts, and below it the agent that tells a server above."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.fleet import COUNTED, SERVER, Fleet, enrol, missing_tools, wait_for_agents
from tests.integration.suite import FAILED_LOGIN, Suite
from tests.support import wait_until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces"),
    pytest.mark.skipif(bool(missing_tools()), reason=f"needs {', '.join(missing_tools())}"),
]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A server above, and a host whose agent home is that of a hybrid one."""
    fleet = Fleet(tmp_path, agents=1)
    host = fleet.agents[0]
    try:
        fleet.open()
        fleet.server.suite.install("--type", "server", "--no-firewall-response")
        (fleet.server.suite.layout.rules_dir / "local_rules.xml").write_text(COUNTED)
        host.suite.install("--type", "hybrid", "--server-ip", SERVER, "--no-firewall-response")
        yield fleet
    finally:
        Suite(host.suite.layout.sub_agent_home).end()
        fleet.close()


def test_a_hybrid_home_alerts_itself_and_tells_the_server_above(fleet: Fleet) -> None:
    above, host = fleet.server.suite, fleet.agents[0]
    hybrid = host.suite
    below = Suite(hybrid.layout.sub_agent_home, prefix=hybrid.prefix)
    host.suite = below  # whose key it is
    enrol(fleet)
    host.suite = hybrid
    above.start()

    done = hybrid.control("start")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Starting sub agent directory (for hybrid mode)" in done.stdout
    for name in ("ossec-analysisd", "ossec-remoted", "ossec-execd"):
        assert name == "ossec-execd" or hybrid.pids(name), name
    assert below.pids("ossec-agentd")
    assert below.pids("ossec-logcollector")
    wait_for_agents(above, [host.name])

    hybrid.write(FAILED_LOGIN.format(ip="198.51.100.7"))
    own = hybrid.wait_for_alert(5710)
    assert own["location"] == str(hybrid.log)
    told = wait_until(
        lambda: [alert for alert in above.alerts() if alert.get("srcip") == "198.51.100.7"], "the alert above"
    )
    assert told[0]["location"].startswith(f"({host.name}) {host.address}->")

    done = hybrid.control("restart")
    assert done.returncode == 0, done.stdout + done.stderr
    assert below.pids("ossec-agentd")
    done = hybrid.control("stop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Stopping sub agent directory (for hybrid mode)" in done.stdout
    assert not any(hybrid.layout.run_dir.glob("*.pid"))
    assert not any(below.layout.run_dir.glob("*.pid"))
