"""The recorded runs of OSSEC's syscheckd on ours: real files, the real loop and its workers, in this process.

`compat` in a vector says what is asked: `exact` and `except` must give the recorded messages, those of one scan in any
order, and the recorded log lines.  `OURS` says where ours deliberately differs, and why.  Where a recording waited for
the next scan by the clock, it is asked for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ossec.daemon.skeleton import parse_options
from ossec.errors import ConfigError
from ossec.syscheckd.daemon import Syscheckd
from tests.unit.syscheckd.host import STOPPED, Host

RUNS = Path(__file__).parents[2] / "vectors" / "syscheck" / "runs.jsonl"
VECTORS: dict[str, dict[str, Any]] = {run["name"]: run for run in map(json.loads, RUNS.read_text().splitlines())}
OPTIONS = {"help", "version", "badopt"}
TESTED = {name for name, run in VECTORS.items() if run.get("args") == ["-t"]}
REFUSED = {name for name, run in VECTORS.items() if "exit" in run} - OPTIONS - TESTED
RUN = sorted(VECTORS.keys() - OPTIONS - TESTED - REFUSED)
START, END = b"9:rootcheck:Starting syscheck scan.", b"9:rootcheck:Ending syscheck scan."
DATA = "/var/data"


class Ours(NamedTuple):
    """A deliberate difference: messages that ours sends besides, and not (by a part of them); lines it does not log."""

    why: str
    more: tuple[bytes, ...] = ()
    less: tuple[bytes, ...] = ()
    unsaid: tuple[str, ...] = ()


ONE = (
    b"8:syscheck:1:33188:0:0:c4ca4238a0b923820dcc509a6f75849b:356a192b7913b04c54574d18c28d46e6395428ab:"
    b"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b "
)
TWO = (
    b"8:syscheck:2:33188:0:0:b6d767d2f8ed5d21a44b0e5886680cb9:12c6fc06c99a462375eeb3f43dfd832b08ca9e17:"
    b"785f3ec7eb32f30b90cd0fcf3657d388b5ff4297f2f9716ff66e9b69c05ddd09 "
)
VANISHED = "Error opening directory"  # of a file that went while its event waited
OURS = {
    "basic": Ours(
        "a scan tells what is gone",
        more=(b"8:syscheck:-1 /var/data/conf/sub/c.txt", b"8:syscheck:-1 /var/data/conf/name with space"),
    ),
    "type-change": Ours(
        "a scan tells what is gone, also in the place of something else",
        more=(b"8:syscheck:-1 /var/data/conf/f", b"8:syscheck:-1 /var/data/conf/d/x"),
    ),
    "ignore-empty": Ours("an empty ignore has no effect", more=(ONE + b"/var/data/conf/a",), unsaid=("ignoring: ''",)),
    "newline-name": Ours(
        "a control character in a name goes as \\ooo",
        more=(ONE + b"/var/data/conf/a\\012b",),
        less=(ONE + b"/var/data/conf/a\nb",),
    ),
    "noscan-on-start": Ours(
        "the end of a scan is told once",
        less=(END, START),
        unsaid=("INFO: Ending syscheck scan.", "INFO: Starting syscheck scan."),
    ),
    "realtime-file": Ours("a single file is watched through its folder", more=(TWO + b"/var/data/conf/a.txt",)),
    "realtime": Ours(
        "what leaves with its folder is told at once; no warning of what has gone meanwhile",
        unsaid=(VANISHED,),
    ),
    "realtime-vim": Ours("no warning of what has gone meanwhile", unsaid=(VANISHED,)),
}
ANY_TEXT = {"longname", "many-entries"}  # names that OSSEC cut: tests of their own, below


def text_of(data: Any) -> bytes:
    """A recorded string, runs expanded."""
    if isinstance(data, str):
        return data.encode("latin-1")
    parts = (part if isinstance(part, str) else part["repeat"] * part["times"] for part in data)
    return "".join(parts).encode("latin-1")


def make_host(run: dict[str, Any], tmp_path: Path) -> Host:
    conf = run["config"].replace(DATA, f"{tmp_path}/r{DATA}")
    return Host(tmp_path, conf, **{name.replace(".", "__"): value for name, value in run.get("options", {}).items()})


def perform(host: Host, step: dict[str, Any]) -> None:
    def real(name: str) -> Path:
        if name.startswith("{HOME}"):
            return Path(name.replace("{HOME}", str(host.layout.home)))
        return Path(f"{host.root}{os.fsdecode(name.encode('latin-1'))}")

    path = real(step["path"]) if "path" in step else host.root
    match step["do"]:
        case "mkdir":
            path.mkdir(parents=True, exist_ok=True)
        case "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text_of(step["data"]))
        case "append":
            with path.open("ab") as out:
                out.write(text_of(step["data"]))
        case "chmod":
            path.chmod(int(step["mode"], 8))
        case "chown":
            if os.geteuid() != 0:
                pytest.skip("changes owners: needs root")
            os.chown(path, step["uid"], step["gid"])
        case "symlink":
            to = step["to"]
            path.symlink_to(f"{host.root}{to}" if to.startswith("/") else to)
        case "link":
            real(step["to"]).hardlink_to(path)
        case "mkfifo":
            os.mkfifo(path)
        case "rename":
            path.rename(real(step["to"]))
        case "unlink":
            path.unlink()
        case "rmdir":
            path.rmdir()
        case "utime":
            os.utime(path, (step["t"], step["t"]))
        case "sh":
            subprocess.run(step["cmd"].replace(DATA, f"{host.root}{DATA}"), shell=True, check=True)
        case "wait_log":
            assert step["text"] == "Ending syscheck scan"
            host.wait_for_scan(step["count"])
        case "queue_close":
            host.close_queue()
        case "queue_open":
            host.open_queue()
        case "wait":
            wait(host)
        case other:
            raise AssertionError(other)


def wait(host: Host) -> None:
    if host.inbox is None:  # queue-restart: until the next scan noticed that nobody listens
        host.layout.syscheck_run_file.write_text("")
        host.turn_until(lambda: any("(1224)" in line for line in host.log.lines), "a lost queue")
        return
    if "<scan_on_start>no" in host.layout.ossec_conf.read_text():
        assert host.messages == []
        host.layout.syscheck_run_file.write_text("")
        host.turn_until(lambda: host.scans() == 1, "the scan")
        return
    if host.scans() == 0:
        host.turn_until(lambda: host.scans() == 1, "the end of nothing to do")
    host.turn(0.0)
    host.turn(0.0)
    host.settle()


def recorded(run: dict[str, Any], host: Host) -> list[tuple[int, bytes]]:
    """(step, message), with our paths; the sizes of links to absolute names follow."""
    root = os.fsencode(host.root)
    longer = {
        step["path"]: len(root)
        for step in [*run["setup"], *run["steps"]]
        if step["do"] == "symlink" and step["to"].startswith("/")
    }
    result = []
    for message in run["messages"]:
        text = text_of(message["msg"])
        path = text.partition(b" ")[2].decode("latin-1")
        if path in longer:
            size, _, rest = text.removeprefix(b"8:syscheck:").partition(b":")
            text = b"8:syscheck:%d:%b" % (int(size) + longer[path], rest)
        if os.geteuid() != 0 and 'check_all="yes"' in run["config"]:
            text = re.sub(rb"^(8:syscheck:\d+:[1-9]\d*):0:0:", rb"\1:%d:%d:" % (os.getuid(), os.getgid()), text)
        result.append((message["step"], text.replace(DATA.encode(), root + DATA.encode())))
    return result


@pytest.mark.parametrize("name", [name for name in RUN if name not in ANY_TEXT])
def test_a_recorded_run(name: str, tmp_path: Path) -> None:
    run = VECTORS[name]
    ours = OURS.get(name, Ours(""))
    got: list[tuple[int, bytes]] = []
    os.umask(0o022)
    with make_host(run, tmp_path) as host:
        for step in run["setup"]:
            perform(host, step)
        host.start()
        for number, step in enumerate(run["steps"]):
            perform(host, step)
            if step["do"].startswith("wait"):
                got += [(number, message) for message in host.take()]
        wanted = recorded(run, host)
        if name in OURS:  # the steps of what differs are not written down
            root = os.fsencode(host.root)
            counted = Counter(message for _, message in wanted)
            counted.update(message.replace(b"/var/data", root + b"/var/data") for message in ours.more)
            counted.subtract(message.replace(b"/var/data", root + b"/var/data") for message in ours.less)
            assert Counter(message for _, message in got) == +counted
        else:
            assert Counter(got) == Counter(wanted)
        lines = iter(host.log.lines)
        for line in run["log"]:
            line = line.replace("{PID}", str(os.getpid())).replace(DATA, f"{host.root}{DATA}")
            if line != STOPPED and not any(part in line for part in ours.unsaid):
                assert line in lines, (line, host.log.lines)


@pytest.mark.parametrize("name", sorted(ANY_TEXT))
def test_names_that_ossec_cuts_arrive_whole(name: str, tmp_path: Path) -> None:
    """longname: paths of 750 bytes and more; many-entries: more than 64 names in a list."""
    run = VECTORS[name]
    os.umask(0o022)
    written = set()
    with make_host(run, tmp_path) as host:
        for step in run["setup"]:
            perform(host, step)
            if step["do"] == "write":
                written.add(os.fsencode(f"{host.root}{step['path']}"))
        host.start()
        host.wait_for_scan(1)
        told = {message.partition(b" ")[2] for message in host.take() if message.startswith(b"8:syscheck:1:")}
    assert told == written
    assert len(written) > 1


def test_the_copies_that_report_changes_keeps(tmp_path: Path) -> None:
    """As recorded, but for what must not or need not be kept: excepted files, and empty states of binaries."""
    run = VECTORS["report-changes"]
    with make_host(run, tmp_path) as host:
        for step in [*run["setup"], {"do": "wait_log", "text": "Ending syscheck scan", "count": 0}]:
            if step["do"] != "wait_log":
                perform(host, step)
        host.start()
        for step in run["steps"]:
            perform(host, step)
    kept = host.layout.diff_dir / "local" / str(host.root)[1:] / "var/data/conf"
    assert sorted(path.name for path in kept.iterdir()) == ["a.txt", "bin", "empty", "new.txt"]
    recorded_files = {key.split("/var/data/conf/")[1]: value for key, value in run["files"].items() if "conf/" in key}
    for name in ("a.txt", "empty", "new.txt"):
        found = sorted(re.sub(r"\d+$", "{EPOCH}", path.name) for path in (kept / name).iterdir())
        assert set(found) == set(recorded_files[name])
        assert (kept / name / "last-entry").read_text() == recorded_files[f"{name}/last-entry"]
    assert (kept / "bin" / "last-entry").read_bytes() == b""
    (state,) = (kept / "new.txt").glob("state.*")
    assert state.read_text() == recorded_files["new.txt/state.{EPOCH}"]


def say(run: dict[str, Any], tmp_path: Path) -> tuple[list[str], int]:
    """The lines and the exit status of a start, or of `-t`."""
    with make_host(run, tmp_path) as host:
        for step in run["setup"]:
            perform(host, step)
        try:
            if run.get("args") == ["-t"]:
                status = Syscheckd.test(host.context())
            else:
                Syscheckd(host.context())
                status = 0
        except ConfigError as error:
            return [*host.log.lines, *getattr(error, "lines", (str(error),))], 1
        return host.log.lines, status


# What OSSEC refuses, and ours takes: as documented, or, where OSSEC itself says that it ignores it, with a warning.
TAKEN = {"attr-norecurse-no", "scan-day-notsunday", "attr-missing", "attr-none", "attr-sha256-no"}
MANGLED = {"scan-time-93": "'3-9:3'"}  # OSSEC shows a part of the value


@pytest.mark.parametrize("name", sorted(TESTED | REFUSED))
def test_a_recorded_configuration(name: str, tmp_path: Path) -> None:
    run = VECTORS[name]
    lines, status = say(run, tmp_path)
    if name in TAKEN:
        assert status == 0
        if name not in ("attr-norecurse-no", "scan-day-notsunday"):
            assert any("(1701): WARN: No option provided for directories" in line for line in lines)
        return
    assert status == run["exit"]
    rest = iter(lines)
    for line in run["log"]:
        if MANGLED.get(name, line + "?") in line:
            continue
        line = line.replace("{HOME}", str(tmp_path / "home")).replace(DATA, f"{tmp_path}/r{DATA}")
        assert line in rest, (line, lines)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_the_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Our own words; the exit status and what the version says are OSSEC's."""
    run = VECTORS[name]
    with pytest.raises(SystemExit) as leaving:
        parse_options(Syscheckd, run["args"])
    assert leaving.value.code == run["exit"]
    said = capsys.readouterr()
    if name == "version":
        assert "OSSEC HIDS v4.2.0" in said.err
