"""A real agent and a real server: events there, orders and files back, through deaths of either."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ossec.crypto.keys import AgentKey
from ossec.layout import Layout
from tests.support import make_bare_home, wait_until

KEY = AgentKey.parse("001 web01 127.0.0.1 " + "0123456789abcdef" * 4)
Process = subprocess.Popen[bytes]


@dataclass
class Pair:
    """Two homes, their daemons, and sockets that stand for analysisd (server) and execd (agent)."""

    server: Layout
    agent: Layout
    analysis: socket.socket
    execq: socket.socket
    processes: dict[str, Process]

    def start(self, name: str) -> None:
        home = self.server if name == "remoted" else self.agent
        command = [sys.executable, "-m", f"ossec.{name}", "-f", "-D", str(home.home)]
        daemon = self.processes[name] = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: home.pid_file(f"ossec-{name}", daemon.pid).exists(), f"{name} to start")

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        daemon = self.processes.pop(name)
        daemon.send_signal(how)
        return daemon.wait(30)

    def log(self, *events: bytes) -> None:
        """What a collector on the agent's host would send."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as collector:
            collector.connect(str(self.agent.event_queue))
            for event in events:
                collector.send(b"1:/var/log/x:" + event)

    def arrive(self, count: int) -> list[bytes]:
        """The next `count` different events of /var/log/x that the server hands to its analysisd."""
        seen: dict[bytes, None] = {}
        while len(seen) < count:
            event = self.analysis.recv(6144).rstrip(b"\0")
            if b"->/var/log/x:" in event:
                seen[event.split(b"/var/log/x:", 1)[1]] = None
        return list(seen)


def bound(path: Path) -> socket.socket:
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.bind(str(path))
    inbox.settimeout(30)
    return inbox


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::", 0))
        port = probe.getsockname()[1]
    server, agent = make_bare_home(tmp_path / "server"), make_bare_home(tmp_path / "agent")
    for home in (server, agent):
        home.rids_dir.mkdir()
        home.client_keys.write_text(KEY.format() + "\n")
    server.ossec_conf.write_text(
        f"<ossec_config><remote><connection>secure</connection><port>{port}</port></remote></ossec_config>"
    )
    agent.ossec_conf.write_text(
        f"<ossec_config><client><server-ip>127.0.0.1</server-ip><port>{port}</port></client></ossec_config>"
    )
    made = Pair(server, agent, bound(server.event_queue), bound(agent.exec_queue), {})
    yield made
    for daemon in made.processes.values():
        daemon.kill()
        daemon.wait()
    made.analysis.close()
    made.execq.close()


def test_events_go_up_and_orders_and_files_come_down(pair: Pair) -> None:
    (pair.server.shared_dir / "agent.conf").write_text("<agent_config></agent_config>\n")
    pair.start("remoted")
    pair.start("agentd")
    first = pair.analysis.recv(6144)
    assert first == b"1:(web01) 127.0.0.1->ossec:ossec: Agent started: 'web01->127.0.0.1'.\0"
    pair.log(b"hello")
    assert pair.arrive(1) == [b"hello"]
    info = pair.server.agent_info("web01-127.0.0.1")
    wait_until(info.exists, "the agent's info")
    assert "OSSEC HIDS v4.2.0" in info.read_text()
    wait_until(lambda: (pair.agent.shared_dir / "agent.conf").exists(), "the shared file")
    assert (pair.agent.shared_dir / "agent.conf").read_text() == "<agent_config></agent_config>\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as tool:
        tool.sendto(b"(msg_to_agent) [] NNS 001 fw5 - 198.51.100.7 a b", str(pair.server.ar_queue))
        tool.sendto(b"(msg_to_agent) [] N!S 001 syscheck restart", str(pair.server.ar_queue))
    assert pair.execq.recv(1024) == b"fw5 - 198.51.100.7 a b\0"
    wait_until(pair.agent.syscheck_run_file.exists, "the order to scan")
    assert pair.kill("agentd", signal.SIGTERM) == 0
    assert pair.kill("remoted", signal.SIGTERM) == 0


def test_a_file_that_is_shared_no_more_is_removed_and_local_ones_stay(pair: Pair) -> None:
    (pair.server.shared_dir / "old.txt").write_text("old")
    (pair.server.shared_dir / "agent.conf").write_text("<agent_config></agent_config>\n")
    (pair.agent.shared_dir / "mine.txt").write_text("mine")
    pair.start("remoted")
    pair.start("agentd")
    wait_until(lambda: (pair.agent.shared_dir / "old.txt").exists(), "the shared file")
    pair.kill("agentd")
    (pair.server.shared_dir / "old.txt").unlink()
    pair.kill("remoted")
    pair.start("remoted")
    pair.start("agentd")
    wait_until(lambda: not (pair.agent.shared_dir / "old.txt").exists(), "the file to go")
    assert (pair.agent.shared_dir / "mine.txt").read_text() == "mine"


def test_what_was_logged_without_a_server_arrives_when_it_comes(pair: Pair) -> None:
    pair.start("agentd")
    events = [b"event %d" % number for number in range(500)]
    pair.log(*events)
    pair.start("remoted")
    assert pair.arrive(500) == events


def test_no_death_of_either_side_loses_an_event(pair: Pair) -> None:
    pair.start("remoted")
    pair.start("agentd")
    expected: list[bytes] = []
    for turn, victim in enumerate(["remoted", "agentd", "remoted", "agentd"]):
        batch = [b"turn %d event %d" % (turn, number) for number in range(50)]
        expected += batch
        pair.log(*batch)
        state = pair.agent.state_file("ossec-agentd")
        if victim == "agentd":  # what it has read is on disk: it must have read it
            wait_until(lambda: _empty(pair.agent.event_queue), "agentd to read")
        assert state.exists()
        pair.kill(victim)
        pair.start(victim)
    assert set(pair.arrive(len(expected))) == set(expected)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_makes_collectors_wait_and_loses_nothing(pair: Pair) -> None:
    """OSSEC's agent has no spool; ours must not be worse where it has no room."""
    spool = pair.agent.agent_spool_dir
    spool.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(spool)], check=True)
    try:
        pair.start("agentd")
        events = [b"event %06d " % number + b"x" * 1000 for number in range(3000)]
        waiting = iter(events)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as collector:
            collector.connect(str(pair.agent.event_queue))
            collector.settimeout(3)
            event = next(waiting)
            with contextlib.suppress(TimeoutError):
                while True:
                    collector.send(b"1:/var/log/x:" + event)
                    event = next(waiting)  # the disk is full long before the last: StopIteration would fail the test
            assert "No space left on device" in pair.agent.ossec_log.read_text()
            subprocess.run(["mount", "-o", "remount,size=16m", str(spool)], check=True)
            collector.settimeout(30)
            for late in (event, *waiting):
                collector.send(b"1:/var/log/x:" + late)
        pair.start("remoted")
        assert pair.arrive(len(events)) == events
        assert "lost" not in pair.agent.ossec_log.read_text()
        assert pair.kill("agentd", signal.SIGTERM) == 0
    finally:
        for daemon in pair.processes.values():
            daemon.kill()
            daemon.wait()
        subprocess.run(["umount", "-l", str(spool)], check=True)


def _empty(queue: Path) -> bool:
    """Whether nothing waits in the socket's queue (`ss` shows it as Recv-Q)."""
    listing = subprocess.run(["ss", "-xlH", "-a", "src", str(queue)], capture_output=True, text=True, check=False)
    return all(line.split()[2] == "0" for line in listing.stdout.splitlines() if str(queue) in line)


def test_an_agent_without_a_key_says_how_to_get_one(pair: Pair) -> None:
    pair.agent.client_keys.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "ossec.agentd", "-D", str(pair.agent.home)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "(4109)" in done.stderr
    assert "agent-auth -m SERVER" in done.stderr
