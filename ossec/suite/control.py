"""The actions of ossec-control on one home (spec/configuration.md, section 8).

Theory of operation.  Everything that changes the home happens under one `flock`.  `start`, `restart` and `reload` run
every daemon's `-t` first, side by side, and touch nothing if one fails.  Starting goes by groups: the daemons of a
group start side by side, each one's first process ends when it is ready or has failed, and their lines come in OSSEC's
order.  Stopping goes by groups too, collectors first, so that analysisd still hears what they have to say.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ossec import COMPATIBLE_VERSION
from ossec.config.kind import Kind, guess_kind
from ossec.daemon.state import parse_state
from ossec.errors import ConfigError, OssecError
from ossec.layout import Layout
from ossec.suite import processes
from ossec.suite.roster import OPTIONAL, SWITCHES, ProcessList, Roster, choose, switched_off

START_PATIENCE = 60.0  # seconds for a daemon to be ready; OSSEC's limit for the analysis queue
STOP_PATIENCE = 45.0  # seconds from SIGTERM to SIGKILL, over all daemons; OSSEC's
RELOAD_PATIENCE = 60.0  # seconds for a daemon to read its configuration again; thousands of rules take some
KILL_PATIENCE = 5.0  # seconds for the kernel to end a killed process
LOCK_PATIENCE = 120.0  # seconds for another ossec-control: a stop and a start at their slowest
LOCK_POLL = 0.05
TEST_WORKERS = 4  # -t runs side by side; more only compete for processors

Say = Callable[[str], None]


class ControlError(OssecError):
    """The action failed; the message is the last line for the user (empty: all is said)."""


@dataclass(frozen=True, slots=True)
class DaemonState:
    """What `status` knows about a daemon."""

    name: str
    pids: tuple[int, ...]

    @property
    def running(self) -> bool:
        return bool(self.pids)


class Control:
    """`say` prints OSSEC's lines (stdout), `warn` what daemons and we add (stderr)."""

    def __init__(self, layout: Layout, say: Say, warn: Say) -> None:
        self.layout = layout
        self.say = say
        self.warn = warn

    # what the home is
    def home_type(self) -> Kind:
        return guess_kind(_read(self.layout.init_conf), _read(self.layout.ossec_conf))

    def process_list(self) -> ProcessList:
        return ProcessList.parse(_read(self.layout.process_list))

    def roster(self) -> Roster:
        """ConfigError where this is no home."""
        try:
            text = self.layout.ossec_conf.read_text("utf-8", "replace")
        except FileNotFoundError:
            raise ConfigError(
                "no such file, so this is no OSSEC home. Name one with --home, or make one with ossec-install",
                self.layout.ossec_conf,
            ) from None
        kind = self.home_type()
        return choose(kind, self.process_list().enabled, switched_off(text), processes.available(kind))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One ossec-control at a time; the kernel frees the lock of one that died."""
        path = self.layout.control_lock
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except IsADirectoryError:  # left by the C suite, whose lock is a directory
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            deadline = time.monotonic() + LOCK_PATIENCE
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ControlError(
                            f"{path}: another ossec-control holds this lock; end it and try again"
                        ) from None
                    time.sleep(LOCK_POLL)
            yield
        finally:
            os.close(descriptor)

    # actions
    def start(self) -> None:
        with self.locked():
            self._start(self.roster())

    def stop(self) -> None:
        with self.locked():
            self._stop(self.roster())

    def restart(self) -> None:
        """As stop and start, but a broken configuration leaves what runs alone."""
        with self.locked():
            roster = self.roster()
            self._validate(roster)
            self._stop(roster)
            self._start(roster, validated=True)

    def reload(self) -> None:
        """SIGHUP to every daemon that runs: it reads its configuration again in place.

        Those that do not run are started, those that the configuration has switched off end.  `Reloaded` is said when
        the daemon says so; one that refuses goes on as it was, and the others are reloaded all the same.
        """
        with self.locked():
            roster = self.roster()
            self._validate(roster)
            self.say(f"Reloading OSSEC HIDS {COMPATIBLE_VERSION}...")
            failed: list[str] = []
            for group in roster.start_groups:
                running = {name: self._running(name) for name in group}
                failed += self._reload_group({name: pids for name, pids in running.items() if pids})
                self._start_group([name for name, pids in running.items() if not pids], roster)
            for name in self._strays(roster):
                self.say(f"Killing {name} .. ")
                self._end(name)
            if failed:
                raise ControlError(f"{' '.join(failed)} did not reload.")
            self.say("Completed.")

    def _reload_group(self, daemons: Mapping[str, list[int]]) -> list[str]:
        """Reload them side by side, report in order; those that did not."""
        before = {name: self._read_mark(name) for name in daemons}
        deadline = time.monotonic() + RELOAD_PATIENCE
        for pids in daemons.values():
            for pid in pids:
                processes.send(pid, signal.SIGHUP)
        failed = []
        for name, pids in daemons.items():
            while True:
                mark = self._read_mark(name)
                if mark != before[name] or self._running(name) != pids or time.monotonic() > deadline:
                    break
                time.sleep(LOCK_POLL)
            problem = None
            if mark != before[name]:
                if mark.get("problem"):
                    problem = f"goes on with the configuration that it had: {mark['problem']}"
            elif self._running(name) != pids:
                problem = f"ended instead of reloading; see {self.layout.ossec_log}"
            else:
                problem = f"not reloaded after {RELOAD_PATIENCE:.0f} s; see {self.layout.ossec_log}"
            if problem is None:
                self.say(f"Reloaded {name}...")
            else:
                self.warn(f"{name}: {problem}")
                failed.append(name)
        return failed

    def _read_mark(self, name: str) -> dict[str, str]:
        return parse_state(_read(self.layout.reload_mark(name)))

    def _strays(self, roster: Roster) -> list[str]:
        """Daemons that run and are not to run: switched off in ossec.conf, or by `disable`."""
        known = (*(name for group in roster.stop_groups for name in group), *sorted(OPTIONAL))
        return [name for name in dict.fromkeys(known) if name not in roster.start_order and self._running(name)]

    def test(self) -> None:
        """Every daemon's `-t`, and nothing else."""
        roster = self.roster()
        self._validate(roster, trust_names=False)
        self.say(f"Configuration accepted by {', '.join(roster.start_order)}.")

    def states(self) -> list[DaemonState]:
        """In the order of `status`."""
        return [DaemonState(name, tuple(self._running(name))) for name in self.roster().status_order]

    def status(self) -> bool:
        """Print each daemon's line; whether all run."""
        self._report_stale(self.roster().status_order)
        states = self.states()
        for state in states:
            self.say(f"{state.name} is running..." if state.running else f"{state.name} not running...")
        return all(state.running for state in states)

    def switch(self, option: str, on: bool) -> None:
        """enable/disable: one line of bin/.process_list, written anew."""
        with self.locked():
            path = self.layout.process_list
            text = self.process_list().switched(option, on).format()
            temporary = path.with_name(path.name + ".new")
            temporary.write_text(text, "utf-8")
            temporary.chmod(0o644)
            temporary.rename(path)

    # parts
    def _validate(self, roster: Roster, *, trust_names: bool = True) -> None:
        """Every daemon's `-t`; all that is wrong is printed.  ControlError if one refuses."""
        with ThreadPoolExecutor(TEST_WORKERS) as pool:
            results = list(pool.map(lambda name: self._test(name, trust_names), roster.start_order))
        refused = []
        for name, status, lines in results:
            if status != 0:
                refused.append(name)
                for line in lines:
                    self.warn(line)
        for name in refused:
            if name == "ossec-analysisd" and roster.home_type is Kind.SERVER:
                self.say("OSSEC analysisd: Testing rules failed. Configuration error. Exiting.")
            else:
                self.say(f"{name}: Configuration error. Exiting.")
        if refused:
            running = [name for name in roster.start_order if self._running(name)]
            raise ControlError(f"Left as they were: {' '.join(running)}." if running else "")

    def _test(self, name: str, trust_names: bool) -> tuple[str, int | None, list[str]]:
        launch = processes.launch(self.layout, name, ["-t"], trust_names=trust_names)
        status = launch.wait(START_PATIENCE)
        lines = launch.lines()
        if status is None:
            lines.append(f"{name} -t did not end within {START_PATIENCE:.0f} s.")
        launch.output.close()
        return name, status, lines

    def _start(self, roster: Roster, validated: bool = False) -> None:
        self.say(f"Starting OSSEC HIDS {COMPATIBLE_VERSION}...")
        self._report_stale(roster.start_order, deleting=True)
        if not validated:
            self._validate(roster)
        if roster.absent:
            self.warn(f"Not part of this version, not started: {' '.join(roster.absent)}.")
        for group in roster.start_groups:
            self._start_group(group, roster)
        self._run_sub_agent("start", "Starting")
        self.say("Completed.")

    def _start_group(self, group: Sequence[str], roster: Roster) -> None:
        """Start side by side, report in order.  After a failure those behind it in the group are ended again."""
        options = self.process_list().debug
        running = {name for name in group if self._running(name)}
        launches = {name: processes.launch(self.layout, name, options) for name in group if name not in running}
        failed: str | None = None
        for name in group:
            if name in running:
                if failed is None:
                    self.say(f"{name} already running...")
            elif failed is not None:
                launches[name].wait(START_PATIENCE)
                self._end(name)
            elif not self._report_start(launches[name], roster):
                failed = name
        for launch in launches.values():
            launch.output.close()
        if failed is not None:
            ending = "" if roster.home_type is Kind.AGENT else " correctly."  # as each of OSSEC's scripts says it
            raise ControlError(f"{failed} did not start{ending}")

    def _report_start(self, launch: processes.Launch, roster: Roster) -> bool:
        """Wait for one daemon and print what there is to say; whether it runs, or has nothing to do."""
        name = launch.name
        status = launch.wait(START_PATIENCE)
        lines = launch.lines()
        running = bool(self._running(name))
        problem = None
        if status is None:
            problem = f"{name}: not ready after {START_PATIENCE:.0f} s; see {self.layout.ossec_log}"
        elif status != 0:
            problem = ""  # it has said why
        elif not running and any("Started (pid: " in line for line in lines):
            problem = f"{name}: ended right after it was ready; see {self.layout.ossec_log}"
        elif running and name == roster.receiver and not _accepts(self.layout.event_queue):
            problem = f"{name}: nobody listens on {self.layout.event_queue}"
        if running and problem is None:
            lines = [line for line in lines if ": INFO: " not in line]
        for line in (*lines, *filter(None, (problem,))):
            self.warn(line)
        if running and problem is None:
            self.say(f"Started {name}...")
        return problem is None

    def _end(self, name: str) -> None:
        pids = self._running(name)
        for pid in pids:
            processes.send(pid, signal.SIGTERM)
        for pid in processes.wait_for_end(pids, time.monotonic() + STOP_PATIENCE):
            processes.send(pid, signal.SIGKILL)

    def _stop(self, roster: Roster) -> None:
        everyone = [name for group in roster.stop_groups for name in group]
        self._report_stale(everyone, deleting=True)
        deadline = time.monotonic() + STOP_PATIENCE
        strays = tuple(name for name in self._strays(roster) if name not in everyone)  # disabled while they ran
        for group in (*roster.stop_groups, *((strays,) if strays else ())):
            pids = []
            for name in group:
                running = self._running(name)
                for pid in running:
                    try:
                        processes.send(pid, signal.SIGTERM)
                    except PermissionError:
                        raise ControlError(
                            f"{name}: process {pid} belongs to another user; run this as root or as that user"
                        ) from None
                pids += running
                self.say(f"Killing {name} .. " if running else f"{name} not running ..")
            for pid in processes.wait_for_end(pids, deadline):
                self.say(f"Process {pid} did not exit; sending SIGKILL ..")
                processes.send(pid, signal.SIGKILL)
            processes.wait_for_end(pids, time.monotonic() + KILL_PATIENCE)
            for name in group:
                for file in processes.find_pid_files(self.layout, name):
                    if not file.ours:
                        file.path.unlink(missing_ok=True)
        self.layout.event_queue.unlink(missing_ok=True)
        self._run_sub_agent("stop", "Stopping")
        self.say(f"OSSEC HIDS {COMPATIBLE_VERSION} Stopped")

    def _run_sub_agent(self, action: str, verb: str) -> None:
        """The agent of a hybrid home, which lies in `ossec-agent` below it."""
        layout = Layout(self.layout.sub_agent_home)
        if not layout.ossec_conf.is_file():
            return
        self.say(f"{verb} sub agent directory (for hybrid mode)")
        getattr(Control(layout, self.say, self.warn), action)()

    def _running(self, name: str) -> list[int]:
        return [file.pid for file in processes.find_pid_files(self.layout, name) if file.ours]

    def _report_stale(self, names: Sequence[str], deleting: bool = False) -> None:
        """Remove pid files that no daemon of ours stands behind, as far as we may."""
        for name in names:
            for file in processes.find_pid_files(self.layout, name):
                if file.ours:
                    continue
                if deleting and not file.alive:
                    self.say(f"Deleting PID file '{file.path}' not used...")
                else:
                    self.say(f"{name}: Process {file.pid} not used by ossec, removing ..")
                with contextlib.suppress(PermissionError):
                    file.path.unlink(missing_ok=True)


def _accepts(path: Path) -> bool:
    """Whether somebody is bound to the datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _read(path: Path) -> str:
    """Its text; empty where there is no file."""
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""


__all__ = ["SWITCHES", "Control", "ControlError", "DaemonState"]
