"""What --remove takes out of the kernel: the table and chains that firewall-drop.sh made, unless others use them."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.suite import FAILED_LOGIN, Suite
from tests.support import wait_until

ATTACKER, OTHER = "198.51.100.7", "198.51.100.8"
MISSING = [name for name in ("ip", "nft", "iptables", "ip6tables") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces and the firewall"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' '.join(MISSING)}"),
]


@pytest.fixture
def space() -> Iterator[str]:
    name = f"or{uuid.uuid4().hex[:8]}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
        pytest.skip("no network namespaces here")
    yield name
    subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture(params=["nft", "iptables"])
def suite(request: pytest.FixtureRequest, tmp_path: Path, space: str) -> Iterator[Suite]:
    """A home with a block in force, made by one of the tools."""
    suite = Suite(tmp_path / "home", prefix=["ip", "netns", "exec", space, "env", f"OSSEC_FW_TOOL={request.param}"])
    suite.install("--no-firewall-response")
    suite.respond("5710", 600, command="firewall-drop", script="firewall-drop.sh")
    suite.start()
    suite.write(FAILED_LOGIN.format(ip=ATTACKER))
    wait_until(lambda: ATTACKER in ruleset(suite), "the block")
    yield suite
    suite.end()


def ruleset(suite: Suite) -> str:
    done = suite.run(["nft", "list", "ruleset"])
    assert done.returncode == 0, done.stderr
    return done.stdout


def remove(suite: Suite) -> str:
    done = suite.python("-m", "ossec.cli.install", "--home", str(suite.layout.home), "--remove", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not suite.layout.home.exists()
    return done.stdout


def test_nothing_of_ours_stays_in_the_kernel(suite: Suite) -> None:
    assert "ossec" in ruleset(suite).lower()
    said = remove(suite)
    assert "ossec" not in ruleset(suite).lower()
    assert "Removed the firewall" in said


def test_blocks_of_others_stay_and_are_named(suite: Suite) -> None:
    """Of another home, or made by hand with our script."""
    script = suite.layout.active_response_bin / "firewall-drop.sh"
    assert suite.run([str(script), "add", "-", OTHER]).returncode == 0
    said = remove(suite)
    rules = ruleset(suite)
    assert OTHER in rules
    assert ATTACKER not in rules
    assert "stays: it still blocks" in said
    assert OTHER in said
