"""The real ossec-remoted over real sockets: events in, acknowledgements and orders out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ossec.crypto import counters
from ossec.crypto.channel import Channel
from ossec.crypto.keys import AgentKey
from ossec.daemon.state import parse_state
from ossec.layout import Layout
from ossec.messages import control
from tests.support import wait_until

KEY = AgentKey.parse("001 web01 127.0.0.1 " + "0123456789abcdef" * 4)


class Agent:
    """An agent's side of the line."""

    def __init__(self, port: int, server: str = "127.0.0.1", key: AgentKey = KEY) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        if ":" not in server:
            self.socket.bind(("127.0.0.1", 0))
        self.socket.connect((server, port))
        self.socket.settimeout(20)
        self.channel = Channel(key)
        self.counter = counters.START

    def send(self, text: bytes) -> bytes:
        self.counter = counters.following(self.counter)
        datagram = self.channel.seal(text, self.counter)
        self.socket.send(datagram)
        return datagram

    def receive(self) -> bytes:
        return self.channel.open(self.socket.recv(2048)).text


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET6, kind) as probe:
        probe.bind(("::", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def home(bare_home: Layout) -> Layout:
    bare_home.rids_dir.mkdir()
    bare_home.client_keys.write_text(KEY.format() + "\n")
    return bare_home


@pytest.fixture
def port(home: Layout) -> int:
    number = free_port()
    home.ossec_conf.write_text(
        f"<ossec_config><remote><connection>secure</connection><port>{number}</port></remote></ossec_config>"
    )
    return number


@pytest.fixture
def queue(home: Layout) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(home.event_queue))
        bound.settimeout(20)
        yield bound


def start(home: Layout) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ossec.remoted", "-f", "-D", str(home.home)]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: home.pid_file("ossec-remoted", daemon.pid).exists(), "remoted to start")
    return daemon


@pytest.fixture
def remoted(home: Layout, port: int, queue: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    daemon = start(home)
    yield daemon
    daemon.kill()
    daemon.wait()


def test_an_agents_event_arrives_and_an_order_reaches_it(
    home: Layout, port: int, queue: socket.socket, remoted: subprocess.Popen[bytes]
) -> None:
    agent = Agent(port)
    agent.send(control.STARTUP)
    assert agent.receive() == control.ACK
    agent.send(b"1:/var/log/auth.log:hello")
    assert queue.recv(6144) == b"1:(web01) 127.0.0.1->/var/log/auth.log:hello\0"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as tool:
        tool.sendto(b"(msg_to_agent) [] NNS 001 fw5 - 198.51.100.7 (from_the_server) (no_rule_id)", str(home.ar_queue))
    assert agent.receive() == b"#!-execd fw5 - 198.51.100.7 (from_the_server) (no_rule_id)"
    remoted.send_signal(signal.SIGTERM)
    assert remoted.wait(20) == 0


def test_a_killed_remoted_takes_no_datagram_twice(
    home: Layout, port: int, queue: socket.socket, remoted: subprocess.Popen[bytes]
) -> None:
    agent = Agent(port)
    old = [agent.send(b"1:x:event %d" % number) for number in range(5)]
    for number in range(5):
        assert queue.recv(6144).endswith(b"event %d\0" % number)
    remoted.kill()
    remoted.wait()
    again = start(home)
    try:
        for datagram in old:
            agent.socket.send(datagram)
        agent.send(b"1:x:new")
        assert queue.recv(6144).endswith(b"new\0")
    finally:
        again.kill()
        again.wait()


def test_a_burst_waits_for_analysisd(
    home: Layout, port: int, queue: socket.socket, remoted: subprocess.Popen[bytes]
) -> None:
    agent = Agent(port)
    for number in range(1000):  # nobody reads the queue meanwhile
        agent.send(b"1:x:event %d" % number)
    received = [queue.recv(6144) for _ in range(1000)]
    assert received == [b"1:(web01) 127.0.0.1->x:event %d\0" % number for number in range(1000)]


def test_a_new_agent_needs_no_restart(
    home: Layout, port: int, queue: socket.socket, remoted: subprocess.Popen[bytes]
) -> None:
    home.client_keys.write_text("")
    wait_until(lambda: "(1410)" in home.ossec_log.read_text().split("Started", 1)[1], "the keys to be read again")
    agent = Agent(port)
    agent.send(b"1:x:nobody")
    os.truncate(home.client_keys, 0)
    home.client_keys.write_text(KEY.format() + "\n")
    wait_until(lambda: home.ossec_log.read_text().count("(1410)") >= 3, "the keys to be read again")
    agent.send(b"1:x:somebody")
    assert queue.recv(6144).endswith(b"somebody\0")


def test_hostile_datagrams_are_counted(
    home: Layout, port: int, queue: socket.socket, remoted: subprocess.Popen[bytes]
) -> None:
    agent = Agent(port)
    for junk in (b"", b":", b"#AES:", b"!001!:", b"\xff" * 6000, b"!" * 20):
        agent.socket.send(junk)
    agent.send(b"1:x:still here")
    assert queue.recv(6144).endswith(b"still here\0")
    state = home.state_file("ossec-remoted")
    wait_until(lambda: parse_state(state.read_text())["received"] == "7", "the state file")
    assert parse_state(state.read_text())["events"] == "1"


def test_syslog_over_udp_and_tcp(home: Layout, queue: socket.socket) -> None:
    udp, tcp = free_port(), free_port(socket.SOCK_STREAM)
    listeners = "".join(
        f"<remote><connection>syslog</connection><port>{number}</port><protocol>{protocol}</protocol>"
        "<allowed-ips>127.0.0.0/8</allowed-ips></remote>"
        for number, protocol in ((udp, "udp"), (tcp, "tcp"))
    )
    home.ossec_conf.write_text(f"<ossec_config>{listeners}</ossec_config>")
    daemon = start(home)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"<13>one", ("127.0.0.1", udp))
        assert queue.recv(6144) == b"2:127.0.0.1:one\0"
        with socket.create_connection(("127.0.0.1", tcp)) as stream:
            stream.sendall(b"<13>two\n<13>three")
            assert queue.recv(6144) == b"2:127.0.0.1:two\0"
        assert queue.recv(6144) == b"2:127.0.0.1:three\0"
    finally:
        daemon.kill()
        daemon.wait()


def test_a_port_in_use_is_named(home: Layout, port: int) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.bind(("::", port))
        done = subprocess.run(
            [sys.executable, "-m", "ossec.remoted", "-D", str(home.home)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert f"Unable to Bind port '{port}'" in done.stderr
    assert "ossec.conf:1" in done.stderr


def test_an_agent_that_was_restored_counts_from_anew_by_order(
    home: Layout, port: int, queue: socket.socket, remoted: subprocess.Popen[bytes]
) -> None:
    agent = Agent(port)
    agent.send(b"1:x:before")
    assert queue.recv(6144).endswith(b"before\0")
    agent.counter = counters.START
    agent.send(b"1:x:refused")
    wait_until(lambda: "--reset-counter 001" in home.ossec_log.read_text() or "1407" in home.ossec_log.read_text())
    command = [sys.executable, "-m", "ossec.cli.agent_control", "-D", str(home.home), "--reset-counter", "1"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    wait_until(lambda: "Counter of agent 'web01' (001) reset." in home.ossec_log.read_text(), "the reset")
    agent.counter = counters.START
    agent.send(b"1:x:after")
    assert queue.recv(6144).endswith(b"after\0")
    assert counters.parse_pair(home.rids("001").read_bytes()) == agent.counter, "written down again"


def test_a_server_of_many_addresses_answers_from_the_one_that_was_asked(
    port: int, queue: socket.socket, remoted: subprocess.Popen[bytes]
) -> None:
    """Agents have a connected socket: they never see an answer from another address."""
    agent = Agent(port, "127.0.0.2")
    agent.send(control.STARTUP)
    assert agent.receive() == control.ACK


@pytest.mark.parametrize(("address", "elsewhere"), [("127.0.0.3", "127.0.0.1"), ("::1", "127.0.0.1")])
def test_local_ip(home: Layout, queue: socket.socket, address: str, elsewhere: str) -> None:
    number = free_port()
    home.ossec_conf.write_text(
        f"<ossec_config><remote><connection>secure</connection><port>{number}</port>"
        f"<local_ip>{address}</local_ip></remote></ossec_config>"
    )
    keys = [KEY, AgentKey.parse(f"002 sixth ::1 {KEY.secret}")]
    home.client_keys.write_text("".join(f"{key.format()}\n" for key in keys))
    daemon = start(home)
    try:
        agent = Agent(number, address, keys[1] if ":" in address else KEY)
        agent.send(control.STARTUP)
        assert agent.receive() == control.ACK
        agent.send(b"1:x:y")
        assert queue.recv(6144) == (b"1:(sixth) ::1->x:y\0" if ":" in address else b"1:(web01) 127.0.0.1->x:y\0")
        with pytest.raises(ConnectionRefusedError):
            other = Agent(number, elsewhere)
            for _ in range(2):
                other.send(control.STARTUP)
                other.receive()
    finally:
        daemon.kill()
        daemon.wait()
