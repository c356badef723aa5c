"""`make run` as a developer sees it: alerts on the terminal, a clean end, nothing left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ossec.layout import Layout
from ossec.suite import processes
from tests.integration.suite import CHECKOUT
from tests.support import wait_until

START_PATIENCE = 60.0  # seconds: an installation and a start beside other tests
DAEMONS = ("ossec-execd", "ossec-analysisd", "ossec-logcollector")


class Terminal:
    """`python -m ossec.suite.demo HOME`, its output in a file."""

    def __init__(self, home: Path) -> None:
        self.layout = Layout(home)
        self.output = home.with_suffix(".out")
        with self.output.open("wb") as out:
            command = [sys.executable, "-m", "ossec.suite.demo", str(home)]
            self.process = subprocess.Popen(command, cwd=CHECKOUT, stdout=out, stderr=out, start_new_session=True)

    def text(self) -> str:
        return self.output.read_text()

    def hint(self) -> str:
        """The command that it prints, once it is there."""
        found = self.wait_for(r"^  (echo .*)\n")
        return found[1]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Until the output holds it; what it says instead, if it ends before."""

        def look() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            found = re.search(pattern, self.text(), re.MULTILINE)
            assert found or not ended, self.text()
            return found

        return wait_until(look, f"{pattern} in {self.output}", START_PATIENCE)

    def running(self) -> list[str]:
        files = [file for name in DAEMONS for file in processes.find_pid_files(self.layout, name)]
        return [file.path.name for file in files if file.ours]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_make_run_shows_the_alert_that_its_hint_provokes_and_ends_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    terminal = Terminal(tmp_path / "run")
    try:
        subprocess.run(["sh", "-c", terminal.hint()], check=True, cwd=CHECKOUT)
        terminal.wait_for(r"rule 5710 \(level 5\)")
        assert "from 192.0.2.7 · user eve" in terminal.text()
        assert len(terminal.running()) == len(DAEMONS)
        os.killpg(terminal.process.pid, number)  # as Ctrl-C: to everything on the terminal
        assert terminal.process.wait(timeout=30) == 0
    finally:
        terminal.process.kill()
    assert terminal.running() == []
    assert terminal.text().endswith("OSSEC HIDS v4.2.0 Stopped\n")
    assert "Traceback" not in terminal.text()


def test_make_run_takes_over_after_a_run_that_was_killed(tmp_path: Path) -> None:
    first = Terminal(tmp_path / "run")
    first.hint()
    first.process.kill()
    first.process.wait()
    left = first.running()
    assert len(left) == len(DAEMONS)
    again = Terminal(tmp_path / "run")
    try:
        again.hint()
        assert not set(left) & set(again.running())
        os.kill(int(again.running()[-1].removesuffix(".pid").rpartition("-")[2]), signal.SIGKILL)
        assert again.process.wait(timeout=30) == 1, "a daemon that ends by itself ends the run, with a reason"
        assert "ossec-logcollector ended by itself" in again.text()
    finally:
        again.process.kill()
    assert again.running() == []
