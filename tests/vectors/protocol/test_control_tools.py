"""agent_control, list_agents, rootcheck_control, syscheck_control against what OSSEC's printed and sent.

Help texts are our own: `{HELP}` stands for OSSEC's in a recording.
"""

from __future__ import annotations

import calendar
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ossec.agents import control
from ossec.cli import agent_control, list_agents, rootcheck_control, syscheck_control
from ossec.cli.agent_control import run_tool
from ossec.layout import Layout

ROWS = [json.loads(line) for line in Path(__file__).with_name("control_tools.jsonl").read_text().splitlines()]
TOOLS = {
    "agent_control": agent_control.command,
    "list_agents": list_agents.command,
    "rootcheck_control": rootcheck_control.command,
    "syscheck_control": syscheck_control.command,
}

NOW = 1795321296  # when the listings were recorded; other times there are fixed
SECRET = "0123456789abcdef" * 4
KEYS = f"""\
001 web01 10.9.0.11 {SECRET}
002 dyn02 any {SECRET}
003 cidr03 10.9.0.0/24 {SECRET}
004 never04 10.9.1.1 {SECRET}
005 #*#*#*#*#*#*#*#*#*#*#
1024 auto-1024 any {SECRET}
"""
INFO = {
    "web01-10.9.0.11": (
        60,
        "Linux web01 6.1.0 #1 SMP x86_64 - OSSEC HIDS v4.2.0 / 6d65dcdc4ddf657d6bfa39ccfa970d58\ncrypto_method:aes\n",
    ),
    "dyn02-any": (1820, "Linux dyn02 5.10 #1 SMP x86_64 - OSSEC HIDS v3.7.0\ncrypto_method:blowfish\n"),
    "cidr03-10.9.0.0": (
        1840,
        "Microsoft Windows Server 2019 Datacenter (Ver: 10.0.17763) - OSSEC HIDS v4.2.0\n",
    ),
    "auto-1024-any": (3 * 86400, "weird uname without version\n"),
    "orphan-10.1.1.1": (60, "Linux orphan 6.1.0 #1 SMP x86_64 - OSSEC HIDS v4.2.0\n"),
}
SCANS = """\
!1795310000!1795310000 Starting syscheck scan.
!1795310100!1795310100 Ending syscheck scan.
!1795311000!1795311000 Starting rootcheck scan.
!1795311100!1795311100 Ending rootcheck scan.
"""
AR_CONF = """\
restart-ossec0 - restart-ossec.sh - 0
restart-ossec0 - restart-ossec.cmd - 0
host-deny600 - host-deny.sh - 600
firewall-drop600 - firewall-drop.sh - 600
notimeout0 - -foo.sh - 0
"""
DEVICE = "   ID: na, Name: (ssh_integrity_check_linux) root@10.9.0.50, IP: 10.9.0.50, agentless\n"
DEVICE_JSON = ',{"id":"na","name":"(ssh_integrity_check_linux) root@10.9.0.50","ip":"10.9.0.50","status":"agentless"}]}'


def key(row: dict[str, Any]) -> str:
    return " ".join([row["tool"], *row["argv"]]) + (" (away)" if "note" in row else "")


# Deliberate differences: what takes the place of the recorded output, exit status, orders.
DIFFERENT: dict[str, dict[str, Any]] = {
    # `-j` is JSON and nothing else
    "agent_control -l -j": {"cut": DEVICE, "end": DEVICE_JSON},
    # an error is an error
    "agent_control -i 099 -j": {"rc": 1, "stdout": '{"error":40,"description":"Invalid agent id \'099\'"}'},
    # short IDs
    "agent_control -i 1": {"as": "agent_control -i 001"},
    # where OSSEC prints `(null)` or text
    "syscheck_control -l -j": {"cut": DEVICE, "end": DEVICE_JSON},
    "rootcheck_control -l -j": {"as": "agent_control -l -j", "cut": DEVICE, "end": DEVICE_JSON},
    "rootcheck_control -i 001 -j": {"stdout": '{"error":0,"response":[]}'},
    "rootcheck_control -i 099 -j": {"stdout": '{"error":32,"description":"Invalid agent id \'099\'."}'},
    "rootcheck_control -u 099 -j": {"stdout": '{"error":32,"description":"Invalid agent id \'099\'."}'},
    "rootcheck_control -u 001 -j": {"stdout": '{"error":0,"response":"Policy and auditing database updated"}'},
    # the local host is restarted locally
    "agent_control -R 000": {"ar_queue": [], "execq": ["restart-ossec0 - null (from_the_server) (no_rule_id)"]},
}


@pytest.fixture
def home(bare_home: Layout) -> Iterator[Layout]:
    bare_home.client_keys.write_text(KEYS)
    bare_home.rids_dir.mkdir()
    bare_home.agentless_queue_dir.mkdir()
    (bare_home.agentless_queue_dir / "(ssh_integrity_check_linux) root@10.9.0.50").write_text("")
    bare_home.ar_conf.write_text(AR_CONF)
    bare_home.rootcheck_database("(web01) 10.9.0.11->rootcheck").write_text(SCANS)
    now = time.time()
    for name, (age, text) in INFO.items():
        path = bare_home.agent_info(name)
        path.write_text(text)
        os.utime(path, (now - age, now - age))
    yield bare_home


def bound(path: Path) -> socket.socket:
    queue = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    queue.bind(str(path))
    return queue


def drain(queue: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(queue.recv(8192).rstrip(b"\0").decode())
        except BlockingIOError:
            return found


def recorded(text: str) -> str:
    """A recording with this machine's name and times: those of keep-alives move with the clock."""
    shift = int(time.time()) - NOW
    ages = {age for age, _ in INFO.values()}

    def date(match: re.Match[str]) -> str:
        seconds = calendar.timegm(time.strptime(match[0], "%a %b %d %H:%M:%S %Y"))
        return f"\1{time.ctime(seconds + shift)}\1" if NOW - seconds in ages else time.ctime(seconds)

    host = os.uname()
    system = f"Linux {host.nodename} {host.release} {host.version} {host.machine}"
    text = re.sub(r"Linux \{HOSTNAME\} .*? x86_64", lambda _: system, text)
    return re.sub(r"[A-Z][a-z]{2} Nov \d\d \d\d:\d\d:\d\d 2026", date, text).replace("{HOSTNAME}", host.nodename)


def matches(ours: str, expected: str) -> bool:
    """Equal, but a time that moves with the clock may be a second early or late."""
    if ours == expected.replace("\1", ""):
        return True
    pattern = ""
    for number, part in enumerate(expected.split("\1")):
        if number % 2 == 0:
            pattern += re.escape(part)
            continue
        seconds = time.mktime(time.strptime(part))
        pattern += "(?:" + "|".join(re.escape(time.ctime(seconds + step)) for step in (-1, 0, 1)) + ")"
    return re.fullmatch(pattern, ours) is not None


def without_help(text: str) -> str:
    """What comes before the help, which begins with its usage line."""
    head, usage, _ = text.partition("Usage: ")
    return head + "{HELP}" if usage else text


def run(row: dict[str, Any], layout: Layout) -> tuple[int, str, str]:
    tool = TOOLS[row["tool"]]
    status = 0

    @click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def start(words: tuple[str, ...]) -> None:
        nonlocal status
        status = run_tool(tool, row["tool"], list(words), getopt=row["tool"] != "list_agents")

    result = CliRunner().invoke(start, ["--", *row["argv"]], env={"OSSEC_HOME": str(layout.home)})
    assert result.exception is None, result.exception
    return status, result.stdout, result.stderr


@pytest.mark.parametrize("row", ROWS, ids=map(key, ROWS))
def test_a_recorded_run(row: dict[str, Any], home: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.0)
    away = "note" in row
    orders = None if away else bound(home.ar_queue)
    local = bound(home.exec_queue)
    different = DIFFERENT.get(key(row), {})
    if "as" in different:
        like = next(other for other in ROWS if key(other) == different["as"])
        row = {**like, "argv": row["argv"], "tool": row["tool"]}
    status, stdout, stderr = run(row, home)

    expected = different.get("stdout", row["stdout"]).replace(different.get("cut", "\0"), "")
    if "end" in different:
        expected = expected.removesuffix("]}") + different["end"]
    if row["tool"] == "list_agents":  # OSSEC's order is the directory's
        assert sorted(without_help(stdout).split()) == sorted(expected.split())
    elif (row["argv"][:1] == ["-l"] and "-j" in row["argv"]) or row["argv"][:2] == ["-lc", "-j"]:
        answer = json.loads(stdout)
        for agent in answer["response"]:
            agent.pop("lastKeepAlive", None)  # ours
        assert answer == json.loads(recorded(expected))
    else:
        expected = re.sub(r"\b17953213\d\d\b", "T", expected)
        ours = re.sub(r"\b1[78]\d{8}\b", "T", without_help(stdout))
        if expected == "\n{HELP}":
            ours = "\n" + ours.lstrip()
        assert matches(ours, recorded(expected)), ours
    assert status == different.get("rc", row["rc"])
    if away:
        assert [line[20:] for line in stderr.splitlines()] == [
            line[20:].replace("/queue/alerts/ar", str(home.ar_queue)) for line in row["stderr"].splitlines()
        ]
    elif "invalid option" in row["stderr"]:
        assert stderr.endswith("invalid option -- 'x'\n") == (row["tool"] == "agent_control")
    if orders is not None:
        assert drain(orders) == different.get("ar_queue", row.get("ar_queue", []))
        orders.close()
    assert drain(local) == different.get("execq", [])
    local.close()
    if "syscheck_run" in row:
        assert home.syscheck_run_file.read_text() == row["syscheck_run"]
    if "maint_files" in row:
        for name, content in row["maint_files"].items():
            written = (home.syscheck_dir / name).read_text()
            assert re.sub(r"=\d{10}", "=T", written) == re.sub(r"=\d{10}", "=T", content)
