"""execd alone: from message to script, a storm of blocks, memory.

The script of the first measurement writes one byte into a pipe as its first act, so that the figure holds everything
up to and including the start of a shell.  `python -m bench execd [--rounds N]`; exit 1 when the goal is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.execd import RealExecd
from tests.support import wait_until

ROUNDS = 200
BLOCKS = 1000
GOAL_MEDIAN = 0.020  # seconds from message to the script's first act, a sync to the disk included
GOAL_STORM = 20.0  # seconds until a thousand blocks are made


def measure_latency(execd: RealExecd, rounds: int, name: bytes) -> list[float]:
    fifo = execd.layout.home / "fifo"
    os.mkfifo(fifo)
    execd.script("log.sh", text=f'#!/bin/sh\n[ "$1" = delete ] || echo >>{fifo}\n')
    reading = os.open(fifo, os.O_RDWR)
    seconds = []
    for number in range(rounds):
        message = b"%b - 192.0.%d.%d %d.1 5712 /var/log/auth.log -" % (name, number // 250, number % 250, number)
        began = time.perf_counter()
        execd.send(message)
        os.read(reading, 100)
        seconds.append(time.perf_counter() - began)
        wait_until(lambda number=number: execd.log()[-1].endswith("exit 0") or None, "rest")
    os.close(reading)
    fifo.unlink()
    return seconds


def measure_storm(execd: RealExecd, blocks: int) -> tuple[float, float]:
    """Seconds until all are made, and until a stop has undone all."""
    execd.script("log.sh", text="#!/bin/sh\n")
    began = time.perf_counter()
    for number in range(blocks):
        execd.send(b"fw600 - 10.9.%d.%d %d.2 5712" % (number // 250, number % 250, number))
    wait_until(lambda: sum(b"10.9." in line for line in log_lines(execd)) >= blocks, "all blocks", 120)
    made = time.perf_counter() - began
    began = time.perf_counter()
    execd.stop()
    return made, time.perf_counter() - began


def log_lines(execd: RealExecd) -> list[bytes]:
    return execd.layout.ossec_log.read_bytes().splitlines()


def main() -> int:
    parser = argparse.ArgumentParser(description="execd alone: latency, a storm, memory.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ossec-bench-") as folder:
        execd = RealExecd(Path(folder) / "home")
        execd.ar_conf("fw0 - log.sh - 0\nfw600 - log.sh - 600\n")
        execd.start()
        try:
            once = measure_latency(execd, words.rounds, b"fw0")
            kept = measure_latency(execd, words.rounds, b"fw600")
            made, undone = measure_storm(execd, BLOCKS)
        finally:
            execd.end()
    for label, seconds in (("without timeout", once), ("with timeout, journalled and synced", kept)):
        median, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        print(f"message to script's first act, {label:36} {median * 1000:6.2f} ms (p95 {p95 * 1000:.2f})")
    print(f"{BLOCKS} blocks made in {made:.1f} s, undone by a stop in {undone:.1f} s")
    good = statistics.median(kept) <= GOAL_MEDIAN and made <= GOAL_STORM
    if not good:
        print(f"goal missed: {GOAL_MEDIAN * 1000:.0f} ms, {GOAL_STORM:.0f} s", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
