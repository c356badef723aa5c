"""The real ossec-execd: recorded sessions, crashes, scripts that misbehave."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.execd import RealExecd
from tests.support import wait_until
from tests.unit.execd import test_vectors as vectors

# Sessions that need no other clock.
REAL = [
    "argv-basic",
    "argv-missing-fields",
    "argv-separators",
    "argv-injection",
    "argv-many",
    "long",
    "names",
    "ar-conf-reread",
    "ar-conf-absent",
    "script-missing",
    "timeout-negative",
    "shutdown-runs-deletes",
    "shutdown-sigint",
    "disabled-yes",
    "disabled-YES",
]
FW5 = "fw5 - log.sh - 5\nfw1 - log.sh - 1\nfw600 - log.sh - 600\nfw0 - log.sh - 0\n"


@pytest.fixture
def execd(tmp_path: Path) -> Iterator[RealExecd]:
    made = RealExecd(tmp_path / "home")
    made.script("log.sh")
    made.ar_conf(FW5)
    yield made
    made.end()


@pytest.mark.parametrize("name", REAL)
def test_a_recorded_session_with_the_real_process(tmp_path: Path, name: str) -> None:
    session = next(session for session in vectors.SESSIONS if session["name"] == name)
    execd = RealExecd(tmp_path / "home", session["ossec_conf"])
    try:
        replay(execd, session)
    finally:
        execd.end()


def replay(execd: RealExecd, session: dict[str, Any]) -> None:
    home = str(execd.layout.home)
    for script in session["scripts_present"]:
        execd.script(script)
    if session["ar_conf"] is not None:
        execd.ar_conf(session["ar_conf"])
    if not session["alive_before_stop"]:
        execd.start(wait=False)
        assert execd.process is not None
        assert execd.process.wait(60) == session["stop"]["exit"]
        assert here(execd.log(), home)[: len(session["start_log"])] == session["start_log"]
        assert not execd.layout.exec_queue.exists()
        return
    execd.start()
    started = [line.partition("(pid")[0] for line in here(execd.log(), home)]
    assert started == [line.partition("(pid")[0] for line in session["start_log"]]
    _, instead = vectors.DIFFERENCES.get(session["name"], ("", {}))
    lines = len(execd.log())
    seen = 0
    for index, step in enumerate(session["steps"]):
        if "ar_conf_rewritten_to" in step:
            execd.ar_conf(step["ar_conf_rewritten_to"])
            continue
        if "ar_conf_removed" in step:
            execd.layout.ar_conf.unlink()
            continue
        if "clock_offset" in step:
            continue  # nothing is pending then
        wanted = {**step, **instead.get(index, {})}
        parts = step.get("send_parts", [[step.get("send"), 1]])
        execd.send("".join(text * times for text, times in parts).encode("latin-1"))
        execd.barrier()
        calls = execd.wait_for_calls(seen + len(wanted["calls"])) if wanted["calls"] else execd.calls()
        ours = [[vectors.show(word, index in instead).replace(home, "/var/ossec") for word in c] for c in calls[seen:]]
        assert vectors.check_calls(wanted["calls"], ours, f"step {index}") == []
        seen = len(calls)
        log = execd.log()
        new = [line for line in here(log[lines:], home) if not vectors.OURS.match(line) and "barrier-" not in line]
        lines = len(log)
        # A line of a length that was recorded: the home has another one here.
        assert [line for line in wanted["log"] if "chars)" not in line] == [line for line in new if len(line) < 6000]
    assert execd.stop(session["stop"]["signal"]) == 0
    ours = [[word.decode().replace(home, "/var/ossec") for word in call] for call in execd.calls()[seen:]]
    assert vectors.check_calls(session["stop"]["calls"], ours, "stop") == []
    end = [line for line in here(execd.log()[lines:], home) if not vectors.OURS.match(line)]
    assert end == session["stop"]["log"]
    assert execd.blocks() == 0


def here(lines: list[str], home: str) -> list[str]:
    return [line.replace(home, "/var/ossec") for line in lines]


def test_socat_can_talk_to_it(execd: RealExecd) -> None:
    if shutil.which("socat") is None:
        pytest.skip("socat is not installed")
    execd.start()
    target = f"UNIX-CLIENT:{execd.layout.exec_queue}"
    subprocess.run(["socat", "-", target], input=b"fw600 - 192.0.2.1 (by_hand) (none)\n", check=True, timeout=30)
    assert execd.wait_for_calls(1)[0][1:] == [b"add", b"-", b"192.0.2.1", b"(by_hand)", b"(none)"]
    assert stat.S_IMODE(execd.layout.exec_queue.stat().st_mode) == 0o660


def test_a_block_ends_on_time(execd: RealExecd) -> None:
    execd.start()
    execd.send(b"fw1 - 192.0.2.1 1.1 5712")
    execd.wait_for_calls(2)
    add, delete = sorted(path.stat().st_mtime for path in execd.calls_dir.glob("call.*"))
    assert 0.9 < delete - add < 1.9
    wait_until(lambda: execd.blocks() == 0, "the journal to be empty")


def test_a_killed_execd_undoes_what_is_overdue_at_its_next_start(execd: RealExecd) -> None:
    execd.start()
    execd.send(b"fw1 - 192.0.2.1 1.1 5712")
    execd.send(b"fw600 - 192.0.2.2 1.2 5712")
    wait_until(lambda: sum(line.endswith(": exit 0") for line in execd.log()) == 2, "both to be made")
    execd.kill()
    wait_until(lambda: time.time() > execd.layout.execd_journal.stat().st_mtime + 1.1, "the time of the block to pass")
    execd.start()
    calls = execd.wait_for_calls(3)
    assert calls[2][1:4] == [b"delete", b"-", b"192.0.2.1"]
    execd.send(b"fw600 - 192.0.2.2 1.3 5712")
    execd.barrier()
    assert len(execd.calls()) == 3, "it is still blocked"
    assert execd.blocks() == 1
    assert execd.stop() == 0
    assert execd.calls()[3][1:4] == [b"delete", b"-", b"192.0.2.2"]


def test_a_script_that_outlives_a_crash_is_waited_for(execd: RealExecd) -> None:
    gate = execd.layout.home / "gate"
    execd.script("log.sh", f'[ "$1" = add ] && until [ -e {gate} ]; do :; done')
    execd.start()
    execd.send(b"fw600 - 192.0.2.1 1.1 5712")
    execd.wait_for_calls(1)
    execd.kill()
    execd.start()
    execd.barrier()
    assert len(execd.calls()) == 1, "its add still runs: no second one beside it"
    gate.touch()
    assert [call[1] for call in execd.wait_for_calls(2)] == [b"add", b"add"]


def test_after_a_reboot_blocks_are_made_again(execd: RealExecd) -> None:
    execd.start()
    execd.send(b"fw600 - 192.0.2.1 1.1 5712")
    wait_until(lambda: any(line.endswith(": exit 0") for line in execd.log()), "the block")
    execd.kill()
    other = execd.layout.home / "boot_id"
    other.write_text("another boot\n")
    execd.start(before=f"import pathlib, ossec.execd.store as s; s.BOOT_ID = pathlib.Path('{other}')")
    assert [call[1:4] for call in execd.wait_for_calls(2)] == [[b"add", b"-", b"192.0.2.1"]] * 2
    assert "1 responses of an earlier run are in force: 0 kept, 1 to make again, 0 to undo now." in "".join(execd.log())


# Late, when all is imported: an interpreter below /root is not for everybody.
BECOME_NOBODY = """
import os, ossec.execd.daemon as daemon
def prepare(self):
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
daemon.Execd.prepare = prepare
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_it_runs_as_anybody() -> None:
    """In a home of that user's."""
    with tempfile.TemporaryDirectory(prefix="ossec-execd-") as folder:
        Path(folder).chmod(0o755)
        execd = RealExecd(Path(folder) / "home")
        execd.script("log.sh")
        execd.ar_conf(FW5)
        for path in (execd.layout.home, *execd.layout.home.rglob("*")):
            if path != execd.layout.event_queue.parent:  # that one says whether a home has users of its own
                os.chown(path, 65534, 65534)
        try:
            execd.start(before=BECOME_NOBODY)
            execd.send(b"fw1 - 192.0.2.1 1.1 5712")
            assert [call[1] for call in execd.wait_for_calls(2)] == [b"add", b"delete"]
            assert execd.stop() == 0
        finally:
            execd.end()


def test_a_damaged_journal_loses_the_damaged_record_only(execd: RealExecd) -> None:
    execd.start()
    execd.send(b"fw600 - 192.0.2.1 1.1 5712")
    wait_until(lambda: any(": exit 0" in line for line in execd.log()), "the add")
    execd.kill()
    with execd.layout.execd_journal.open("ab") as out:
        out.write(b'12345678 ["gone",1')
    execd.start()
    assert execd.blocks() == 1
    assert any("1 damaged records are lost" in line for line in execd.log())


def test_a_reload_keeps_the_process_and_the_blocks(execd: RealExecd) -> None:
    execd.start()
    execd.send(b"fw600 - 192.0.2.1 1.1 5712")
    execd.wait_for_calls(1)
    execd.layout.ossec_conf.write_text(
        "<ossec_config><active-response><repeated_offenders>7</repeated_offenders></active-response></ossec_config>"
    )
    assert execd.process is not None
    execd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "ossec-execd: INFO: Adding offenders timeout: 7 (for #1)" in execd.log(), "the reload")
    execd.barrier()
    assert execd.blocks() == 1
    assert len(execd.calls()) == 1


def test_an_address_in_the_allow_list_is_not_blocked_by_hand_and_released_at_reload(execd: RealExecd) -> None:
    execd.start()
    execd.send(b"fw600 - 192.0.2.1 (by_hand) (none)")
    execd.wait_for_calls(1)
    execd.layout.ossec_conf.write_text(
        "<ossec_config><global><white_list>192.0.2.0/24</white_list></global></ossec_config>"
        "<ossec_config><global><allow_list>203.0.113.5</allow_list></global></ossec_config>"
    )
    assert execd.process is not None
    execd.process.send_signal(signal.SIGHUP)
    assert execd.wait_for_calls(2)[1][1] == b"delete"
    for address in (b"192.0.2.9", b"203.0.113.5"):
        execd.send(b"fw600 - %b (by_hand) (none)" % address)
    execd.barrier()
    assert len(execd.calls()) == 2
    assert "ossec-execd: WARN: '203.0.113.5' is in the allow list: not blocked." in execd.log()


def test_a_bad_configuration_at_reload_changes_nothing(execd: RealExecd) -> None:
    execd.start()
    execd.layout.ossec_conf.write_text("<ossec_config><active-response><disabled>x</disabled></active-response>")
    assert execd.process is not None
    execd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any("Reload refused" in line for line in execd.log()), "the refusal")
    execd.send(b"fw0 - 192.0.2.1")
    execd.wait_for_calls(1)


# --- what a script gets, and what it may do ---


def test_a_script_gets_json_and_variables_and_nothing_of_ours(execd: RealExecd) -> None:
    out = execd.layout.home / "seen"
    execd.script(
        "log.sh",
        text=f"""#!/bin/sh
        {{ cat; env; pwd; umask; ls -l /proc/$$/fd >{out}.fds; grep Sig /proc/self/status; }} >{out}.new
        mv {out}.new {out}
        """,
    )
    execd.start()
    execd.send(b"fw600 bob 192.0.2.1 1795320577.1 5712 (web 1) 10.0.0.1->/var/log/auth.log /tmp/a\\ b\xff\0")
    wait_until(out.exists, "the script")
    first, *lines = out.read_text(errors="surrogateescape").splitlines()
    told = json.loads(first)
    assert (told["user"], told["ip"], told["rule_id"], told["action"]) == ("bob", "192.0.2.1", "5712", "add")
    assert (told["location"], told["filename"]) == ("(web 1) 10.0.0.1->/var/log/auth.log", "/tmp/a b\udcff")
    assert f"OSSEC_AR_HOME={execd.layout.home}" in lines
    assert "OSSEC_AR_FILENAME=/tmp/a b\udcff" in lines
    assert "/" in lines
    descriptors = [line.rpartition(" -> ")[2] for line in Path(f"{out}.fds").read_text().splitlines()[1:]]
    ours = [name for name in descriptors if name.startswith(("socket:", "anon_inode:")) or "queue/" in name]
    assert ours == []
    assert sum("memfd:" in name for name in descriptors) == 2
    signals = {line[:6]: int(line.split()[1], 16) & 0x7FFFFFFF for line in lines if line[:6] in ("SigIgn", "SigBlk")}
    assert (signals["SigIgn"], signals["SigBlk"]) == (0, 0)


def test_a_script_that_ends_us_is_not_ended_itself(execd: RealExecd) -> None:
    """As restart-ossec.sh does."""
    done = execd.layout.home / "done"
    gone = 'while kill -0 "$daemon" 2>/dev/null; do :; done'
    execd.script(
        "log.sh",
        text=f"#!/bin/sh\ndaemon=$PPID\nkill -TERM $PPID\n{gone}\necho complaint >&2 && echo all right >{done}\n",
    )
    execd.start()
    execd.send(b"fw0 - null (from_the_server) (no_rule_id)")
    assert execd.process is not None
    assert execd.process.wait(60) == 0
    wait_until(done.exists, "the script to go on")


def test_the_complaint_of_a_failing_script_is_logged(execd: RealExecd) -> None:
    execd.script(
        "log.sh", 'i=0; while [ $i -lt 3000 ]; do echo noise $i; i=$((i + 1)); done >&2; echo "no luck" >&2; exit 4'
    )
    execd.start()
    execd.send(b"fw0 - 192.0.2.1 1.1 5712")
    line = wait_until(lambda: [line for line in execd.log() if "exit 4" in line], "the result")[0]
    assert line.startswith("ossec-execd: ERROR: 'fw0' add - 192.0.2.1: exit 4 (")
    assert line.endswith("noise 2999 / no luck)")


def test_a_hanging_script_is_ended_with_its_children(execd: RealExecd) -> None:
    execd.script("log.sh", text="#!/bin/sh\ntrap '' TERM\nsleep 1000 &\nsleep 1000\n")
    execd.start(before="import ossec.execd.policy as p; p.ONCE_LIMIT = 0.3; p.KILL_GRACE = 0.3")
    execd.send(b"fw0 - 192.0.2.1 1.1 5712")
    wait_until(lambda: [line for line in execd.log() if "ended after 0.3 seconds" in line], "its end")
    mark = f"OSSEC_AR_HOME={execd.layout.home}".encode()
    wait_until(lambda: not any(mark in environ for environ in environments()), "the end of its children")


def environments() -> Iterator[list[bytes]]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield path.read_bytes().split(b"\0")
        except OSError:
            continue


def test_a_failure_becomes_an_event(execd: RealExecd) -> None:
    execd.script("log.sh", "exit 3")
    execd.start(before="import ossec.execd.daemon as d; d.ALERT_RETRY = 0.1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as analysisd:
        execd.send(b"fw0 - 192.0.2.1 1.1 5712")
        wait_until(lambda: any("exit 3" in line for line in execd.log()), "the failure, with nobody there to be told")
        analysisd.bind(str(execd.layout.event_queue))
        analysisd.settimeout(20)
        event = analysisd.recv(6144)
    assert event == b"1:ossec-execd:ossec: active response: 'fw0' add - 192.0.2.1 failed: exit 3.\0"


def test_a_journal_that_cannot_be_read_is_put_aside_and_told(execd: RealExecd) -> None:
    execd.layout.execd_journal.mkdir()
    execd.start()
    execd.send(b"fw600 - 192.0.2.1 1.1 5712")
    wait_until(lambda: any(line.endswith(": exit 0") for line in execd.log()), "the block")
    assert execd.blocks() == 1
    assert sum("ar-state cannot be read (Is a directory)" in line for line in execd.log()) == 1


def test_a_journal_that_cannot_be_written_stops_no_response(execd: RealExecd) -> None:
    execd.layout.execd_journal.with_name(".ar-state.new").mkdir()
    execd.start()
    execd.send(b"fw1 - 192.0.2.1 1.1 5712")
    assert [call[1] for call in execd.wait_for_calls(2)] == [b"add", b"delete"]
    assert sum("ar-state cannot be written" in line for line in execd.log()) == 1
    execd.layout.execd_journal.with_name(".ar-state.new").rmdir()
    execd.send(b"fw600 - 192.0.2.2 1.1 5712")
    wait_until(lambda: any("ar-state is written again" in line for line in execd.log()), "the journal to work again")
    assert execd.blocks() == 1


# --- storms ---


def test_a_thousand_blocks_are_made_and_undone(execd: RealExecd) -> None:
    execd.script("log.sh", text="#!/bin/true\n")
    execd.start()
    for number in range(1000):
        execd.send(b"fw600 - 10.1.%d.%d 1.%d 5712" % (number // 250, number % 250, number))
    wait_until(lambda: sum(line.endswith(": exit 0") for line in execd.log()) == 1000, "1000 blocks")
    assert execd.blocks() == 1000
    assert execd.stop() == 0
    assert execd.blocks() == 0


def test_kills_at_any_moment_lose_and_leave_no_block(execd: RealExecd) -> None:
    """`make soak` has a thousand blocks and two hundred kills."""
    storm(execd, blocks=60, kills=8, seed=1)


FIREWALL = """#!/bin/sh
# A firewall of files: idempotent, and slow enough to be met in the middle.
case $1 in
add) : >"{wall}/$3" ;;
delete) rm -f "{wall}/$3" ;;
esac
printf '%s\\n' "$1 $3" >>"{wall}.log"
"""


def storm(execd: RealExecd, blocks: int, kills: int, seed: int) -> None:
    """Blocks with short and long times, a daemon that is killed again and again; at last all short ones are gone and
    all long ones are there, and after a clean stop none is."""
    chance = random.Random(seed)
    wall = execd.layout.home / "wall"
    wall.mkdir()
    execd.script("fw.sh", text=FIREWALL.format(wall=wall))
    execd.ar_conf("short1 - fw.sh - 1\nlong600 - fw.sh - 600\n")
    execd.start()
    sent: dict[str, str] = {}
    left = list(range(blocks))
    for kill in range(kills):
        for number in left[: max(1, blocks // kills)]:
            name = chance.choice(["short1", "long600"])
            address = f"10.{number // 62500}.{number // 250 % 250}.{number % 250}"
            execd.send(f"{name} - {address} {kill}.{number} 5712".encode())
            sent[address] = name
        left = left[max(1, blocks // kills) :]
        # What is in the socket dies with the process, as with every queue of datagrams: wait until it has been read.
        execd.barrier()
        deadline = time.monotonic() + chance.random() * 0.15
        wait_until(lambda: time.monotonic() > deadline, "the moment of the kill")  # noqa: B023
        execd.kill()
        execd.start()
    long_ones = {address for address, name in sent.items() if name == "long600"}
    wait_until(lambda: {path.name for path in wall.iterdir()} == long_ones, "exactly the long blocks")
    wait_until(lambda: execd.blocks() == len(long_ones), "the journal to say the same")
    assert execd.stop() == 0
    assert list(wall.iterdir()) == []
    assert execd.blocks() == 0
    done = (wall.with_suffix(".log")).read_text().splitlines()
    assert {line.split()[1] for line in done} == set(sent)


def test_the_message_reaches_the_script_in_milliseconds(execd: RealExecd) -> None:
    """A generous bound; `bench/bench_execd.py` has the figures."""
    stamp = execd.layout.home / "stamp"
    execd.script("log.sh", text=f"#!/bin/sh\n: >{stamp}\n")
    execd.start()
    taken = []
    for number in range(10):
        began = time.perf_counter()
        execd.send(b"fw0 - 192.0.2.%d 1.1 5712" % number)
        while not stamp.exists():
            pass
        taken.append(time.perf_counter() - began)
        stamp.unlink()
    assert sorted(taken)[5] < 0.1


@pytest.mark.parametrize(
    ("block", "status", "said"),
    [
        ("<disabled>yes</disabled>", 0, []),
        ("<repeated_offenders>5</repeated_offenders>", 0, ["ossec-execd: INFO: Adding offenders timeout: 5 (for #1)"]),
        ("<disabled>YES</disabled>", 1, ["ossec-execd(1235): ERROR: Invalid value for element 'disabled': YES."]),
    ],
)
def test_a_test_of_the_configuration_says_and_writes_nothing_else(
    execd: RealExecd, block: str, status: int, said: list[str]
) -> None:
    execd.layout.ossec_conf.write_text(f"<ossec_config><active-response>{block}</active-response></ossec_config>")
    before = sorted(execd.layout.home.rglob("*"))
    done = execd.run("-t")
    assert done.returncode == status
    lines = [line.split(" ", 2)[2] for line in done.stderr.splitlines()]
    assert lines[: len(said)] == said
    assert len(lines) == len(said) or status == 1
    assert sorted(execd.layout.home.rglob("*")) == before
