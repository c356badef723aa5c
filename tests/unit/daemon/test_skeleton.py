"""The life of a real daemon process on the skeleton."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossec.daemon.state import parse_state
from ossec.layout import Layout
from tests.support import wait_until

ECHOD = Path(__file__).with_name("echod.py")


@pytest.fixture
def home(bare_home: Layout) -> Layout:
    bare_home.ossec_conf.write_text("hello\n")
    return bare_home


@pytest.fixture
def answers(home: Layout) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(str(home.exec_queue))
        inbox.settimeout(10)
        yield inbox


@pytest.fixture
def running(home: Layout, answers: socket.socket) -> Iterator[int]:
    """The pid of a daemon in the background."""
    done = echod(home)
    assert done.returncode == 0, done.stderr
    pid = int(next(home.run_dir.glob("ossec-echod-*.pid")).read_text())
    yield pid
    if Path(f"/proc/{pid}").exists():
        os.kill(pid, signal.SIGKILL)


def echod(home: Layout, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ECHOD), "-D", str(home.home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def ask(home: Layout, answers: socket.socket, question: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(question, str(home.event_queue))
    return answers.recv(100)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_the_command_returns_when_the_daemon_answers(home: Layout, answers: socket.socket, running: int) -> None:
    assert ask(home, answers, b"you") == b"hello you"
    assert f"ossec-echod: INFO: Started (pid: {running})." in home.ossec_log.read_text()
    pid_file = home.pid_file("ossec-echod", running)
    assert pid_file.read_text() == f"{running}\n"
    assert pid_file.stat().st_mode & 0o777 == 0o640


def test_sigterm_is_a_clean_stop(home: Layout, answers: socket.socket, running: int) -> None:
    os.kill(running, signal.SIGTERM)
    wait_until(lambda: gone(running), "the daemon to end")
    assert not home.pid_file("ossec-echod", running).exists()
    assert not home.event_queue.exists()
    log = home.ossec_log.read_text()
    assert "ossec-echod(1225): INFO: SIGNAL [(15)-(Terminated)] Received. Exit Cleaning..." in log


def test_exit_status_of_a_clean_stop_is_0(home: Layout, answers: socket.socket) -> None:
    command = [sys.executable, str(ECHOD), "-f", "--home", str(home.home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as daemon:
        wait_until(lambda: list(home.run_dir.glob("ossec-echod-*.pid")), "the pid file")
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(20) == 0


def test_sighup_reloads_and_a_mistake_changes_nothing(home: Layout, answers: socket.socket, running: int) -> None:
    home.ossec_conf.write_text("welcome\n")
    os.kill(running, signal.SIGHUP)
    wait_until(lambda: "reloaded" in home.ossec_log.read_text(), "the reload")
    assert ask(home, answers, b"you") == b"welcome you"
    home.ossec_conf.write_text("\n")
    os.kill(running, signal.SIGHUP)
    wait_until(lambda: "Reload refused" in home.ossec_log.read_text(), "the refusal")
    assert f"{home.ossec_conf}:1: a word is wanted" in home.ossec_log.read_text()
    assert ask(home, answers, b"you") == b"welcome you"


def test_a_second_copy_is_refused_and_the_first_keeps_its_queue(
    home: Layout, answers: socket.socket, running: int
) -> None:
    second = echod(home, "-f")
    assert second.returncode == 1
    assert "another ossec-echod runs on" in second.stderr
    assert ask(home, answers, b"you") == b"hello you"


@pytest.mark.parametrize(
    ("word", "status", "line"),
    [
        ("", 1, "ossec.conf:1: a word is wanted"),
        ("off", 0, "ossec-echod: INFO: Not configured. Exiting."),
        ("bug", 1, "ZeroDivisionError: on purpose"),
    ],
)
def test_what_ends_the_start_is_on_the_terminal(home: Layout, word: str, status: int, line: str) -> None:
    home.ossec_conf.write_text(word)
    done = echod(home)
    assert (done.returncode, line in done.stderr) == (status, True), done.stderr
    assert line in home.ossec_log.read_text()
    assert not list(home.run_dir.glob("*.pid"))


def test_a_queue_that_cannot_be_bound_is_named(home: Layout) -> None:
    home.event_queue.parent.rmdir()
    done = echod(home)
    assert done.returncode == 1
    assert str(home.event_queue) in done.stderr


def test_testing_writes_nothing(home: Layout) -> None:
    assert echod(home, "-t").returncode == 0
    home.ossec_conf.write_text("")
    assert echod(home, "-t").returncode == 1
    assert not home.ossec_log.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["-h"], 0, "Answer every datagram"),
        (["--help"], 0, "--home"),
        (["-V"], 0, "OSSEC HIDS v4.2.0"),
        (["--version"], 0, "OSSEC in Python"),
        (["-x"], 1, "-x"),
    ],
)
def test_the_command_line(home: Layout, arguments: list[str], status: int, text: str) -> None:
    done = echod(home, *arguments)
    assert done.returncode == status
    assert text in done.stdout + done.stderr


def test_the_state_file_counts(home: Layout, answers: socket.socket, running: int) -> None:
    state = home.state_file("ossec-echod")
    assert parse_state(state.read_text())["seen"] == "0"
    assert parse_state(state.read_text())["pid"] == str(running)


def test_a_reload_leaves_a_mark_that_tells_how_it_went(home: Layout, answers: socket.socket, running: int) -> None:
    mark = home.reload_mark("ossec-echod")
    assert not mark.exists()
    home.ossec_conf.write_text("second")
    os.kill(running, signal.SIGHUP)
    wait_until(mark.exists, "the mark")
    assert parse_state(mark.read_text()) | {"version": ""} == {
        "version": "", "pid": str(running), "reloads": "1", "problem": ""
    }  # fmt: skip
    home.ossec_conf.write_text("")
    os.kill(running, signal.SIGHUP)
    wait_until(lambda: parse_state(mark.read_text())["reloads"] == "2", "the second reload")
    assert parse_state(mark.read_text())["problem"] == f"{home.ossec_conf}:1: a word is wanted"
    os.kill(running, signal.SIGTERM)
    wait_until(lambda: not mark.exists(), "the end")


def test_systemd_is_told(home: Layout, answers: socket.socket, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        command = [sys.executable, str(ECHOD), "-f", "-D", str(home.home)]
        environment = dict(os.environ, NOTIFY_SOCKET=str(tmp_path / "notify"))
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as daemon:
            assert manager.recv(100) == b"READY=1"
            daemon.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            assert daemon.wait(20) == 0
