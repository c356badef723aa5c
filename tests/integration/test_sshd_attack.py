"""A real sshd attacked by a real ssh client: the alerts OSSEC would raise, a drop that drops, and its release."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.network import Cable, missing_tools
from tests.integration.suite import Suite, section
from tests.support import wait_until

TIMEOUT = 5  # seconds that a block lasts: long enough to see it hold
ATTEMPTS = 12  # logins tried at most; eight events of one source fire the frequency rules

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces and the firewall"),
    pytest.mark.skipif(bool(missing_tools()), reason=f"needs {', '.join(missing_tools())}"),
]


@pytest.fixture
def protocol() -> int:
    return 4


@pytest.fixture
def cable(tmp_path: Path, protocol: int) -> Iterator[Cable]:
    cable = Cable(tmp_path, protocol)
    try:
        cable.open()
        yield cable
    finally:
        cable.close()


@pytest.fixture
def victim(cable: Cable, tmp_path: Path) -> Iterator[Suite]:
    """The suite, running in the victim's namespace, following what rsyslogd writes."""
    suite = Suite(tmp_path / "home", prefix=cable.on_victim())
    suite.install("--no-firewall-response")
    suite.append(section("localfile", log_format="syslog", location=cable.auth_log))
    suite.respond("5712,5720", TIMEOUT, command="firewall-drop", script="firewall-drop.sh")
    suite.start()
    yield suite
    suite.end()


def attack(cable: Cable, victim: Suite, user: str, brute_force: int) -> None:
    """Log in until the frequency rule fires."""
    for _ in range(ATTEMPTS):
        cable.log_in(user)
        if victim.alerts(brute_force):
            return
    pytest.fail(f"{ATTEMPTS} attempts did not fire {brute_force}; sshd logged:\n{cable.auth_log.read_text()}")


@pytest.mark.parametrize(
    ("user", "single", "brute_force", "crash", "protocol"),
    [
        pytest.param("eve", 5710, 5712, False, 4, id="unknown-user"),
        pytest.param("root", 5716, 5720, True, 4, id="known-user-and-a-crash-while-blocked"),
        pytest.param("eve", 5710, 5712, True, 6, id="by-IPv6"),
    ],
)
def test_an_attack_is_seen_blocked_and_released(
    cable: Cable, victim: Suite, user: str, single: int, brute_force: int, crash: bool
) -> None:
    assert cable.connects()
    attack(cable, victim, user, brute_force)

    first = victim.wait_for_alert(single)
    assert (first["rule"]["level"], first["srcip"]) == (5, cable.attacker_address)
    assert user in (first.get("dstuser"), first.get("srcuser"))
    assert first["location"] == str(cable.auth_log)
    assert {"syslog", "sshd", "authentication_failed"} <= set(first["rule"]["groups"])

    alert = victim.wait_for_alert(brute_force)
    assert (alert["rule"]["level"], alert["srcip"]) == (10, cable.attacker_address)
    assert {"syslog", "sshd", "authentication_failures"} <= set(alert["rule"]["groups"])

    wait_until(lambda: not cable.connects(), "the drop of the attacker's packets")
    assert cable.attacker_address in cable.firewall()
    if crash:
        victim.kill("ossec-execd", "ossec-analysisd")
        assert cable.attacker_address in cable.firewall()
        done = victim.control("start")
        assert done.returncode == 0, done.stderr
        assert "Started ossec-execd..." in done.stdout

    wait_until(cable.connects, "the release of the attacker")
    wait_until(lambda: cable.attacker_address not in cable.firewall(), "a firewall without the attacker")
    actions = victim.layout.active_responses_log.read_text().splitlines()
    assert [line.split("firewall-drop.sh ")[1].split()[0] for line in actions if "firewall-drop.sh " in line][:2] == [
        "add",
        "delete",
    ]


def test_a_block_that_runs_out_while_nobody_runs_is_undone_at_the_next_start(cable: Cable, victim: Suite) -> None:
    attack(cable, victim, "root", 5720)
    wait_until(lambda: not cable.connects(), "the drop of the attacker's packets")
    victim.kill("ossec-execd", "ossec-analysisd")
    expiry = victim.wait_for_alert(5720)["TimeStamp"] / 1000 + TIMEOUT + 1
    wait_until(lambda: time.time() > expiry, "the end of the block's time")
    assert not cable.connects(), "nobody was there to release it"
    victim.start()
    wait_until(cable.connects, "the release of the attacker")
