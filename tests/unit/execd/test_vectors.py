"""The recorded sessions of OSSEC's execd, on the policy with a virtual clock."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ossec.config import dialect
from ossec.execd import settings
from ossec.execd.effects import Outcome, Run
from tests.unit.execd.host import Host

VECTORS = Path(__file__).parents[2] / "vectors" / "active-response" / "execd.jsonl"
SESSIONS = [json.loads(line) for line in VECTORS.read_text().splitlines()]
B = "/var/ossec/active-response/bin/"
CANNOT = {"noexec.sh": errno.EACCES, "badint.sh": errno.ENOENT, "noshebang.sh": errno.ENOEXEC}
# What ours says besides: how each call ended.
OURS = re.compile(r"ossec-execd: (INFO|ERROR): '[^']*' (add|delete) ")


def refused(code: int, what: str, value: str) -> dict[str, Any]:
    return {"calls": [], "log": [f"ossec-execd({code}): WARN: Invalid {what} '{value}'. Possible logging attack."]}


def address(value: str) -> dict[str, Any]:
    return refused(1271, "IP Address", value)


def user(value: str) -> dict[str, Any]:
    return refused(1272, "username", value)


def call(*words: str, script: str = "log.sh") -> list[str]:
    return [B + script, *words]


# Deliberate differences: what ours does in a step instead of what was recorded, and why.
DIFFERENCES: dict[str, tuple[str, dict[int, dict[str, Any]]]] = {
    "argv-missing-fields": (
        "an empty datagram is an invalid message, not a broken queue",
        {7: {"log": ["ossec-execd(1310): WARN: Invalid active response (execd) message ''."]}},
    ),
    "argv-separators": (
        "one closing newline is dropped; control characters are refused, and escaped in the log",
        {
            3: user("-\t1.2.3.4"),
            4: {"calls": [call("add", "-", "1.2.3.4")]},
            5: {
                "calls": [],
                "log": ["ossec-execd: WARN: Control character in a response: 'x\\012y'. Possible logging attack."],
            },
            6: {"log": ["ossec-execd(1311): ERROR: Invalid command name 'fw0\\012' provided."]},
        },
    ),
    "argv-injection": (
        "users and addresses that analysisd would refuse are refused",
        {
            0: address("1.2.3.4;id"),
            1: address("$(id)"),
            2: user('"a'),
            3: user("-x"),
            4: address("1.2.3.4|sh"),
            5: user("../../x"),
            6: user("\udce9\udcff"),
            9: address("%s%n"),
        },
    ),
    "timeout-dedupe-key": (
        "the key is script, user and address; the longest expiry wins; what another block still needs is made again",
        {
            3: {"calls": [call("add", "user1", "1.2.3.4", "1.4", "400")]},
            6: {
                "calls": [
                    call("delete", "-", "1.2.3.4", "1.3", "300", script="log2.sh"),
                    call("delete", "-", "1.2.3.5", "1.5", "500"),
                    call("delete", "user1", "1.2.3.4", "1.4", "400"),
                    call("add", "-", "1.2.3.4", "1.1", "100"),
                ]
            },
            8: {"calls": [call("delete", "-", "1.2.3.4", "1.1", "100")]},
        },
    ),
    "timeout-user-only": (
        "every user has a block of his own",
        {
            1: {"calls": [call("add", "bob", "-", "1.2", "100")]},
            3: {"calls": [call("delete", "alice", "-", "1.1", "100"), call("delete", "bob", "-", "1.2", "100")]},
        },
    ),
    "repeated-key": (
        "so a second user is no repeated offender",
        {
            5: {"calls": [call("delete", "u2", "-", "1.1", "1")]},
            10: {"calls": []},
        },
    ),
    "timeout-missing-arg-pending": (
        "OSSEC's daemon dies",
        {2: {"calls": [call("add", "-", "1.2.3.5")]}},
    ),
    "sixty-six-entries": (
        "OSSEC's daemon dies: the table has no limit",
        {
            0: {"calls": [call("add", "-", "1")], "log": []},
            1: {"calls": [call("add", "-", "1")]},
            2: {"log": ["ossec-execd(1311): ERROR: Invalid command name 'zzz' provided."]},
            3: {"calls": [call("add", "-", "1")]},
        },
    ),
    "two-hundred-entries": (
        "OSSEC's daemon dies: the table has no limit",
        {
            0: {"calls": [call("add", "-", "1")]},
            1: {"calls": [call("add", "-", "1")]},
            2: {"calls": [call("add", "-", "1")]},
            3: {"log": ["ossec-execd(1311): ERROR: Invalid command name 'zzz' provided."]},
            4: {"calls": [call("add", "-", "1")]},
        },
    ),
}
STARTS = {"disabled-first-yes-second-no": "one block's `disabled` does not switch off another"}


def answer(run: Run) -> tuple[float, Outcome]:
    return 0.0, Outcome(errno=CANNOT.get(Path(run.script.decode()).name, 0))


def show(word: bytes, ours: bool) -> str:
    """As the recording shows it: Latin-1."""
    return word.decode("utf-8", "surrogateescape") if ours else word.decode("latin-1")


def same_line(recorded: str, ours: str) -> bool:
    cut = re.fullmatch(r"(.*)\.\.\.\((\d+) chars\)", recorded, re.DOTALL)
    if cut is None:
        return recorded == ours
    return ours.startswith(cut[1]) and len(ours) == int(cut[2])


def same_call(recorded: list[Any], ours: list[str]) -> bool:
    return len(recorded) == len(ours) and all(
        word == own
        if isinstance(word, str)
        else (len(own), own[:40], own[-20:]) == (word["len"], word["start"], word["end"])
        for word, own in zip(recorded, ours, strict=True)
    )


def check_calls(recorded: list[list[Any]], ours: list[list[str]], where: str) -> list[list[str]]:
    """Every recorded call is among ours, the rest comes back.  The order within a step has no meaning."""
    left = list(ours)
    for wanted in recorded:
        found = next((own for own in left if same_call(wanted, own)), None)
        assert found is not None, f"{where}: no {wanted} in {left}"
        left.remove(found)
    return left


@pytest.mark.parametrize("session", SESSIONS, ids=[session["name"] for session in SESSIONS])
def test_a_recorded_session(session: dict[str, Any]) -> None:
    name = session["name"]
    roots = dialect.parse(session["ossec_conf"].encode())
    if "1235" in session["start_log"][0]:
        with pytest.raises(settings.SettingsError) as caught:
            settings.choose(roots, "/var/ossec/etc/ossec.conf")
        assert caught.value.lines[: len(session["start_log"])] == session["start_log"]
        return
    loaded = settings.choose(roots, "/var/ossec/etc/ossec.conf")
    if name in STARTS:
        assert not loaded.disabled
        return
    assert loaded.disabled == ("(1350)" in session["start_log"][0])
    if loaded.disabled:
        return
    said = [f"ossec-execd: INFO: Adding offenders timeout: {m} (for #{n})" for n, m in enumerate(loaded.offenders, 1)]
    assert [*said, "ossec-execd: INFO: Started (pid: PID)."] == session["start_log"]

    host = Host(session["ar_conf"], [*session["scripts_present"], *CANNOT], ladder=loaded.offenders, answer=answer)
    _, instead = DIFFERENCES.get(name, ("", {}))
    pending: list[list[str]] = []
    for index, step in enumerate(session["steps"]):
        where = f"{name} step {index}"
        if "clock_offset" in step:
            host.run_to(float(step["clock_offset"]))
            continue
        if "ar_conf_rewritten_to" in step:
            host.ar_conf = step["ar_conf_rewritten_to"]
            continue
        if "ar_conf_removed" in step:
            host.ar_conf = None
            continue
        parts = step.get("send_parts", [[step.get("send"), 1]])
        host.send("".join(text * times for text, times in parts))
        wanted = {**step, **instead.get(index, {})}
        early = {tuple(argv) for at, argv in host.calls if argv[1] == b"delete" and at == host.at}
        decoded = [[show(word, index in instead) for word in argv] for _, argv in host.calls]
        host.calls = []
        pending = check_calls(wanted["calls"], pending + decoded, where)
        # Ours undoes at the very moment; OSSEC when a whole second more has passed: the next step has it.
        assert all(tuple(word.encode() for word in argv) in early for argv in pending), (where, pending)
        log = sorted(line for line in host.log if not OURS.match(line))
        host.log = []
        assert len(log) == len(wanted["log"]), (where, log)
        for recorded, own in zip(sorted(wanted["log"]), log, strict=True):
            assert same_line(recorded, own), (where, recorded, own)
    host.stop()
    if session["stop"]["signal"] == 9:
        return
    if session["alive_before_stop"]:
        ours = pending + [[show(word, False) for word in argv] for _, argv in host.calls]
        assert check_calls(session["stop"]["calls"], ours, name) == []
    assert host.log[0] == "ossec-execd(1314): INFO: Shutdown received. Deleting responses."
    assert host.policy.settled
    assert host.policy.blocks == 0
