"""The whole suite without root: install, start, line, alert, response, undoing; and what ossec-control says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from ossec.suite import control as control_module
from ossec.suite.control import Control, ControlError
from tests.integration.suite import CHECKOUT, FAILED_LOGIN, Suite, names, said, section
from tests.support import wait_until

HEAD = "OSSEC HIDS v4.2.0"


@pytest.fixture
def running(suite: Suite) -> Suite:
    suite.start()
    return suite


def test_a_line_becomes_an_alert_a_response_and_its_undoing(suite: Suite) -> None:
    suite.respond("5710", timeout=1)
    suite.start()
    suite.write(FAILED_LOGIN.format(ip="198.51.100.7"))
    alert = suite.wait_for_alert(5710)
    assert alert["rule"]["level"] == 5
    assert {"syslog", "sshd", "invalid_login", "authentication_failed"} <= set(alert["rule"]["groups"])
    assert alert["srcip"] == "198.51.100.7"
    assert alert["location"] == str(suite.log)
    add, delete = wait_until(lambda: suite.noted()[1:] and suite.noted(), "the response and its undoing")
    number = alert["id"]
    assert add == ["add", "-", "198.51.100.7", number, "5710", str(suite.log), "-"]
    assert delete == ["delete", *add[1:]]
    text = suite.layout.alerts_log.read_text()
    assert f"** Alert {number}: " in text
    assert "Rule: 5710 (level 5) -> " in text
    assert "Src IP: 198.51.100.7" in text


def test_status_as_json_says_who_runs(running: Suite) -> None:
    done = running.control("status", "--json")
    status = json.loads(done.stdout)
    assert done.returncode == 0
    assert status["home"] == str(running.layout.home)
    assert status["type"] == "local"
    pids = {daemon["name"]: daemon["pids"] for daemon in status["daemons"]}
    assert pids["ossec-execd"] == [running.pid("ossec-execd")]
    running.kill("ossec-logcollector")
    done = running.control("status", "--json")
    assert done.returncode == 1
    assert [daemon["name"] for daemon in json.loads(done.stdout)["daemons"] if not daemon["running"]] == [
        "ossec-logcollector"
    ]


@pytest.mark.parametrize("action", ["restart", "reload"])
def test_a_broken_configuration_leaves_the_running_daemons_alone(running: Suite, action: str) -> None:
    before = {name: running.pid(name) for name in names(["execd", "analysisd", "logcollector"])}
    running.append("<localfile>\n<bad>1</bad>\n</localfile>\n")
    done = running.control(action)
    assert done.returncode == 1
    assert "ossec-logcollector(1230): ERROR: Invalid element in the configuration: 'bad'." in done.stderr
    assert "ossec-logcollector: Configuration error. Exiting." in done.stdout
    assert "Killing" not in done.stdout
    assert {name: running.pid(name) for name in before} == before
    running.write(FAILED_LOGIN.format(ip="198.51.100.8"))
    running.wait_for_alert(5710)


def test_a_broken_configuration_starts_nothing(suite: Suite) -> None:
    suite.append("<localfile>\n<bad>1</bad>\n</localfile>\n")
    done = suite.control("start")
    assert done.returncode == 1
    assert said(done.stdout)[0] == f"Starting {HEAD}..."
    assert "ossec-logcollector: Configuration error. Exiting." in done.stdout
    assert not list(suite.layout.run_dir.glob("*.pid"))


def test_the_configuration_can_be_tested_without_touching_anything(suite: Suite) -> None:
    done = suite.control("test")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ossec-analysisd" in done.stdout
    suite.append("<localfile>\n<bad>1</bad>\n</localfile>\n", "<rules><include>nosuch_rules.xml</include></rules>\n")
    done = suite.control("test")
    assert done.returncode == 1
    refused = {line for line in done.stdout.splitlines() if line.endswith(": Configuration error. Exiting.")}
    assert {f"{name}: Configuration error. Exiting." for name in names(["analysisd", "logcollector"])} <= refused
    assert "'bad'" in done.stderr
    assert "nosuch_rules.xml" in done.stderr
    assert not list(suite.layout.run_dir.glob("*.pid"))


def test_a_daemon_that_dies_at_start_says_why_on_the_terminal(suite: Suite) -> None:
    suite.layout.alerts_queue_dir.rmdir()
    suite.layout.alerts_queue_dir.write_text("in the way")
    done = suite.control("start")
    assert done.returncode == 1
    assert said(done.stdout)[-1] == "ossec-execd did not start correctly."
    assert str(suite.layout.alerts_queue_dir) in done.stderr
    assert not suite.pids("ossec-analysisd"), "what stands behind it in the order is not left running"


def test_a_reload_takes_up_a_change_in_place(running: Suite) -> None:
    before = {name: running.pid(name) for name in names(["execd", "analysisd", "logcollector"])}
    more = running.log.with_suffix(".more")
    more.touch()
    running.append(f"<localfile><log_format>syslog</log_format><location>{more}</location></localfile>\n")
    done = running.control("reload")
    assert done.returncode == 0, done.stderr
    lines = said(done.stdout)
    assert lines[0] == f"Reloading {HEAD}..."
    assert lines[-1] == "Completed."
    wait_until(lambda: f"Analyzing file: '{more}'" in running.ossec_log(), "the new file")
    with more.open("a") as out:
        out.write(f"Nov 22 05:00:00 host1 sshd[1]: {FAILED_LOGIN.format(ip='198.51.100.9')}\n")
    assert running.wait_for_alert(5710)["location"] == str(more)
    assert {name: running.pid(name) for name in before} == before


def test_a_reload_starts_what_is_missing(running: Suite) -> None:
    running.kill("ossec-execd")
    done = running.control("reload")
    assert done.returncode == 0, done.stderr
    assert "Started ossec-execd..." in done.stdout
    assert running.pids("ossec-execd")


def test_a_reload_that_a_daemon_refuses_is_told(running: Suite) -> None:
    """Something that only shows when it is done: `-t` opens no output."""
    pid = running.pid("ossec-analysisd")
    (running.layout.archives_dir / time.strftime("%Y")).touch()  # where a folder must be
    running.append("<global><logall>yes</logall></global>\n")
    done = running.control("reload")
    assert done.returncode == 1
    assert "Reloaded ossec-logcollector..." in done.stdout
    assert "Reloaded ossec-analysisd..." not in done.stdout
    assert "ossec-analysisd: goes on with the configuration that it had: " in done.stderr
    assert str(running.layout.archives_dir) in done.stderr
    assert running.pid("ossec-analysisd") == pid


def test_a_reload_that_never_ends_is_told(running: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "RELOAD_PATIENCE", 2.0)
    pid = running.pid("ossec-execd")
    os.kill(pid, signal.SIGSTOP)
    lines: list[str] = []
    with pytest.raises(ControlError, match=r"ossec-execd did not reload"):
        Control(running.layout, lines.append, lines.append).reload()
    assert any(line.startswith("ossec-execd: not reloaded after 2 s") for line in lines)
    assert "Reloaded ossec-analysisd..." in lines
    os.kill(pid, signal.SIGCONT)


def test_a_reload_ends_what_the_configuration_has_switched_off(running: Suite) -> None:
    text = running.layout.ossec_conf.read_text()
    text = re.sub(r"<active-response>.*?</active-response>", "", text, flags=re.DOTALL)
    running.layout.ossec_conf.write_text(text)
    running.append(section("active-response", disabled="yes"))
    assert running.pids("ossec-execd")
    done = running.control("reload")
    assert done.returncode == 0, done.stderr
    assert "Killing ossec-execd .. " in done.stdout
    assert not running.pids("ossec-execd")
    assert running.control("status").returncode == 0


def test_stale_pid_files_are_removed_and_their_processes_left_alone(suite: Suite) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    try:
        paths = [suite.layout.pid_file("ossec-execd", process.pid) for process in (stranger, ended)]
        for path in paths:
            path.touch()
        done = suite.control("stop")
        assert f"ossec-execd: Process {stranger.pid} not used by ossec, removing .." in done.stdout
        assert f"Deleting PID file '{paths[1]}' not used..." in done.stdout
        assert not any(path.exists() for path in paths)
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")


def test_two_starts_at_once_start_each_daemon_once(suite: Suite) -> None:
    command = [sys.executable, "-m", "ossec.cli.control", "--home", str(suite.layout.home), "start"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("Started ossec-execd..." in output for output in outputs) == [False, True]
    assert len(suite.pids("ossec-execd")) == len(suite.pids("ossec-analysisd")) == 1


def test_a_daemon_that_does_not_end_is_killed(running: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "STOP_PATIENCE", 0.2)
    pid = running.pid("ossec-execd")
    os.kill(pid, signal.SIGSTOP)
    lines: list[str] = []
    Control(running.layout, lines.append, lines.append).stop()
    assert f"Process {pid} did not exit; sending SIGKILL .." in lines
    assert not running.pids("ossec-execd")


def test_enable_and_disable_are_kept_in_the_process_list(suite: Suite) -> None:
    for words in (["enable", "debug"], ["enable", "database"], ["disable", "database"]):
        done = suite.control(*words)
        assert (done.returncode, done.stdout) == (0, "")
    assert suite.layout.process_list.read_text() == 'DEBUG_CLI="-d"\nDB_DAEMON=""\n'
    assert suite.control("status").returncode == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "\nUsage: PROGRAM {start|stop|reload|restart|status|enable|disable}\n"),
        (["help"], "\nUsage: PROGRAM {start|stop|reload|restart|status|enable|disable}\n"),
        (
            ["enable"],
            (
                "\nEnable options: database, client-syslog, agentless, debug\n"
                "Usage: PROGRAM enable [database|client-syslog|agentless|debug]\n"
            ),
        ),
        (
            ["disable", "foo"],
            (
                "\nInvalid disable option.\n\nDisable options: database, client-syslog, agentless, debug\n"
                "Usage: PROGRAM disable [database|client-syslog|agentless|debug]\n"
            ),
        ),
    ],
)
def test_what_it_does_not_understand_it_explains(suite: Suite, words: list[str], expected: str) -> None:
    program = suite.layout.bin_dir / "ossec-control"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, expected.replace("PROGRAM", str(program)))


def test_a_directory_that_is_no_home_is_named(suite: Suite) -> None:
    suite.layout.ossec_conf.unlink()
    done = suite.control("start")
    assert done.returncode == 1
    assert str(suite.layout.ossec_conf) in done.stderr
    assert "ossec-install" in done.stderr


@pytest.mark.parametrize("crash", [False, True])
def test_removing_a_home_undoes_its_blocks_first(suite: Suite, crash: bool) -> None:
    suite.respond("5710", timeout=600)
    suite.start()
    suite.write(FAILED_LOGIN.format(ip="198.51.100.7"))
    wait_until(suite.noted, "the response")
    if crash:
        suite.kill("ossec-execd")
    done = suite.python("-m", "ossec.cli.install", "--home", str(suite.layout.home), "--remove", "--yes")
    assert done.returncode == 0, done.stderr
    assert not suite.layout.home.exists()
    assert [words[:3] for words in suite.noted()] == [["add", "-", "198.51.100.7"], ["delete", "-", "198.51.100.7"]]


def test_a_home_that_is_not_ours_is_not_removed(suite: Suite) -> None:
    suite.layout.manifest.unlink()
    done = suite.python("-m", "ossec.cli.install", "--home", str(suite.layout.home), "--remove", "--yes")
    assert done.returncode == 1
    assert "remove it by hand" in done.stderr
    assert suite.layout.ossec_conf.exists()
