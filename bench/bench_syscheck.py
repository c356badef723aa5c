"""ossec-syscheckd: files a second with md5, sha1 and sha256, beside AIDE on the same tree, and memory.

`python -m bench.bench_syscheck [FILES…] [--size BYTES] [--check]` (100,000 of 2 KiB).  The first scan tells every file
and builds the baseline, as `aide --init` writes its database; the second compares, as `aide --check` does (which takes
much longer, so only with `--check`).  Both use all CPUs.  AIDE (Debian: aide) is left out where it is not installed;
exit 1 where ours is slower.  Memory is PSS of the daemon and its workers together, the highest seen.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ossec.layout import Layout
from ossec.queues import Inbox
from tests.support import make_bare_home

FILES = 100_000
PER_FOLDER = 100
SIZE = 2048  # bytes of a file
MAX_MEMORY = 120  # MiB
COMPLETED = b"8:syscheck:syscheck-db-completed\0"
CONF = """<ossec_config><syscheck><frequency>86400</frequency>
<directories check_all="yes">{tree}</directories></syscheck>
<rootcheck><disabled>yes</disabled></rootcheck></ossec_config>"""
AIDE_CONF = """database_in=file:{folder}/aide.db
database_out=file:{folder}/aide.db.new
gzip_dbout=no
num_workers={workers}
{tree} s+p+u+g+md5+sha1+sha256
"""


def make_tree(root: Path, files: int, size: int = SIZE) -> None:
    content = os.urandom(size)
    for number in range(files):
        if number % PER_FOLDER == 0:
            folder = root / f"{number // 10_000:04d}" / f"d{number // PER_FOLDER:06d}"
            folder.mkdir(parents=True)
        (folder / f"file{number:07d}").write_bytes(b"%d" % number + content)


class Memory(threading.Thread):
    """The highest PSS (KiB) of a process and its children."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.highest = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            total = 0
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            for pid in (str(self.pid), *children):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
            self.highest = max(self.highest, total)


def receive(inbox: Inbox) -> tuple[int, float]:
    """(messages about files, seconds) of one scan, from its first message to its last."""
    count, began = 0, 0.0
    inbox_socket = socket.socket(fileno=os.dup(inbox.fileno()))
    inbox_socket.setblocking(True)
    with inbox_socket:
        while (message := inbox_socket.recv(6144)) != COMPLETED:
            began = began or time.perf_counter()
            count += message.startswith(b"8:syscheck:")
    return count, time.perf_counter() - began


def ours(home: Layout, tree: Path, workers: int) -> dict[str, float]:
    home.ossec_conf.write_text(CONF.format(tree=tree))
    home.local_internal_options.write_text(f"syscheck.sleep=0\nsyscheck.workers={workers}\n")
    inbox = Inbox(home.event_queue)
    daemon = subprocess.Popen(
        [sys.executable, "-m", "ossec.syscheckd", "-f", "-D", str(home.home)], stderr=subprocess.DEVNULL
    )
    memory = Memory(daemon.pid)
    memory.start()
    told, first = receive(inbox)
    home.syscheck_run_file.write_text("")
    again, second = receive(inbox)
    memory.ended.set()
    memory.join()
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()
    inbox.close()
    return {
        "told": told,
        "told_again": again,
        "first_seconds": round(first, 2),
        "second_seconds": round(second, 2),
        "memory_mib": round(memory.highest / 1024, 1),
    }


def aide(folder: Path, tree: Path, workers: int, check: bool) -> dict[str, float]:
    conf = folder / "aide.conf"
    conf.write_text(AIDE_CONF.format(folder=folder, tree=tree, workers=workers))
    figures = {}
    for name, option in (("first_seconds", "--init"), ("second_seconds", "--check"))[: 1 + check]:
        began = time.perf_counter()
        done = subprocess.run(["aide", "-c", str(conf), option], capture_output=True, check=False)
        figures[name] = round(time.perf_counter() - began, 2)
        if done.returncode:
            raise SystemExit(f"aide {option}: {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}")
        if option == "--init":
            (folder / "aide.db.new").replace(folder / "aide.db")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=int, nargs="*", default=[FILES])
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    failed = False
    workers = len(os.sched_getaffinity(0))
    for files in arguments.files:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tree = folder / "tree"
            tree.mkdir()
            make_tree(tree, files, arguments.size)
            own = figures[f"{files:,} files, ossec-syscheckd"] = ours(make_bare_home(folder / "home"), tree, workers)
            failed |= own["told"] != files or own["told_again"] != 0 or own["memory_mib"] > MAX_MEMORY
            if shutil.which("aide"):
                other = figures[f"{files:,} files, aide"] = aide(folder, tree, workers, arguments.check)
                failed |= any(own[key] > value for key, value in other.items())
    for name, values in figures.items():
        print(name)
        for key, value in values.items():
            print(f"    {key:20} {value:>12,}")
    print(json.dumps({"syscheck": figures}))
    sys.exit(failed)


if __name__ == "__main__":
    main()
