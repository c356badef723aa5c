"""Processes of a home: found by pid file, started, signalled, waited for."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import ossec
from ossec.config.kind import Kind
from ossec.config.schema import TRUST_NAMES
from ossec.layout import Layout

MAX_COMMAND_LINE = 4096  # bytes of /proc/PID/cmdline that decide; interpreter, module and home stand at its start


@dataclass(frozen=True, slots=True)
class PidFile:
    """`var/run/NAME-PID.pid`.  `alive`: the pid exists; `ours`: and it is this daemon."""

    path: Path
    pid: int
    alive: bool
    ours: bool


def module_of(name: str) -> str:
    """`ossec-execd` -> `ossec.execd`."""
    return "ossec." + name.removeprefix("ossec-")


def exists(name: str) -> bool:
    """Whether this version has the daemon."""
    return (Path(ossec.__file__).parent / name.removeprefix("ossec-") / "__main__.py").is_file()


def available(home_type: Kind) -> Callable[[str], bool]:
    """Which daemons this version has for a home of this type.

    What monitord does here so far is for agents, so a local home does without: its logs are not yet packed and signed.
    """

    def has(name: str) -> bool:
        return exists(name) and not (name == "ossec-monitord" and home_type is Kind.LOCAL)

    return has


def is_daemon(command_line: Sequence[str], name: str, home: str) -> bool:
    """Whether a command line is daemon `name` of `home`.

    OSSEC asks only for `ossec` in it.  After a reboot or in a container a stale pid easily belongs to another daemon,
    or to the same one of another home, which must not be signalled.
    """
    named = any(word == module_of(name) or word.rpartition("/")[2] == name for word in command_line)
    if not named:
        return False
    for flag, value in pairwise(command_line):
        if flag in ("--home", "-D"):
            return os.path.realpath(value) == os.path.realpath(home)
    return True


def find_pid_files(layout: Layout, name: str) -> list[PidFile]:
    """The pid files of a daemon with what became of their processes."""
    found = []
    for path in sorted(layout.run_dir.glob(f"{name}-*.pid")):
        text = path.stem.removeprefix(f"{name}-")
        if not text.isdigit():
            continue
        words = _command_line(int(text))
        found.append(PidFile(path, int(text), words is not None, is_daemon(words or (), name, str(layout.home))))
    return found


def _command_line(pid: int) -> tuple[str, ...] | None:
    """Its words, none for a zombie; None where there is no such process."""
    try:
        with Path(f"/proc/{pid}/cmdline").open("rb") as source:
            words = source.read(MAX_COMMAND_LINE).split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return tuple(os.fsdecode(word) for word in words if word)


@dataclass(slots=True)
class Launch:
    """A daemon that was started and has not yet said whether it runs."""

    name: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    began: float

    def wait(self, patience: float) -> int | None:
        """Its exit status (0: it runs in the background, or had nothing to do); None when patience ends."""
        try:
            return self.process.wait(max(0.0, self.began + patience - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def lines(self) -> list[str]:
        """What it said on the terminal."""
        self.output.seek(0)
        return self.output.read().decode("utf-8", "replace").splitlines()


def launch(layout: Layout, name: str, options: Sequence[str] = (), *, trust_names: bool = False) -> Launch:
    """Start daemon `name` with this interpreter; `trust_names`: it need not ask the DNS about host names.

    It runs with `-P` and from `/`, so that no module of the current directory gets in its way.  The daemon itself goes
    into the background, and its first process stays until it is ready.
    """
    output = tempfile.TemporaryFile()  # noqa: SIM115  (closed by whoever reads the launch)
    command = [sys.executable, "-P", "-m", module_of(name), "--home", str(layout.home), *options]
    environment = _environment(layout)
    if trust_names:
        environment[TRUST_NAMES] = "1"
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/", env=environment
    )
    return Launch(name, process, output, time.monotonic())


def _environment(layout: Layout) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    environment["OSSEC_HOME"] = str(layout.home)
    package_root = str(Path(ossec.__file__).parent.parent)
    if package_root not in sys.path[1:]:  # reached through the current directory only
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
    return environment


def send(pid: int, number: signal.Signals) -> bool:
    """Signal a process; False where it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_for_end(pids: Sequence[int], deadline: float) -> list[int]:
    """Those of `pids` that still run at `deadline` (of time.monotonic())."""
    remaining = dict(_open_pids(pids))
    poll = select.poll()
    for descriptor in remaining:
        poll.register(descriptor, select.POLLIN)
    try:
        while remaining:
            patience = deadline - time.monotonic()
            if patience <= 0:
                break
            for descriptor, _ in poll.poll(patience * 1000):
                poll.unregister(descriptor)
                os.close(descriptor)
                del remaining[descriptor]
        return list(remaining.values())
    finally:
        for descriptor in remaining:
            os.close(descriptor)


def _open_pids(pids: Sequence[int]) -> Iterator[tuple[int, int]]:
    for pid in pids:
        try:
            yield os.pidfd_open(pid), pid
        except ProcessLookupError:
            continue
