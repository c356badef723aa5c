"""What `make run` starts: a local home below the checkout, alerts live on the terminal, Ctrl-C to end it.

It watches what this machine really logs, as far as this user may read it, and a file in the home.
Responses are off here, also for root: a developer who mistypes a password must not lock himself out of his machine.  No
system user is created.  The home stays for the next run; an existing one is upgraded, its configuration kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ossec.errors import OssecError
from ossec.layout import Layout, data_dir
from ossec.suite.control import Control, ControlError
from ossec.suite.installer import Installer
from ossec.suite.machine import LogSource, Machine, survey
from ossec.suite.template import InstallType, Settings

HEALTH_INTERVAL = 1.0  # seconds between two looks at the daemons
POLL = 0.1  # seconds between two looks at alerts.json: what a reader of a terminal does not notice
CHUNK = 1 << 16  # bytes read at once
MAX_LINE = 1 << 20  # bytes of an unfinished alert kept; an alert is far shorter
EXAMPLE = "Failed password for invalid user eve from 192.0.2.7 port 4242 ssh2"
RED, YELLOW, DIM, PLAIN = "\033[1;31m", "\033[33m", "\033[2m", "\033[0m"
HIGH_LEVEL, MIDDLE_LEVEL = 10, 5


def prepare(home: Path, machine: Machine) -> None:
    """Make or upgrade the home.  Besides the machine's logs it follows one of its own, so the hint always works."""
    watched = LogSource(str(Layout(home).demo_log), "syslog")
    settings = Settings(
        home, InstallType.LOCAL, syscheck=False, rootcheck=False, firewall_response=False, extra_logs=(watched,)
    )
    Installer(settings, replace(machine, programs=frozenset()), data_dir(), users=False).install()
    Layout(home).demo_log.touch()


def hint(home: Path) -> str:
    """The command that provokes the first alert."""
    log = Layout(home).demo_log
    if log.is_relative_to(Path.cwd()):
        log = log.relative_to(Path.cwd())
    return f"""echo "$(LC_ALL=C date '+%b %e %T') $(hostname) sshd[1]: {EXAMPLE}" >> {log}"""


def show(alert: dict[str, Any], colour: bool) -> str:
    """One alert as a line and its log below."""
    rule = alert.get("rule", {})
    level = int(rule.get("level", 0))
    paint = RED if level >= HIGH_LEVEL else YELLOW if level >= MIDDLE_LEVEL else ""
    who = [f"{name} {alert[key]}" for key, name in (("srcip", "from"), ("dstuser", "user")) if alert.get(key)]
    stamp = time.strftime("%H:%M:%S", time.localtime(alert.get("TimeStamp", 0) / 1000))
    title = f"rule {rule.get('sidid')} (level {level}) {rule.get('comment', '')}"
    head = " · ".join([title, *who, str(alert.get("location", ""))])
    log = _printable(str(alert.get("full_log", "")))
    if not colour:
        return f"{stamp} {_printable(head)}\n         {log}"
    return f"{stamp} {paint}{_printable(head)}{PLAIN}\n         {DIM}{log}{PLAIN}"


def _printable(text: str) -> str:
    """An attacker writes log lines: no control character of theirs reaches the terminal."""
    return "".join(char if char.isprintable() else "·" for char in text)


class Follower:
    """New lines of a file that may not exist yet, and that another day's may replace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.inode = 0
        self.rest = b""
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            self.offset, self.inode = status.st_size, status.st_ino

    def lines(self) -> Iterator[bytes]:
        """Those that came since the last call."""
        try:
            source = self.path.open("rb")
        except FileNotFoundError:
            return
        with source:
            status = os.fstat(source.fileno())
            if status.st_ino != self.inode or status.st_size < self.offset:
                self.inode, self.offset, self.rest = status.st_ino, 0, b""
            source.seek(self.offset)
            while chunk := source.read(CHUNK):
                self.offset += len(chunk)
                *complete, self.rest = (self.rest + chunk).split(b"\n")
                self.rest = self.rest[:MAX_LINE]
                yield from complete


def run(home: Path) -> int:
    """Install, start, show alerts until SIGINT or SIGTERM, stop."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(writing, b"."))
    layout = Layout(home)
    control = Control(layout, _say, _warn)
    machine = survey()
    prepare(home, machine)
    if any(state.running for state in control.states()):  # of a run that was killed
        control.stop()
    follower = Follower(layout.alerts_json)
    try:
        control.start()
        _introduce(home, machine)
        return _show_alerts(control, follower, reading)
    finally:
        _say("")
        control.stop()


def _show_alerts(control: Control, follower: Follower, stop: int) -> int:
    """Until `stop` is readable (0) or a daemon ends by itself (1)."""
    looked = time.monotonic()
    while not select.select([stop], [], [], POLL)[0]:
        for line in follower.lines():
            with contextlib.suppress(ValueError):
                _say(show(json.loads(line), sys.stdout.isatty()))
        if time.monotonic() - looked > HEALTH_INTERVAL:
            looked = time.monotonic()
            dead = [state.name for state in control.states() if not state.running]
            if dead:
                _warn(f"{', '.join(dead)} ended by itself; see {control.layout.ossec_log}")
                return 1
    return 0


def _introduce(home: Path, machine: Machine) -> None:
    sources = [log.location for log in machine.logs] + (["the journal"] if machine.journal else [])
    _say(f"\nWatching {', '.join((*sources, str(Layout(home).demo_log)))}")
    if machine.unreadable:
        _say(f"Not readable for you, left out: {', '.join(machine.unreadable)}")
    _say(f"Home: {home} (configuration etc/ossec.conf, alerts logs/alerts/). Responses are off. Ctrl-C stops it all.")
    _say(f"For a first alert, in another terminal:\n\n  {hint(home)}\n")


def _say(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """`python -m ossec.suite.demo [HOME]`."""
    home = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else data_dir() / "run"
    try:
        sys.exit(run(home))
    except ControlError as error:
        sys.exit(str(error) or 1)
    except (OssecError, OSError) as error:
        sys.exit(f"make run: {error}")


if __name__ == "__main__":
    main()
