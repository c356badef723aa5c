"""ossec-logcollector: 100 files followed: latency from a line to its datagram, lines a second, memory, idle processor.

The real process in a temporary home; this process writes the files and takes the datagrams, as analysisd would.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ossec.layout import Layout
from tests.support import make_bare_home, wait_until

FILES = 100
LINES = 3_000  # of each file
CHUNK = 100  # lines written at a time
SAMPLES = 300
IDLE = 3.0  # seconds
LEAST = 50_000  # lines a second that are wanted
LINE = b"Oct 10 10:00:00 host1 sshd[12345]: Accepted password for alice from 10.0.0.5 port 51234 ssh2\n"


def processor(pid: int) -> float:
    """Seconds of processor time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> float:
    """Megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@contextmanager
def collector(layout: Layout, logs: Path) -> Iterator[int]:
    """The pid of a collector that follows every file in `logs`."""
    layout.ossec_conf.write_text(
        f"<ossec_config><localfile><log_format>syslog</log_format><location>{logs}/*.log</location></localfile>"
        "</ossec_config>\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "ossec.logcollector", "-f", "--home", os.fspath(layout.home)], stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: layout.ossec_log.exists() and "Started (pid" in layout.ossec_log.read_text(), "the start")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def write_all(logs: Path) -> None:
    for _ in range(LINES // CHUNK):
        for number in range(FILES):
            with (logs / f"{number}.log").open("ab", buffering=0) as file:
                file.write(LINE * CHUNK)


def measure_latency(logs: Path, queue: socket.socket) -> list[float]:
    """Milliseconds from before the write until the datagram is here."""
    taken = []
    for number in range(SAMPLES):
        begin = time.perf_counter()
        with (logs / f"{number % FILES}.log").open("ab", buffering=0) as file:
            file.write(LINE)
        queue.recv(65536)
        taken.append((time.perf_counter() - begin) * 1000)
        time.sleep(0.002)
    return sorted(taken)


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        layout = make_bare_home(Path(directory) / "home")
        logs = Path(directory) / "logs"
        logs.mkdir()
        for number in range(FILES):
            (logs / f"{number}.log").touch()
        queue = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        queue.bind(os.fspath(layout.event_queue))
        with collector(layout, logs) as pid:
            before = processor(pid)
            time.sleep(IDLE)
            idle = (processor(pid) - before) / IDLE
            latency = measure_latency(logs, queue)
            writer = threading.Thread(target=write_all, args=(logs,))
            used = processor(pid)
            begin = time.perf_counter()
            writer.start()
            for _ in range(FILES * LINES):
                queue.recv(65536)
            rate = FILES * LINES / (time.perf_counter() - begin)
            writer.join()
            print(f"latency, line to datagram: median {latency[SAMPLES // 2]:.2f} ms, 99% {latency[-4]:.2f} ms")
            print(
                f"{FILES} files: {rate:,.0f} lines/s ({FILES * LINES / (processor(pid) - used):,.0f} per second of CPU)"
            )
            print(f"idle: {idle:.1%} of a core; memory at most {peak_memory(pid):.0f} MB")
        queue.close()
    return 0 if rate >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
