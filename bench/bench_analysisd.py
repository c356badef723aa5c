"""Events a second through a real ossec-analysisd: queue, OSSEC's own rules, alerts written.

`python -m bench.bench_analysisd [EVENTS] [--profile]`.  Needs ../shared (the rules, the reference stream) and skips
without it.  The aim is 60,000 events/s, the bar 20,000; exit 1 below the bar, or above
150 MB.  One process sends, one judges.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ossec.analysisd.assembly import Assembly
from ossec.analysisd.numbers import AlertNumbers
from ossec.analysisd.pipeline import Analysis
from ossec.config import load
from ossec.config.internal import InternalOptions
from ossec.layout import Layout
from tests.support import make_bare_home, wait_until

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = CHECKOUT.parent / "shared"
UPSTREAM = SHARED / "upstream" / "etc"
CORPUS = SHARED / "bench" / "corpus.py"
EVENTS = 200_000
AIM, BAR = 60_000, 20_000
MOST_MEMORY = 150e6  # bytes, with all rules loaded
BATCH = 10  # what the kernel's queue holds on most systems


def stream(events: int) -> list[bytes]:
    """The reference stream as datagrams of logcollector."""
    done = subprocess.run([sys.executable, str(CORPUS), str(events)], capture_output=True, check=True)
    return [b"1:/var/log/messages:" + line + b"\0" for line in done.stdout.splitlines()]


def make_home(home: Path, *, json: bool = True) -> Layout:
    """A home with OSSEC's rules in its own order, writing alerts.log and, if `json`, alerts.json."""
    layout = make_bare_home(home)
    shutil.copytree(UPSTREAM / "rules", layout.rules_dir, dirs_exist_ok=True)
    shutil.copy(UPSTREAM / "decoder.xml", layout.decoder_xml)
    names = re.findall(r"<include>(\S+?)</include>", (UPSTREAM / "ossec-server.conf").read_text())
    includes = "".join(f"<include>{name}</include>\n" for name in names)
    outputs = "<global><jsonout_output>yes</jsonout_output></global>\n" if json else ""
    layout.ossec_conf.write_text(f"<ossec_config>\n{outputs}<rules>\n{includes}</rules>\n</ossec_config>\n")
    layout.init_conf.write_text('TYPE="local"\n')
    return layout


def measure_core(layout: Layout, datagrams: list[bytes], profile: bool) -> float:
    """Events a second in one process, without the queue."""
    assembly = Assembly(layout, "local")
    internal = InternalOptions.load(layout, quiet=True)
    parts = assembly.load(load(layout), internal)
    numbers = AlertNumbers(layout.alert_number)
    analysis = assembly.build(parts, numbers.next, int(time.time()))
    profiler = None
    if profile:
        import cProfile

        profiler = cProfile.Profile()
        profiler.enable()
    began = time.perf_counter()
    feed(analysis, datagrams)
    elapsed = time.perf_counter() - began
    if profiler is not None:
        import pstats

        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
    analysis.outputs.close()
    return len(datagrams) / elapsed


def feed(analysis: Analysis, datagrams: list[bytes]) -> None:
    now = int(time.time())
    for start in range(0, len(datagrams), BATCH):
        analysis.receive(datagrams[start : start + BATCH], now)
        analysis.outputs.flush()


def peak_memory(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the real process."""

    rate: float  # events a second
    alerts: int
    processor: float  # seconds of user and system time, the start included
    memory: int  # bytes, at the most


def measure_daemon(layout: Layout, datagrams: list[bytes]) -> Measured:
    """Through the queue of a real process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, "-m", "ossec.analysisd", "-f", "-D", str(layout.home)],
        cwd=CHECKOUT,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: list(layout.run_dir.glob("ossec-analysisd-*.pid")), "the start", 60)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(60)
            out.connect(str(layout.event_queue))
            out.settimeout(None)
            send = out.send
            began = time.perf_counter()
            for datagram in datagrams:
                send(datagram)
            elapsed = time.perf_counter() - began  # at most a queue's length is still to be judged
        peak = peak_memory(process.pid)
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0:
            raise SystemExit("ossec-analysisd did not end well")
    finally:
        process.kill()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Measured(
        rate=len(datagrams) / elapsed,
        alerts=layout.alerts_log.read_bytes().count(b"\n** Alert ") + 1,
        processor=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        memory=peak,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=EVENTS)
    parser.add_argument("--profile", action="store_true", help="say where the core's time goes")
    arguments = parser.parse_args()
    if not (UPSTREAM.is_dir() and CORPUS.is_file()):
        print(f"skipped: needs {SHARED} (OSSEC's rules and the reference stream)")
        return 0
    datagrams = stream(arguments.events)
    with tempfile.TemporaryDirectory() as directory:
        core = measure_core(make_home(Path(directory) / "core"), datagrams, arguments.profile)
        print(f"core   {core:10,.0f} events/s")
        start = measure_daemon(make_home(Path(directory) / "start"), datagrams[:1]).processor
        run = measure_daemon(make_home(Path(directory) / "daemon"), datagrams)
    rate = run.rate
    each = (run.processor - start) / len(datagrams) * 1e6
    print(f"daemon {rate:10,.0f} events/s through the queue, {run.alerts} alerts of {len(datagrams)} events")
    print(f"       {each:10.1f} µs of processor time an event, {run.memory / 1e6:.0f} MB at the most")
    print(f"aim {AIM:,}, bar {BAR:,}: {'reached' if rate >= AIM else 'above the bar' if rate >= BAR else 'MISSED'}")
    if run.memory > MOST_MEMORY:
        print(f"MISSED: at most {MOST_MEMORY / 1e6:.0f} MB")
    return 0 if rate >= BAR and run.memory <= MOST_MEMORY else 1


if __name__ == "__main__":
    sys.exit(main())
