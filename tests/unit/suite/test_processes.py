"""A pid file is worth what stands behind it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ossec.layout import Layout
from ossec.suite import processes


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("python", "-P", "-m", "ossec.execd", "--home", "/h"), True),
        (("python", "-P", "/h/bin/ossec-execd"), True),
        (("/var/ossec/bin/ossec-execd",), True),  # the C daemon
        (("python", "-P", "-m", "ossec.execd", "--home", "/other"), False),
        (("python", "-m", "ossec.execd", "-D", "/h/../h"), True),
        (("python", "-m", "ossec.analysisd", "--home", "/h"), False),
        (("vi", "/h/etc/ossec.conf"), False),
        (("less", "/h/logs/ossec.log"), False),
        ((), False),
    ],
)
def test_a_daemon_is_known_by_name_and_home(words: tuple[str, ...], expected: bool) -> None:
    assert processes.is_daemon(words, "ossec-execd", "/h") is expected


def test_pid_files_of_dead_and_foreign_processes_are_told_apart(bare_home: Layout) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getpid()):
        bare_home.pid_file("ossec-execd", pid).write_text(f"{pid}\n")
    (bare_home.run_dir / "ossec-execd-x.pid").write_text("")
    found = {file.pid: (file.alive, file.ours) for file in processes.find_pid_files(bare_home, "ossec-execd")}
    assert found == {ended.pid: (False, False), os.getpid(): (True, False)}


def test_waiting_ends_with_the_last_process_and_names_those_that_stay() -> None:
    quick = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    slow = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        quick.communicate(b"\n")
        assert processes.wait_for_end([quick.pid, slow.pid], time.monotonic() + 0.2) == [slow.pid]
    finally:
        slow.communicate(b"\n")
    assert processes.wait_for_end([slow.pid], time.monotonic() + 0.2) == []
