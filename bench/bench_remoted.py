"""ossec-remoted: sealed events a second from 100 agents, loss in a burst, the cost of keep-alives, look-up in 10,000.

The events are sealed beforehand and sent by another process; a third one stands for analysisd and counts.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Event as Gate
from pathlib import Path

from ossec.crypto import counters
from ossec.crypto.channel import Channel
from ossec.crypto.keys import AgentKey
from ossec.layout import Layout
from ossec.messages import control
from tests.support import make_bare_home, wait_until

AGENTS = 100
EVENTS = 60_000
MANY = 2_000  # agents of the keep-alive figure
KEYS = 10_000
TEXT = b"1:/var/log/auth.log:Nov 22 03:50:27 web01 sshd[1234]: Failed password for root from 203.0.113.7 port %d ssh2"


def agent_keys(number: int) -> list[AgentKey]:
    return [AgentKey.parse(f"{n:05d} agent{n} any {n:064x}") for n in range(1, number + 1)]


def seal(keys: list[AgentKey], texts: int, text: bytes) -> list[bytes]:
    channels = [Channel(key, prefixed=True) for key in keys]
    pair = counters.START
    sealed = []
    for number in range(texts):
        if number % len(channels) == 0:
            pair = counters.following(pair)
        sealed.append(channels[number % len(channels)].seal(text % number if b"%d" in text else text, pair))
    return sealed


def count(path: str, ready: Gate, wanted: int, results: multiprocessing.Queue[tuple[int, float]]) -> None:
    """Stands for analysisd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as queue:
        queue.bind(path)
        ready.set()
        queue.settimeout(3)
        received, last = 0, 0.0
        try:
            while received < wanted:
                queue.recv(6144)
                received += 1
                last = time.perf_counter()
        except TimeoutError:
            pass
        results.put((received, last))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(home: Layout, keys: list[AgentKey]) -> tuple[subprocess.Popen[bytes], int]:
    home.rids_dir.mkdir(exist_ok=True)
    home.client_keys.write_text("".join(key.format() + "\n" for key in keys))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::", 0))
        port = int(probe.getsockname()[1])
    home.ossec_conf.write_text(
        f"<ossec_config><remote><connection>secure</connection><port>{port}</port></remote></ossec_config>"
    )
    daemon = subprocess.Popen(
        [sys.executable, "-m", "ossec.remoted", "-f", "-D", str(home.home)], stderr=subprocess.DEVNULL
    )
    wait_until(lambda: home.pid_file("ossec-remoted", daemon.pid).exists(), "remoted")
    return daemon, port


def measure(home: Layout, keys: list[AgentKey], datagrams: list[bytes], wanted: int, rate: float | None) -> list[float]:
    """[received, seconds, processor seconds] of sending `datagrams` (`rate` a second, None: full speed)."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Event(), context.Queue()
    counter = context.Process(target=count, args=(str(home.event_queue), ready, wanted, results))
    counter.start()
    ready.wait()
    daemon, port = start(home, keys)
    before = cpu_seconds(daemon.pid)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        began = time.perf_counter()
        for number, datagram in enumerate(datagrams):
            out.send(datagram)
            if rate is not None and number % 100 == 0:
                ahead = number / rate - (time.perf_counter() - began)
                if ahead > 0:
                    time.sleep(ahead)
        received, last = results.get() if wanted else (0, time.perf_counter())
    wait_until(lambda: not wanted or received >= 0)
    used = cpu_seconds(daemon.pid) - before
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()
    counter.join()
    return [received, last - began, used]


def main() -> None:
    keys = agent_keys(AGENTS)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = make_bare_home(Path(folder) / "burst")
        received, seconds, used = measure(home, keys, seal(keys, EVENTS, TEXT), EVENTS, None)
        figures["burst_sent"] = EVENTS
        figures["burst_received"] = received
        figures["burst_events_per_second"] = round(received / seconds)
        figures["burst_cpu_us_per_event"] = round(used / received * 1e6, 1)

        many = agent_keys(MANY)
        home = make_bare_home(Path(folder) / "keepalives")
        keepalive = b"#!-" + control.format_uname("Linux", "h", "6", "#1", "x86_64").encode() + b"\n\n\nnoise"
        _, _, used = measure(home, many, seal(many, MANY, keepalive), 0, 2000.0)
        figures["keepalives_2000_agents_percent_of_a_core"] = round(used / 600 * 100, 3)

        lots = agent_keys(KEYS)
        home = make_bare_home(Path(folder) / "keys")
        some = seal(lots, KEYS, TEXT)
        received, seconds, used = measure(home, lots, some, KEYS, None)
        figures["10000_keys_cpu_us_per_event"] = round(used / max(received, 1) * 1e6, 1)
        figures["10000_keys_received"] = received
    for name, value in figures.items():
        print(f"{name:45} {value:>12,}")
    print(json.dumps({"remoted": figures}))


if __name__ == "__main__":
    main()
