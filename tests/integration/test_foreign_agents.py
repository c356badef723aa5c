"""A server home and agents that are not ours: Windows, IPv6, several behind one address, seen in the alerts."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossec.crypto import counters
from ossec.crypto.channel import Channel, Method
from ossec.crypto.keys import AgentKey
from ossec.daemon.state import parse_state
from ossec.messages import control, merged
from tests.integration.suite import Suite
from tests.support import wait_until

SECRET = "0123456789abcdef" * 4
WINDOWS = AgentKey.parse(f"001 win any {SECRET}")
NEIGHBOUR = AgentKey.parse(f"002 neighbour 127.0.0.0/8 1{SECRET[1:]}")
SIXTH = AgentKey.parse(f"003 sixth ::1 2{SECRET[1:]}")
UNAME = "Microsoft Windows Server 2019 Standard (Ver: 10.0.17763) - OSSEC HIDS v4.2.0"
EVENT = (
    "1:WinEvtLog:2026 Nov 22 04:00:01 WinEvtLog: Security: AUDIT_FAILURE(4625): "
    "Microsoft-Windows-Security-Auditing: (no user): no domain: WIN-SRV: An account failed to log on."
)
RULES = """\
<group name="local,">
  <rule id="100700" level="7">
    <match>AUDIT_FAILURE(4625)</match>
    <description>A login on Windows failed.</description>
  </rule>
</group>
"""
STARTED = 501


class Foreign:
    """An agent as OSSEC's for Windows speaks: Blowfish or AES, keep-alives without noise, one LF at their end."""

    def __init__(self, key: AgentKey, address: str, port: int, method: Method = Method.AES) -> None:
        self.key = key
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, port))
        self.socket.settimeout(20)
        self.method = method
        self.channel = Channel(key, prefixed=not key.single_host)
        self.counter = counters.START

    def send(self, text: str) -> None:
        self.counter = counters.following(self.counter)
        self.socket.send(self.channel.seal(text.encode(), self.counter, self.method))

    def receive(self) -> bytes:
        datagram = self.socket.recv(1024)  # what OSSEC's agents read
        opened = Channel(self.key).open(datagram)
        assert opened.method is self.method
        return opened.text

    def connect(self, merged_sum: str = "x") -> None:
        self.send(control.STARTUP.decode())
        assert self.receive() == control.ACK
        self.send(f"#!-{UNAME}\n{merged_sum} merged.mg\n")
        assert self.receive() == control.ACK

    def take_shared(self) -> dict[str, bytes]:
        """The files of the next transfer."""
        start = control.parse_from_server(self.receive())
        assert isinstance(start, control.FileStart), start
        content = b""
        while (text := self.receive()) != control.FILE_END:
            content += text
        return dict(merged.parse_merged(content))


@pytest.fixture
def port(suite: Suite) -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    suite = Suite(tmp_path / "home")
    suite.install("--type", "server", "--no-firewall-response")
    yield suite
    suite.end()


@pytest.fixture
def server(suite: Suite, port: int) -> Suite:
    conf = suite.layout.ossec_conf
    text = conf.read_text()
    assert "<connection>secure</connection>" in text
    wanted = f"<connection>secure</connection><port>{port}</port>"
    conf.write_text(text.replace("<connection>secure</connection>", wanted))
    (suite.layout.rules_dir / "local_rules.xml").write_text(RULES)
    suite.layout.client_keys.write_text("".join(f"{key.format()}\n" for key in (WINDOWS, NEIGHBOUR, SIXTH)))
    (suite.layout.shared_dir / "agent.conf").write_bytes(b'<agent_config os="Windows">\r\n</agent_config>\r\n' * 60)
    suite.start()
    return suite


def test_agents_of_windows_ipv6_and_one_address_are_served(server: Suite, port: int) -> None:
    windows = Foreign(WINDOWS, "127.0.0.1", port)
    windows.connect()
    shared = windows.take_shared()
    assert shared["agent.conf"] == (server.layout.shared_dir / "agent.conf").read_bytes()
    windows.send(EVENT)
    alert = server.wait_for_alert(100700)
    assert alert["location"] == "(win) any->WinEvtLog"
    assert alert["full_log"].endswith("An account failed to log on.")
    assert server.layout.agent_info("win-any").read_text() == f"{UNAME}\ncrypto_method:aes\n"

    neighbour = Foreign(NEIGHBOUR, "127.0.0.1", port, Method.BLOWFISH)  # the same address, another agent
    neighbour.connect()
    assert neighbour.take_shared() == shared
    sixth = Foreign(SIXTH, "::1", port)
    sixth.connect()
    assert sixth.take_shared() == shared
    for agent, location in ((neighbour, "(neighbour) 127.0.0.0->WinEvtLog"), (sixth, "(sixth) ::1->WinEvtLog")):
        agent.send(EVENT.replace("WIN-SRV", agent.key.name))
        wait_until(
            lambda location=location: any(alert["location"] == location for alert in server.alerts(100700)),
            f"{location} in {[alert['location'] for alert in server.alerts()]}",
        )

    # a change reaches all three, each in its own cipher
    (server.layout.shared_dir / "agent.conf").write_bytes(b"<agent_config>\r\n</agent_config>\r\n")
    for agent in (windows, neighbour, sixth):
        assert agent.take_shared()["agent.conf"] == b"<agent_config>\r\n</agent_config>\r\n"

    listed = server.python("-m", "ossec.cli.agent_control", "-l", "--json", "-D", str(server.layout.home))
    states = {row["id"]: row["status"] for row in json.loads(listed.stdout)["response"]}
    assert states == {"000": "Active", "001": "Active", "002": "Active", "003": "Active"}


def test_a_new_agent_raises_one_alert_whether_or_not_it_says_so(server: Suite, port: int) -> None:
    windows = Foreign(WINDOWS, "127.0.0.1", port)
    windows.connect()
    windows.send("1:ossec:ossec: Agent started: 'win->any'.")
    silent = Foreign(SIXTH, "::1", port)
    silent.connect()
    wait_until(lambda: len(server.alerts(STARTED)) == 2, "both agents' first alerts", 30)
    locations = [alert["location"] for alert in server.alerts(STARTED)]
    assert locations == ["(win) any->ossec", "(sixth) ::1->ossec"]
    assert "Agent 'sixth' (003) connects for the first time, from ::1." in server.ossec_log()
    # its own word comes late after all: the agent's start, not another new agent
    silent.send("1:ossec:ossec: Agent started: 'sixth->::1'.")
    server.wait_for_alert(503)
    assert len(server.alerts(STARTED)) == 2


def test_an_agent_that_goes_silent_raises_an_alert(server: Suite, port: int) -> None:
    server.wait_for_alert(502)
    Foreign(WINDOWS, "127.0.0.1", port).connect()
    Foreign(SIXTH, "::1", port).connect()
    state = server.layout.state_file("ossec-monitord")

    def active() -> int:
        os.kill(server.pid("ossec-monitord"), signal.SIGHUP)  # it looks at once
        return int(parse_state(state.read_text()).get("agents_active", 0)) if state.exists() else 0

    wait_until(lambda: active() == 2, "monitord to see both", 30)
    hour_ago = time.time() - 3600
    for name in ("win-any", "sixth-::1"):
        os.utime(server.layout.agent_info(name), (hour_ago, hour_ago))
    wait_until(lambda: active() == 0, "monitord to miss both", 30)
    wait_until(lambda: len(server.alerts(504)) == 2, "both alerts")
    assert {(alert["location"], alert["full_log"]) for alert in server.alerts(504)} == {
        ("win-any->ossec-monitord", "ossec: Agent disconnected: 'win-any'."),
        ("(sixth) ::1->ossec-monitord", "ossec: Agent disconnected: 'sixth-::1'."),
    }
    listed = server.python("-m", "ossec.cli.agent_control", "-l", "--json", "-D", str(server.layout.home))
    states = {row["id"]: row["status"] for row in json.loads(listed.stdout)["response"]}
    assert states["001"] == states["003"] == "Disconnected"
