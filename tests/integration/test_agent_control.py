"""agent_control as a process, with a real ossec-execd: blocks made, listed and undone by hand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossec.layout import Layout
from ossec.messages import control, execq
from tests.integration.execd import RealExecd
from tests.integration.test_remoted import KEY, Agent, free_port, start
from tests.support import wait_until

AR_CONF = "fw600 - fw.sh - 600\ndeny0 - deny.sh - 0\nuser600 - user.sh - 600\n"
BAD = "192.0.2.7"


def agent_control(layout: Layout, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ossec.cli.agent_control", "-D", str(layout.home), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"})


@pytest.fixture
def execd(tmp_path: Path) -> Iterator[RealExecd]:
    real = RealExecd(tmp_path / "home")
    for name in ("fw.sh", "user.sh", "deny.sh"):
        real.script(name, more=f'[ ! -e "{tmp_path}/stuck" ] || [ "$1" = add ]')
    real.ar_conf(AR_CONF)
    real.start()
    yield real
    real.end()


def test_a_block_by_hand_is_listed_and_released(execd: RealExecd) -> None:
    layout = execd.layout
    done = agent_control(layout, "-b", BAD, "-f", "fw600", "-u", "000")
    assert (done.returncode, done.stdout) == (
        0,
        "\nOSSEC HIDS agent_control: Running active response 'fw600' on: 000\n",
    )
    [call] = execd.wait_for_calls(1)
    assert call[1:] == [b"add", b"-", BAD.encode(), b"(from_the_server)", b"(no_rule_id)"]
    wait_until(lambda: "in force" in agent_control(layout, "--blocks").stdout, "the block to be listed")
    [block] = json.loads(agent_control(layout, "--blocks", "-j").stdout)["response"]
    assert (block["response"], block["ip"], block["user"], block["status"]) == ("fw600", BAD, "-", "in force")

    done = agent_control(layout, "--unblock", BAD, "-u", "0")
    assert (done.returncode, done.stdout) == (
        0,
        "\nOSSEC HIDS agent_control: Undone active response 'fw600' on: 000\n",
    )
    assert execd.calls()[-1][1:4] == [b"delete", b"-", BAD.encode()], "it is undone when the tool says so"
    assert json.loads(agent_control(layout, "--blocks", "-j").stdout)["response"] == []
    again = agent_control(layout, "--unblock", BAD, "-u", "0")
    assert again.returncode == 1
    assert "is not blocked here" in again.stdout


def test_a_release_that_fails_is_not_called_one(execd: RealExecd, tmp_path: Path) -> None:
    agent_control(execd.layout, "-b", BAD, "-f", "fw600", "-u", "local")
    execd.wait_for_calls(1)
    (tmp_path / "stuck").touch()
    done = agent_control(execd.layout, "--unblock", BAD, "-f", "fw600", "-u", "000")
    assert done.returncode == 1
    assert "not released yet" in done.stdout
    assert "failed 1 time" in agent_control(execd.layout, "--blocks").stdout


def test_a_response_for_a_user(execd: RealExecd) -> None:
    assert agent_control(execd.layout, "--user", "bob", "-f", "user600", "-u", "000").returncode == 0
    [call] = execd.wait_for_calls(1)
    assert call[1:4] == [b"add", b"bob", b"-"]
    agent_control(execd.layout, "--user", "eve", "-f", "user600", "-u", "000")
    execd.wait_for_calls(2)
    assert agent_control(execd.layout, "--unblock-user", "bob", "-u", "000").returncode == 0
    assert execd.calls()[-1][1:4] == [b"delete", b"bob", b"-"]
    assert execd.blocks() == 1, "another user's stays"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-b", BAD, "-f", "fw601", "-u", "000"), "Unknown response 'fw601'"),
        (("-b", "192.0.2.999", "-f", "fw600", "-u", "000"), "'192.0.2.999' is no IP address"),
        (("-b", "-flush", "-f", "fw600", "-u", "000"), "'-flush' is no IP address"),
        (("--user", "bob x", "-f", "user600", "-u", "000"), "cannot be sent"),
        (("-b", BAD, "-f", "fw600", "-u", "7"), "Invalid agent id '7'."),
        (("--blocks", "-u", "7"), "Invalid agent id '7'."),
        (("-b", BAD, "-f", "fw600"), "Invalid argument combination."),
        (("--unblock", BAD), "Invalid argument combination."),
    ],
)
def test_a_mistake_is_an_error_and_sends_nothing(tmp_path: Path, words: tuple[str, ...], complaint: str) -> None:
    home = RealExecd(tmp_path / "home")
    home.ar_conf(AR_CONF)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as queue:
        queue.bind(str(home.layout.exec_queue))
        done = agent_control(home.layout, *words)
        assert (done.returncode, done.stdout.splitlines()[1][:3]) == (1, "** ")
        assert complaint in done.stdout
        assert json.loads(agent_control(home.layout, *words, "-j").stdout)["error"] > 0
        with pytest.raises(BlockingIOError):
            queue.recv(10)


@pytest.fixture
def orders(bare_home: Layout) -> Iterator[socket.socket]:
    bare_home.client_keys.write_text("002 web02 192.0.2.2 k\n")
    bare_home.ar_conf.write_text(AR_CONF)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as queue:
        queue.bind(str(bare_home.ar_queue))
        yield queue


ORDERS = [
    (("-b", BAD, "-f", "fw600", "-a"), [f"ANN (null) fw600 - {BAD} (from_the_server) (no_rule_id)"]),
    (("-b", BAD, "-f", "fw600", "-u", "2"), [f"NNS 002 fw600 - {BAD} (from_the_server) (no_rule_id)"]),
    (("--user", "bob", "-f", "user600", "-u", "2"), ["NNS 002 user600 bob - (from_the_server) (no_rule_id)"]),
    (("--unblock", BAD, "-f", "fw600", "-u", "2"), [f"NNS 002 !fw600 - {BAD} (from_the_server) (no_rule_id)"]),
    (
        ("--unblock", BAD, "-a"),
        [f"ANN (null) !{name} - {BAD} (from_the_server) (no_rule_id)" for name in ("fw600", "user600")],
    ),
    (("-b", "x/y", "-f", "new5", "-u", "2", "--force"), ["NNS 002 new5 - x/y (from_the_server) (no_rule_id)"]),
]


@pytest.mark.parametrize(("words", "expected"), ORDERS, ids=[" ".join(words) for words, _ in ORDERS])
def test_orders_for_agents(
    bare_home: Layout, orders: socket.socket, words: tuple[str, ...], expected: list[str]
) -> None:
    done = agent_control(bare_home, *words)
    assert done.returncode == 0, done.stdout
    assert [orders.recv(2000).decode() for _ in expected] == [f"(msg_to_agent) [] {text}\0" for text in expected]
    with pytest.raises(BlockingIOError):
        orders.recv(2000)
    assert ("cannot undo" in done.stdout) == ("--unblock" in words), "what an agent of the C program does is said"


def test_an_agent_releases_its_own_blocks_only(execd: RealExecd) -> None:
    execd.layout.init_conf.write_text('TYPE="agent"\n')
    agent_control(execd.layout, "-b", BAD, "-f", "fw600", "-u", "000")
    execd.wait_for_calls(1)
    for words in (("-l",), ("-i", "1"), ("-b", BAD, "-f", "fw600", "-a"), ("-R", "001")):
        done = agent_control(execd.layout, *words)
        assert done.returncode == 1
        assert "This is an agent" in done.stdout
    assert agent_control(execd.layout, "--unblock", BAD, "-u", "000").returncode == 0


def test_an_undoing_reaches_the_agent_through_a_real_remoted(bare_home: Layout) -> None:
    bare_home.rids_dir.mkdir()
    bare_home.client_keys.write_text(KEY.format() + "\n")
    bare_home.ar_conf.write_text(AR_CONF)
    port = free_port()
    bare_home.ossec_conf.write_text(
        f"<ossec_config><remote><connection>secure</connection><port>{port}</port></remote></ossec_config>"
    )
    remoted = start(bare_home)
    try:
        agent = Agent(port)
        agent.send(control.STARTUP)
        assert agent.receive() == control.ACK
        assert agent_control(bare_home, "--unblock", BAD, "-f", "fw600", "-u", "1").returncode == 0
        received = control.parse_from_server(agent.receive())
        assert isinstance(received, control.Execd)
        response = execq.decode(received.text)
        assert (response.lifts, response.name, response.address) == (True, b"fw600", BAD.encode())
        agent.send(b"#!-Linux web01 6.1 #1 SMP x86_64 - OSSEC HIDS v4.2.0\nx merged.mg\n")
        wait_until(lambda: "ID: 001, Name: web01, IP: 127.0.0.1, Active" in agent_control(bare_home, "-l").stdout)
    finally:
        remoted.kill()
        remoted.wait()
