"""A real ossec-syscheckd beside a real ossec-analysisd: a change in a watched folder is an alert within a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ossec.daemon.state import parse_state
from tests.integration.suite import Suite
from tests.support import make_bare_home, wait_until
from tests.unit.syscheckd.host import listen

WITHIN = 1.0  # seconds from the change to the alert, as promised
SLACK = 4.0  # more for a machine that runs other tests at the same time
BUSY = 0.7  # load per core from which on a machine counts as busy


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    suite = Suite(tmp_path / "home")
    suite.install("--type", "local", "--yes")
    suite.layout.local_internal_options.write_text("syscheck.sleep=0\n")
    text = suite.layout.ossec_conf.read_text()
    head, tag, rest = text.partition("<syscheck>")
    suite.layout.ossec_conf.write_text(head + tag + rest.replace("<disabled>yes<", "<disabled>no<", 1))
    try:
        yield suite
    finally:
        suite.end()


def watch(suite: Suite, folder: Path, attributes: str = 'check_all="yes" realtime="yes" report_changes="yes"') -> None:
    folder.mkdir(exist_ok=True)
    entry = f"<directories {attributes}>{folder}</directories>\n<frequency>86400</frequency>"
    suite.append(f"<syscheck>\n{entry}\n<alert_new_files>yes</alert_new_files></syscheck>\n")


def await_scan(suite: Suite, number: int = 1) -> None:
    wait_until(
        lambda: suite.ossec_log().count("INFO: Ending syscheck scan") >= number, f"scan {number}: {suite.ossec_log()}"
    )


def state(suite: Suite) -> dict[str, str]:
    return parse_state(suite.layout.state_file("ossec-syscheckd").read_text())


def patience() -> float:
    busy = os.getloadavg()[0] > BUSY * (os.cpu_count() or 1)
    return WITHIN + SLACK if busy else WITHIN


def test_a_change_is_an_alert_within_a_second(suite: Suite, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    watch(suite, folder)
    path = folder / "app.conf"
    path.write_text("one\n")
    suite.start()
    await_scan(suite)

    def alerts(rule: int, text: str) -> int:
        return sum(text in alert["full_log"] for alert in suite.alerts(rule))

    def own() -> None:
        os.chown(path, 12345, 12345)

    def write() -> None:
        with path.open("a") as out:
            out.write("two\n")

    steps: list[tuple[Callable[[], object], int, str]] = [
        (write, 550, f"Integrity checksum changed for: '{path}'\nSize changed from '4' to '8'"),
        (lambda: path.chmod(0o600), 551, "Permissions changed from 'rw-r--r--' to 'rw-------'"),
        (lambda: (folder / "new.conf").write_text("x"), 554, f"New file '{folder}/new.conf' added to the file system."),
        ((folder / "new.conf").unlink, 553, f"File '{folder}/new.conf' was deleted. Unable to retrieve checksum."),
    ]
    if os.geteuid() == 0:
        steps.append((own, 552, "Ownership was '0', now it is '12345'"))
    for act, rule, text in steps:
        began = time.monotonic()
        act()
        wait_until(lambda rule=rule, text=text: alerts(rule, text), f"{rule}: {text}; {suite.alerts()}")  # type: ignore[misc]
        assert time.monotonic() - began < patience(), text
    assert alerts(550, "What changed:\n1a2\n> two")


def test_it_lives_through_orders_a_kill_and_a_restart(suite: Suite, tmp_path: Path) -> None:
    """ossec-control knows it; the order file; what changed and went while it was dead; a clean stop."""
    folder = tmp_path / "watched"
    watch(suite, folder, 'check_all="yes"')
    for name in ("kept", "changed", "gone"):
        (folder / name).write_text(name)
    suite.start()
    await_scan(suite)
    assert "ossec-syscheckd is running..." in suite.control("status").stdout
    pid = suite.pid("ossec-syscheckd")
    wait_until(lambda: state(suite)["files"] == "3", "the state file")

    suite.layout.syscheck_run_file.write_text("")
    await_scan(suite, 2)
    wait_until(lambda: not suite.layout.syscheck_run_file.exists())

    suite.kill("ossec-syscheckd")
    wait_until(lambda: not list(Path(f"/proc/{pid}").glob("task/*/children")), "the end of its workers")
    (folder / "changed").write_text("changed!")
    (folder / "gone").unlink()
    suite.start()
    suite.wait_for_alert(553)
    suite.wait_for_alert(550)
    assert f"'{folder}/gone'" in suite.alerts(553)[0]["full_log"]
    assert f"'{folder}/changed'" in suite.alerts(550)[0]["full_log"]
    assert len(suite.alerts(550, 551, 552, 553)) == 2

    assert suite.control("stop").returncode == 0
    assert not suite.pids("ossec-syscheckd")
    assert "ossec-syscheckd(1225): INFO: SIGNAL [(15)-(Terminated)] Received. Exit Cleaning..." in suite.ossec_log()


def test_a_reload_takes_up_what_is_new(suite: Suite, tmp_path: Path) -> None:
    watch(suite, tmp_path / "first", 'check_all="yes"')
    suite.start()
    await_scan(suite)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "a").write_text("1")
    suite.append(f'<syscheck><directories check_all="yes">{tmp_path}/second</directories></syscheck>')
    os.kill(suite.pid("ossec-syscheckd"), signal.SIGHUP)
    await_scan(suite, 2)
    database = suite.layout.syscheck_database("syscheck")
    wait_until(lambda: database.exists() and f"{tmp_path}/second/a".encode() in database.read_bytes())

    suite.append("<syscheck><bogus>1</bogus></syscheck>")
    os.kill(suite.pid("ossec-syscheckd"), signal.SIGHUP)
    wait_until(lambda: "Reload refused" in suite.ossec_log())
    assert suite.pid("ossec-syscheckd")


def test_the_progress_of_a_scan_is_shown(suite: Suite, tmp_path: Path) -> None:
    """With pauses a scan takes long enough to be seen (the state file is written every 5 s)."""
    folder = tmp_path / "watched"
    watch(suite, folder, 'check_all="yes"')
    for number in range(40):
        (folder / f"f{number}").write_text("")
    suite.layout.local_internal_options.write_text("syscheck.sleep=60\nsyscheck.sleep_after=8\n")
    suite.start()

    def progress() -> str:
        return suite.python("-m", "ossec.cli.syscheck_control", "-D", str(suite.layout.home), "--progress").stdout

    wait_until(lambda: " of 40 files (" in progress(), "progress")
    assert state(suite)["scan"] == "first"
    assert state(suite)["scan_total"] == "40"


@pytest.mark.parametrize("missing", [True, False])
def test_it_waits_for_a_queue(tmp_path: Path, missing: bool) -> None:
    """Ready at once, with its pid file, whether somebody listens or not; nothing is lost meanwhile."""
    layout = make_bare_home(tmp_path / "home")
    (tmp_path / "watched").mkdir()
    (tmp_path / "watched" / "a").write_text("1")
    layout.ossec_conf.write_text(
        f'<ossec_config><syscheck><directories check_all="yes">{tmp_path}/watched</directories></syscheck>'
        "<rootcheck><disabled>yes</disabled></rootcheck></ossec_config>"
    )
    layout.local_internal_options.write_text("syscheck.sleep=0\n")
    reader = None if missing else listen(layout.event_queue)
    command = [sys.executable, "-m", "ossec.syscheckd", "-f", "-D", str(layout.home)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as daemon:
        try:
            wait_until(lambda: layout.pid_file("ossec-syscheckd", daemon.pid).exists(), "the pid file")
            reader = reader or listen(layout.event_queue)
            reader.settimeout(20)
            seen = [reader.recv(6144).rstrip(b"\0") for _ in range(4)]
            assert seen[0] == b"9:rootcheck:Starting syscheck scan."
            assert seen[1].endswith(b"/watched/a")
            assert seen[3] == b"8:syscheck:syscheck-db-completed"
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(20) == 0
            assert not layout.pid_file("ossec-syscheckd", daemon.pid).exists()
        finally:
            daemon.kill()
            if reader is not None:
                reader.close()
