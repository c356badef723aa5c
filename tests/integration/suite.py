"""A real suite in a temporary home: installed, configured for a test, started, looked at, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ossec.layout import Layout
from ossec.suite import processes
from tests.support import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
NOTE_SCRIPT = """\
#!/bin/sh
# Appends its arguments to a file beside the home; what a test looks at.
printf '%s\\n' "$*" >> {notes}
"""
FAILED_LOGIN = "Failed password for invalid user eve from {ip} port 4242 ssh2"


def section(name: str, /, **elements: object) -> str:
    rows = "".join(f"<{element}>{value}</{element}>\n" for element, value in elements.items())
    return f"<{name}>\n{rows}</{name}>\n"


class Suite:
    """`prefix` is put before every command (`ip netns exec NAME`)."""

    def __init__(self, home: Path, prefix: Sequence[str] = ()) -> None:
        self.layout = Layout(home)
        self.prefix = list(prefix)
        self.log = home.parent / f"{home.name}.watched.log"
        self.notes = home.parent / f"{home.name}.notes"

    # making
    def install(self, *options: str, users: bool = False) -> dict[str, Any]:
        """With nothing of this machine but what `options` say; follows `self.log`."""
        command = ["-m", "ossec.cli.install", "--home", str(self.layout.home), "--json", "--no-systemd"]
        more = [] if users else ["--no-users"]
        done = self.python(*command, "--no-syscheck", "--no-rootcheck", *more, *options)
        assert done.returncode == 0, done.stderr
        self.forget_sources()
        self.log.touch()
        self.append(section("localfile", log_format="syslog", location=self.log))
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    def forget_sources(self) -> None:
        """Take the machine's own logs and commands out of ossec.conf: tests must not depend on them."""
        text = self.layout.ossec_conf.read_text()
        before, *rest = text.split("<localfile>")
        self.layout.ossec_conf.write_text(before + rest[-1].partition("</localfile>")[2] if rest else text)

    def append(self, *sections: str) -> None:
        """Another root at the end of ossec.conf, as OSSEC's own tools do it."""
        with self.layout.ossec_conf.open("a") as out:
            out.write(f"<ossec_config>\n{''.join(sections)}</ossec_config>\n")

    def respond(self, rules: str, timeout: int, command: str = "note", script: str = "note.sh") -> None:
        """A response to these rules; the default script appends its arguments to `self.notes`."""
        if script == "note.sh":
            path = self.layout.active_response_bin / script
            path.write_text(NOTE_SCRIPT.format(notes=self.notes))
            path.chmod(0o750)
            definition = section("command", name=command, executable=script, expect="srcip", timeout_allowed="yes")
        else:
            definition = ""  # the installer has defined it
        response = section("active-response", command=command, location="local", rules_id=rules, timeout=timeout)
        self.append(definition, response)

    # running
    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        return subprocess.run(
            [*self.prefix, *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=CHECKOUT,
            env=environment,
            timeout=120,
        )

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, *words])

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "ossec.cli.control", "--home", str(self.layout.home), *words)

    def start(self) -> None:
        done = self.control("start")
        assert done.returncode == 0, done.stdout + done.stderr

    def pids(self, name: str) -> list[int]:
        return [file.pid for file in processes.find_pid_files(self.layout, name) if file.ours]

    def pid(self, name: str) -> int:
        (pid,) = self.pids(name)
        return pid

    def kill(self, *names: str) -> None:
        """SIGKILL, as a crash would."""
        for name in names:
            os.kill(self.pid(name), signal.SIGKILL)
        wait_until(lambda: not any(self.pids(name) for name in names), f"the end of {names}")

    def end(self) -> None:
        """Whatever still runs, at once."""
        for path in self.layout.run_dir.glob("*.pid"):
            name = path.stem.rpartition("-")[0]
            for pid in self.pids(name):
                os.kill(pid, signal.SIGKILL)

    # looking
    def write(self, *texts: str, program: str = "sshd[7]") -> None:
        with self.log.open("a") as out:
            out.writelines(f"Nov 22 05:00:00 host1 {program}: {text}\n" for text in texts)

    def alerts(self, *rules: int) -> list[dict[str, Any]]:
        """Those of alerts.json, of these rules if any are named."""
        try:
            lines = self.layout.alerts_json.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines]
        return [alert for alert in found if not rules or alert["rule"]["sidid"] in rules]

    def wait_for_alert(self, rule: int, patience: float = 20.0) -> dict[str, Any]:
        return wait_until(lambda: self.alerts(rule), f"rule {rule} in {self.layout.alerts_json}", patience)[-1]

    def noted(self) -> list[list[str]]:
        """The argument lists that the response script was called with."""
        if not self.notes.exists():
            return []
        return [line.split() for line in self.notes.read_text().splitlines()]

    def ossec_log(self) -> str:
        return self.layout.ossec_log.read_text() if self.layout.ossec_log.exists() else ""


def said(text: str) -> list[str]:
    """The lines of a transcript without those of the daemons, which begin with a date."""
    return [line for line in text.splitlines() if not line[:4].isdigit()]


def names(daemons: Iterable[str]) -> list[str]:
    return [f"ossec-{name}" for name in daemons]
