"""A real ossec-execd on a bare home, with scripts that record their arguments."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from ossec.daemon.state import parse_state
from ossec.execd import store
from tests.support import make_bare_home, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
# One file a call, complete when it has its name; `exit` and `sleep` of the words decide how it ends.
RECORD = """#!/bin/sh
file=$(mktemp "{calls}/new.XXXXXX")
printf '%s\\0' "$0" "$@" >"$file"
mv "$file" "{calls}/call.${{file##*.}}"
{more}
"""
DATE = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")


class RealExecd:
    """`log` is ossec.log without dates, `calls` what the scripts were called with."""

    def __init__(self, home: Path, ossec_conf: str = "<ossec_config>\n</ossec_config>\n") -> None:
        self.layout = make_bare_home(home)
        self.layout.ossec_conf.write_text(ossec_conf)
        self.calls_dir = home / "calls"
        self.calls_dir.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.wakes = 0

    def script(self, name: str, more: str = "", text: str | None = None) -> Path:
        path = self.layout.active_response_bin / name
        path.write_text(RECORD.format(calls=self.calls_dir, more=more) if text is None else text)
        path.chmod(0o755)
        return path

    def ar_conf(self, text: str) -> None:
        """In one step, as analysisd writes it."""
        new = self.layout.ar_conf.with_suffix(".new")
        new.write_bytes(text.encode("latin-1"))
        new.rename(self.layout.ar_conf)

    def start(self, *args: str, wait: bool = True, before: str = "") -> None:
        """`before` is Python that runs in the process first: a shorter bound, for one."""
        code = f"import sys\n{before}\nfrom ossec.execd.__main__ import main\nsys.argv[0] = 'ossec-execd'\nmain()"
        command = [sys.executable, "-c", code, "--home", str(self.layout.home), "-f", *args]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment, cwd="/tmp")
        if wait:
            started = f"Started (pid: {self.process.pid})."
            wait_until(lambda: any(started in line for line in self.log()), "execd to start")

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """To its end, as a command."""
        command = [sys.executable, "-m", "ossec.execd", "--home", str(self.layout.home), *args]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    def send(self, datagram: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(datagram, str(self.layout.exec_queue))

    def barrier(self) -> None:
        """Until everything sent before has been looked at."""
        self.wakes += 1
        mark = f"barrier-{self.wakes}"
        self.send(mark.encode())
        wait_until(lambda: any(mark in line for line in self.log()), "the messages to be taken")

    def log(self) -> list[str]:
        if not self.layout.ossec_log.exists():
            return []
        text = self.layout.ossec_log.read_bytes().decode("utf-8", "surrogateescape")
        return [DATE.sub("", line) for line in text.splitlines()]

    def calls(self) -> list[list[bytes]]:
        """Oldest first."""
        files = sorted(self.calls_dir.glob("call.*"), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes().split(b"\0")[:-1] for path in files]

    def wait_for_calls(self, count: int) -> list[list[bytes]]:
        return wait_until(lambda: len(self.calls()) >= count and self.calls(), f"{count} calls")

    def blocks(self) -> int:
        """According to the journal."""
        return len(store.read(self.layout.execd_journal).entries)

    def state(self) -> dict[str, str]:
        return parse_state(self.layout.state_file("ossec-execd").read_text())

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
