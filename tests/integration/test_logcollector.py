"""ossec-logcollector as a process, in a temporary home, against a socket of ours."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossec.layout import Layout
from tests.support import PATIENCE, wait_until

CHECKOUT = Path(__file__).parents[2]
REMOTE_JOURNAL = Path("/lib/systemd/systemd-journal-remote")


class Queue:
    """The receiving end; datagrams without their NUL."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket: socket.socket | None = None
        self.got: list[str] = []

    def open(self) -> Queue:
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.fspath(self.path))
        self.socket.settimeout(0.05)
        return self

    def close(self) -> None:
        assert self.socket is not None
        self.socket.close()
        self.socket = None

    def take(self) -> list[str]:
        """Everything so far."""
        assert self.socket is not None
        try:
            while True:
                self.got.append(self.socket.recv(65536).removesuffix(b"\0").decode("latin-1"))
        except TimeoutError:
            pass
        return self.got

    def take_some(self, most: int) -> list[str]:
        """As `take`, but no more than `most` at a time."""
        assert self.socket is not None
        try:
            for _ in range(most):
                self.got.append(self.socket.recv(65536).removesuffix(b"\0").decode("latin-1"))
        except TimeoutError:
            pass
        return self.got

    def expect(self, count: int) -> list[str]:
        wait_until(lambda: len(self.take()) >= count, f"{count} messages, have {self.got[-5:]}")
        return self.got


class Machine:
    """A home, a directory of logs, a queue, and the collector."""

    def __init__(self, layout: Layout, logs: Path) -> None:
        self.layout = layout
        self.logs = logs
        self.queue = Queue(layout.event_queue)
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = dict(os.environ)
        logs.mkdir()

    def configure(self, *sources: str, **options: int) -> None:
        body = "".join(f"<localfile>{source}</localfile>\n" for source in sources)
        self.layout.ossec_conf.write_text(f"<ossec_config>\n{body}</ossec_config>\n")
        lines = [f"logcollector.{name}={value}\n" for name, value in options.items()]
        self.layout.local_internal_options.write_text("".join(lines))

    def follow(self, *names: str, log_format: str = "syslog", **options: int) -> None:
        self.configure(
            *(f"<log_format>{log_format}</log_format><location>{self.logs / name}</location>" for name in names),
            **options,
        )

    def log(self) -> str:
        try:
            return self.layout.ossec_log.read_text()
        except FileNotFoundError:
            return ""

    def start(self) -> subprocess.Popen[bytes]:
        before = self.log().count("Started (pid")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ossec.logcollector", "-f", "--home", os.fspath(self.layout.home)],
            cwd=CHECKOUT,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        process = self.process
        wait_until(lambda: self.log().count("Started (pid") > before or process.poll() is not None, "the start")
        assert process.poll() is None, self.log()
        return process

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def settle(self) -> None:
        """Wait until what was sent is also saved."""
        assert self.process is not None
        wait_for_rest(self.process.pid)

    def append(self, name: str, text: str) -> None:
        with (self.logs / name).open("a") as file:
            file.write(text)

    def texts(self, count: int, name: str = "x.log") -> list[str]:
        """The texts of a file's messages, once there are so many."""
        head = f"1:{self.logs / name}:"

        def found() -> list[str]:
            return [message.removeprefix(head) for message in self.queue.take() if message.startswith(head)]

        wait_until(lambda: len(found()) >= count, f"{count} lines of {name}, have {self.queue.got[-5:]}")
        return found()


@pytest.fixture
def machine(bare_home: Layout, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(bare_home, tmp_path / "logs")
    made.queue.open()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    if made.queue.socket is not None:
        made.queue.close()


def test_a_line_is_passed_on_at_once_and_sigterm_ends_cleanly(machine: Machine) -> None:
    machine.append("x.log", "old\n")
    machine.follow("x.log", loop_timeout=120)  # what arrives now arrives between two passes
    process = machine.start()
    pid_file = machine.layout.pid_file("ossec-logcollector", process.pid)
    assert pid_file.read_text() == f"{process.pid}\n"
    assert pid_file.stat().st_mode & 0o777 == 0o640
    machine.append("x.log", "one\ntwo\n")
    assert machine.texts(2) == ["one", "two"]
    (machine.logs / "x.log").rename(machine.logs / "x.log.1")
    machine.append("x.log.1", "late\n")
    machine.append("x.log", "new\n")
    wait_until(lambda: len(machine.texts(4)) == 4)
    assert [text.partition(": ")[2] or text for text in machine.queue.got[2:]] == [
        f"1:{machine.logs}/x.log:late",
        f"File rotated (inode changed): '{machine.logs}/x.log'.",
        f"1:{machine.logs}/x.log:new",
    ]
    assert machine.stop() == 0
    assert not pid_file.exists()
    assert "(1225): INFO: SIGNAL [(15)-(Terminated)] Received. Exit Cleaning..." in machine.log()


def test_files_that_come_are_followed_from_their_beginning(machine: Machine) -> None:
    machine.follow("x.log", "g*.log", "d/y.log", loop_timeout=1)
    machine.start()
    machine.append("x.log", "x1\n")
    machine.append("g1.log", "g1\n")
    (machine.logs / "d").mkdir()
    machine.append("d/y.log", "y1\n")
    assert machine.texts(1) == ["x1"]
    assert machine.texts(1, "g1.log") == ["g1"]
    assert machine.texts(1, "d/y.log") == ["y1"]


def test_a_restart_misses_and_repeats_nothing(machine: Machine) -> None:
    machine.append("x.log", "before\n")
    machine.append("c.log", "c old\n")
    machine.follow("x.log", "c.log", "g*.log")
    machine.start()
    machine.append("x.log", "1\nunfin")
    machine.append("c.log", "c1\n")
    assert machine.texts(1) == ["1"]
    machine.texts(1, "c.log")
    assert machine.stop() == 0
    machine.append("x.log", "ished\n2\n")  # while it is down: growth, two rotations by rename, one by copy
    (machine.logs / "x.log").rename(machine.logs / "x.log.1")
    machine.append("x.log", "3\n")
    (machine.logs / "x.log.1").rename(machine.logs / "x.log.2")
    (machine.logs / "x.log").rename(machine.logs / "x.log.1")
    machine.append("x.log", "4\n")
    machine.append("c.log", "c2\n")
    shutil.copyfile(machine.logs / "c.log", machine.logs / "c.log.1")
    (machine.logs / "c.log").write_text("c3\n")
    machine.append("g1.log", "g1\n")  # and a file that is new under a known pattern
    machine.start()
    assert machine.texts(5) == ["1", "unfinished", "2", "3", "4"]
    assert machine.texts(3, "c.log") == ["c1", "c2", "c3"]
    assert machine.texts(1, "g1.log") == ["g1"]
    machine.stop()
    machine.start()
    machine.append("x.log", "5\n")
    assert machine.texts(6)[5:] == ["5"]
    assert len(machine.texts(3, "c.log")) == 3
    assert machine.texts(1, "g1.log") == ["g1"]


def test_without_resume_it_starts_at_the_end(machine: Machine) -> None:
    machine.follow("x.log", resume=0)
    machine.append("x.log", "a\n")
    machine.start()
    machine.append("x.log", "b\n")
    assert machine.texts(1) == ["b"]
    machine.stop()
    machine.append("x.log", "missed\n")
    machine.start()
    machine.append("x.log", "c\n")
    assert machine.texts(2) == ["b", "c"]
    assert not machine.layout.logcollector_positions.exists()


def test_sigkill_under_load_misses_nothing_and_repeats_at_most_a_batch(machine: Machine) -> None:
    """Killed again and again while a writer writes and rotates; 64 KiB are a batch."""
    machine.follow("x.log", "y.log", loop_timeout=1)
    machine.append("x.log", "")
    machine.append("y.log", "")
    machine.start()
    width, kills, most = 50, 6, 200_000
    written = 0
    enough = threading.Event()

    def write() -> None:
        nonlocal written
        while not enough.is_set() and written < most:
            if written % 10_000 == 5_000:
                (machine.logs / "x.log").rename(machine.logs / f"x.log.{written}")
            machine.append("x.log", f"{written:0{width}d}\n")
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(kills):
            before = len(machine.queue.got)
            if number % 2:  # in the middle of handing over, or of waiting for room
                wait_until(lambda before=before: len(machine.queue.take_some(100)) > before)  # type: ignore[misc]
            machine.kill()
            machine.start()
    finally:
        enough.set()
        writer.join()
    wait_until(lambda: f"{written - 1:0{width}d}" in machine.texts(0)[-1:], "the last line", 60)
    texts = machine.texts(written)
    assert len(set(texts)) == written, "lines are missing"
    steps = [later - earlier for earlier, later in zip(map(int, texts), map(int, texts[1:]), strict=False)]
    backwards = [step for step in steps if step <= 0]
    assert len(backwards) <= kills
    assert all(-step * (width + 1) <= 64 * 1024 for step in backwards), backwards
    assert all(step == 1 for step in steps if step > 0), "out of order"


def test_a_reader_that_goes_away_misses_nothing(machine: Machine) -> None:
    machine.follow("x.log", loop_timeout=1)
    machine.append("x.log", "")
    machine.start()
    machine.append("x.log", "h1\n")
    assert machine.texts(1) == ["h1"]
    machine.queue.close()
    machine.append("x.log", "h2\nh3\n")
    wait_until(lambda: "Error sending message to queue." in machine.log())
    assert "ossec-logcollector: socketerr (not available)." in machine.log()
    machine.queue.open()
    machine.append("x.log", "h4\n")
    texts = machine.texts(5)  # the reader went without a word, so what it may not have read comes again
    assert texts == ["h1", "h1", "h2", "h3", "h4"]


def test_a_full_queue_stops_the_reading_and_nothing_is_skipped(machine: Machine) -> None:
    machine.follow("x.log", loop_timeout=1)
    machine.append("x.log", "")
    process = machine.start()
    lines = [f"{number:06d} " + "x" * 200 for number in range(20_000)]
    machine.append("x.log", "\n".join(lines) + "\n")
    wait_for_rest(process.pid)
    assert memory_of(process.pid) < 60_000, "kilobytes: the file keeps, not the collector"
    assert machine.texts(len(lines)) == lines


def test_the_lock_of_an_agent_without_server_holds_every_message(machine: Machine) -> None:
    machine.layout.wait_file.write_text("l")
    machine.follow("x.log", loop_timeout=1)
    machine.append("x.log", "")
    machine.start()
    machine.append("x.log", "h1\n")
    wait_until(lambda: "WARN: Process locked. Waiting for permission..." in machine.log())
    assert machine.queue.take() == []
    machine.append("x.log", "h2\n")
    machine.layout.wait_file.unlink()
    assert machine.texts(2) == ["h1", "h2"]
    assert "INFO: Lock free. Continuing..." in machine.log()


def test_it_starts_without_a_queue_and_waits_for_it(machine: Machine) -> None:
    machine.queue.close()
    machine.layout.event_queue.unlink()
    machine.follow("x.log", loop_timeout=1)
    machine.append("x.log", "")
    machine.start()
    machine.append("x.log", "h1\n")
    machine.queue.open()
    assert machine.texts(1) == ["h1"]


def test_a_fifo_and_a_slow_command_hold_up_nobody(machine: Machine) -> None:
    os.mkfifo(machine.logs / "p")
    machine.configure(
        f"<log_format>syslog-pipe</log_format><location>{machine.logs}/p</location>",
        "<log_format>command</log_format><command>echo quick; sleep 60; echo slow</command><frequency>0</frequency>"
        "<alias>c</alias>",
        f"<log_format>syslog</log_format><location>{machine.logs}/x.log</location>",
        loop_timeout=1,
        command_timeout=2,
    )
    machine.append("x.log", "")
    machine.start()
    assert "1:c:ossec: output: 'c': quick" in machine.queue.expect(1)
    machine.append("x.log", "x1\n")
    assert machine.texts(1) == ["x1"]
    for number in range(3):  # each opens it anew
        (machine.logs / "p").write_text(f"p{number}\n")
        assert machine.texts(number + 1, "p")[-1] == f"p{number}"
    wait_until(lambda: "took longer than 2 seconds and was ended." in machine.log())
    assert machine.stop() == 0


def test_a_reload_takes_new_sources_and_loses_nothing(machine: Machine) -> None:
    machine.follow("x.log", loop_timeout=1)
    machine.append("x.log", "")
    machine.append("y.log", "")
    process = machine.start()
    machine.append("x.log", "1\n2")
    machine.texts(1)
    machine.layout.ossec_conf.write_text(
        "<ossec_config><localfile><log_format>no</log_format></localfile></ossec_config>"
    )
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: "Reload refused" in machine.log())
    machine.append("x.log", "\n3\n")
    machine.follow("x.log", "y.log", loop_timeout=1)
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: "The configuration was read again: 2 sources." in machine.log())
    machine.append("x.log", "4\n")
    machine.append("y.log", "y\n")
    assert machine.texts(4) == ["1", "2", "3", "4"]
    assert machine.texts(1, "y.log") == ["y"]


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("mode", ["create compress delaycompress", "copytruncate", "create dateext"])
def test_a_real_logrotate_loses_and_repeats_nothing(machine: Machine, tmp_path: Path, mode: str, down: bool) -> None:
    """While the collector runs, and (three times) while it is down; a glob that finds rotated names does no harm."""
    logrotate = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin")
    if logrotate is None:
        pytest.skip("needs logrotate")
    rules = tmp_path / "logrotate.conf"
    words = mode.replace(" ", "\n").replace("dateext", "dateext\ndateformat -%s")
    rules.write_text(f"{machine.logs}/x.log {{\nrotate 20\n{words}\n}}\n")
    rules.chmod(0o644)
    machine.follow("x.log", "y*", loop_timeout=1)
    machine.append("x.log", "")
    machine.start()
    lines = [f"{number:04d} of the lines that are written" for number in range(300)]
    for turn in range(6):
        first, second = lines[turn * 50 : turn * 50 + 25], lines[turn * 50 + 25 : turn * 50 + 50]
        machine.append("x.log", "\n".join(first) + "\n")
        if "copytruncate" in mode:
            machine.texts(turn * 50 + 1)  # a file of which nothing was read leaves no trace to find its copy by
        if down and turn % 2:
            machine.texts(turn * 50 + 25)
            machine.settle()  # so that the kill repeats nothing
            machine.kill()
        machine.append("x.log", "\n".join(second) + "\n")
        command = [logrotate, "-f", "-s", os.fspath(tmp_path / "state"), os.fspath(rules)]
        wait_until(lambda command=command: _rotates(command), "logrotate")  # type: ignore[misc]
        if down and turn % 2:
            machine.start()
        if "dateext" in mode:
            second = int(time.time())
            wait_until(lambda second=second: int(time.time()) > second, "another name")  # type: ignore[misc]
        if "compress" in mode:
            machine.texts(turn * 50 + 50)  # what was compressed before it was read is not looked for
    machine.append("x.log", "the end\n")
    wait_until(lambda: "the end" in machine.texts(0), "the last line")
    assert machine.texts(0) == [*lines, "the end"]


def _rotates(command: list[str]) -> bool:
    """Whether logrotate did its work; it refuses a name that exists, as one of the same second does."""
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("resume", [1, 0])
def test_the_journal_is_followed_and_resumed(machine: Machine, tmp_path: Path, resume: int) -> None:
    if not shutil.which("journalctl") or not REMOTE_JOURNAL.exists():
        pytest.skip("needs journalctl and systemd-journal-remote")
    journal = tmp_path / "journal"
    journal.mkdir()
    write_journal(journal, 1, "sshd", b"before start")
    machine.environment["OSSEC_JOURNAL_DIRECTORY"] = os.fspath(journal)
    machine.configure(
        "<log_format>journald</log_format><location>sshd</location>",
        "<log_format>journald</log_format><location>my app</location>",
        loop_timeout=1,
        resume=resume,
    )
    machine.start()
    write_journal(journal, 2, "sshd", b"Accepted password for alice")
    write_journal(journal, 3, "sshdx", b"prefix")
    write_journal(journal, 4, "my app", b"two\nlines")
    got = [message[len("1:journald:2026-11-22T03:58:11+00:00 ") :] for message in machine.queue.expect(2)]
    assert got == ["host1 sshd: Accepted password for alice\n", "host1 my app: two\nlines\n"]
    machine.settle()
    machine.kill()
    write_journal(journal, 5, "sshd", b"while down")
    machine.start()
    write_journal(journal, 6, "sshd", b"after")
    expected = ["while down", "after"] if resume else ["after"]
    texts = [message.rpartition("sshd: ")[2].strip() for message in machine.queue.expect(2 + len(expected))[2:]]
    assert texts == expected
    assert "(1951): INFO: Analyzing journald log: 'sshd'." in machine.log()


def test_without_journalctl_there_is_one_clear_line(machine: Machine, tmp_path: Path) -> None:
    machine.environment["PATH"] = os.fspath(tmp_path)
    machine.configure("<log_format>journald</log_format><location>all</location>")
    machine.start()
    assert machine.log().count("The journal is not followed: there is no journalctl on this machine.") == 1
    assert machine.stop() == 0


def write_journal(directory: Path, number: int, identifier: str, message: bytes) -> None:
    """One entry, in a journal file of its own, as journald would have it."""
    stamp = int(time.time() * 1_000_000)
    entry = (
        f"__REALTIME_TIMESTAMP={stamp}\n__MONOTONIC_TIMESTAMP={stamp}\n_BOOT_ID={'1' * 32}\n"
        f"SYSLOG_IDENTIFIER={identifier}\n_HOSTNAME=host1\n_MACHINE_ID={'2' * 32}\nMESSAGE\n"
    ).encode() + len(message).to_bytes(8, "little")
    subprocess.run(
        [REMOTE_JOURNAL, "-o", directory / f"{number}.journal", "-"],
        input=entry + message + b"\n\n",
        check=True,
        capture_output=True,
    )


def wait_for_rest(pid: int) -> None:
    """Wait until a process has used no processor time for a moment."""

    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    last, since = -1, 0.0

    def rests() -> bool:
        nonlocal last, since
        now = used()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 0.1

    wait_until(rests, "the process to rest")


def memory_of(pid: int) -> int:
    """Kilobytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
