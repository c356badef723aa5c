"""The recorded runs of OSSEC's logcollector, on our core, under a virtual clock.

`compat` in a vector says what is asked: `exact` and `except` must give the recorded messages in the recorded order
(`OURS` tells the exceptions), `no` records a defect and `OURS` says what ours does instead.  Marks are compared by
their number: OSSEC notices rotations and new files at the pass of the mark, ours at once.  Runs about the process
itself (its options, socket, signals) and the journal have tests with real processes instead.
"""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.logcollector.host import SETTLING, Host, LogLines, read_sources
from tests.unit.logcollector.ours import OURS, text_of

RUNS = Path(__file__).parents[2] / "vectors" / "logcollector" / "runs.jsonl"
VECTORS = {run["name"]: run for run in map(json.loads, RUNS.read_text().splitlines())}
PROCESS = {
    # by real processes in tests/integration/test_logcollector.py
    *("debug", "version", "pidfile", "hup", "wait-lock", "queue-absent", "queue-restart", "fifo", "command-slow"),
    *("journald-all", "journald-path", "journald-two", "journald-unit"),
    *("agent-name", "agent-remote-off", "agent-remote-on"),
    "snort-full-reader",  # no run: the reader alone, below
}
CONFIGURATION = {name for name, run in VECTORS.items() if run.get("args") == ["-t"]}


def fill_in(text: bytes, now: float) -> bytes:
    local = time.localtime(now)
    for name, form in (("YEAR", "%Y"), ("MONTH", "%m"), ("DAY", "%d")):
        text = text.replace(b"{%b}" % name.encode(), time.strftime(form, local).encode())
    return text.replace(b"{SYSLOG_TIME}", time.strftime("%b %d %H:%M:%S", local).encode())


def perform(host: Host, step: dict[str, Any]) -> None:
    path = host.path(step["path"]) if "path" in step else host.root
    match step["do"]:
        case "mkdir":
            path.mkdir(parents=True, exist_ok=True)
        case "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text_of(step["data"]))
        case "append":
            host.append(step["path"], text_of(step["data"]))
        case "rename":
            path.rename(host.path(step["to"]))
        case "unlink":
            path.unlink()
        case "symlink":
            path.symlink_to(host.path(step["to"]))
        case "truncate":
            with path.open("r+b") as file:
                file.truncate(step.get("size", 0))
        case "wait":
            host.wait(step["s"])
        case "sh":
            command = step["cmd"].replace("/var/log/app", str(host.path("/var/log/app")))
            command = command.replace("$(date +", f"$(date -d @{host.now:.0f} +")
            subprocess.run(["sh", "-c", command], check=True)
        case other:
            raise ValueError(other)


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    handler = LogLines()
    logger = logging.getLogger("ossec.logcollector")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.parametrize("name", sorted(VECTORS.keys() - PROCESS - CONFIGURATION))
def test_a_recorded_run(name: str, tmp_path: Path, log_lines: LogLines) -> None:
    vector = VECTORS[name]
    host = Host(tmp_path, read_sources(vector["config"]), vector["options"]["logcollector.loop_timeout"])
    for step in vector["setup"]:
        perform(host, step)
    host.start()
    host.wait(SETTLING)
    for step in vector["steps"]:
        perform(host, step)
    host.perform(host.collector.finish())
    host.collector.close()

    ours = OURS.get(name)
    assert ours is not None or vector["compat"] != "no", "a recorded defect needs its entry in OURS"
    if ours is None:
        expected = [text_of(entry["msg"]) for entry in vector["messages"] if "msg" in entry]
        marks = sum("mark_length" in entry for entry in vector["messages"])
        assert len(host.messages) - len(host.texts()) == marks
    else:
        expected = ours.messages
    got = [without_time(text) for text in host.texts()] if name == "djb-multilog" else host.texts()
    assert got == [fill_in(text, host.now) for text in expected]
    expected_log = vector["log"] if ours is None or ours.log is None else ours.log
    found = iter(log_lines.lines)
    for line in expected_log:
        text = fill_in(text_of(line), host.now).decode("latin-1")
        if "Started (pid" in text or "(1225)" in text:
            continue
        assert text in found, f"not logged, or not in this order: {text}\n{log_lines.lines}"


def without_time(text: bytes) -> bytes:
    """A djb-multilog message without the moment at which it was read."""
    head, _, rest = text.partition(b"/current:")
    return head + b"/current:" + (rest[16:] if rest[3:4] == b" " else rest)


def test_every_deliberate_difference_says_why() -> None:
    assert all(ours.why for ours in OURS.values())
    assert OURS.keys() <= VECTORS.keys()


def test_the_snort_full_reader(tmp_path: Path) -> None:
    vector = VECTORS["snort-full-reader"]
    config = "<ossec_config><localfile><log_format>snort-full</log_format><location>/var/log/app/x.log</location>"
    host = Host(tmp_path, read_sources(config + "</localfile></ossec_config>"))
    host.append("/var/log/app/x.log", b"")
    host.start()
    host.append("/var/log/app/x.log", text_of(vector["input"]))
    host.run_pass()
    assert host.texts() == [text_of(entry["msg"]) for entry in vector["messages"]]
