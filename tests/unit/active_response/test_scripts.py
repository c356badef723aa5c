"""The response scripts: their argv, their one line in active-responses.log, their exit status."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
BIN = ROOT / "active-response" / "bin"
# Those in shell; the ones that talk to a service are in test_services.py.
SCRIPTS = sorted(path.name for path in BIN.glob("*.sh") if path.read_text().startswith("#!/bin/sh\n"))
VECTORS = ROOT / "tests" / "vectors" / "active-response" / "scripts.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text().splitlines()]
DATE = re.compile(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z][a-z] [ 1-3][0-9] [0-9:]{8} \S+ [0-9]{4} ")
TOOLS = ("iptables", "ip6tables", "nft", "firewall-cmd", "ip", "passwd")

FAKE = """#!/bin/sh
line="$(basename "$0") $*"
[ "$(basename "$0")" = nft ] && line="$line
$(cat)"
printf '%s\\n' "$line" >>"$FAKE_CALLS"
while IFS= read -r behaviour; do
    pattern=${behaviour#* }
    if printf '%s\\n' "$line" | grep -Eq -e "$pattern"; then
        echo "no luck" >&2
        exit "${behaviour%% *}"
    fi
done <"$FAKE_BEHAVIOUR"
exit 0
"""


class Home:
    """A home with the scripts, and fake tools in front of the real ones."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bin = path / "active-response" / "bin"
        self.bin.mkdir(parents=True)
        (path / "logs").mkdir()
        (path / "tools").mkdir()
        for name in SCRIPTS:
            shutil.copy(BIN / name, self.bin / name)
        for name in TOOLS:
            tool = path / "tools" / name
            tool.write_text(FAKE)
            tool.chmod(0o755)
        self.log = path / "logs" / "active-responses.log"
        self.calls = path / "calls"
        self.behaviour = path / "behaviour"
        self.behaviour.write_text("")
        self.hosts_deny = path / "hosts.deny"
        self.environment = {
            "PATH": f"{path}/tools:/usr/bin:/bin",
            "TZ": "Europe/Zagreb",
            "LC_ALL": "C.UTF-8",
            "FAKE_CALLS": str(self.calls),
            "FAKE_BEHAVIOUR": str(self.behaviour),
            "OSSEC_HOSTS_DENY": str(self.hosts_deny),
            "OSSEC_IPBLOCK_DIR": str(path / "ipblock"),
        }

    def run(self, script: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / script, *args],
            cwd="/",
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def lines(self) -> list[str]:
        """What was logged, dates taken off, the home as OSSEC's."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        assert all(DATE.match(line) for line in lines), lines
        return [DATE.sub("", line).replace(str(self.path), "/var/ossec") for line in lines]

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


# Deliberate differences: the exit status of ours and the reason that its line gives.
FAILS = "a failure is one line that says so, and exit 1; execd tries again"
STRICT = "an address is parsed strictly, and never looked up"
USAGE = "usage errors go to the log and to stderr"
DIFFERENT: dict[str, tuple[int, str | None, str]] = {
    "fw-add-fails": (1, "iptables returned 4: no luck", FAILS),
    "fw-no-ip": (1, "invalid IP: ''", USAGE),
    "fw-ip-empty": (1, "invalid IP: ''", USAGE),
    "fw-ip-dash": (1, "invalid IP: '-'", STRICT),
    "fw-ip-hostname": (1, "invalid IP: 'evil.example.com'", STRICT),
    "fw-ip-option": (1, "invalid IP: '-F.x'", STRICT),
    "fw-ip-spaces": (1, "invalid IP: '1.2.3.4 -j ACCEPT'", STRICT),
    "fw-bad-action": (1, "usage", USAGE),
    "fw-no-args": (1, "usage", USAGE),
    "fw-delete-rule-gone": (0, None, "a rule that is gone is a success"),
    "fw-stale-lock-20s": (0, None, "no lock directory: nothing to be stale"),
    "nft-delete-fail": (1, "nft returned 1: no luck", FAILS),
    "fwd-fail": (1, "firewall-cmd returned 252: no luck", FAILS),
    "hd-add-dup": (0, None, "a line that is there is a success"),
    "hd-add-dup-regexdot": (0, None, "a line is compared exactly"),
    "hd-bad-ip": (1, "invalid IP or host name: 'localhost'", FAILS),
    "hd-noip": (1, "invalid IP or host name: ''", USAGE),
    "hd-bad-action": (1, "usage", USAGE),
    "rn-fail": (1, "ip returned 7: no luck", FAILS),
    "rn-bad": (1, "usage", USAGE),
    "rn-noip": (1, "invalid IP: ''", USAGE),
    "da-add": (0, None, "exit 0 is success"),
    "da-del": (0, None, "exit 0 is success"),
    "da-root": (1, "'root' is root", USAGE),
    "da-none": (1, "invalid user: ''", USAGE),
    "da-bad": (1, "usage", USAGE),
    "da-dash": (1, "invalid user: '-'", STRICT),
    "da-fail": (1, "passwd returned 1: no luck", FAILS),
    "cb-noip": (1, "invalid IP: ''", USAGE),
    "rs-bad": (1, "usage", USAGE),
}
OURS = [case for case in CASES if case["script"] in SCRIPTS]
BEHAVIOUR = {"route": "ip .*route replace", "-D": "-C OSSEC", "delete": "delete element", "passwd": "passwd -l"}
BESIDES = {"fw-add-fails": "1 -C OSSEC\n"}
AFTER = {"hd-add-dup-regexdot": "ALL:1x2y3z4\nALL:1.2.3.4\n"}


@pytest.mark.parametrize("case", OURS, ids=[case["name"] for case in OURS])
def test_a_recorded_call(home: Home, case: dict[str, Any]) -> None:
    """The tools that OSSEC calls are information; argv, log line and exit status count."""
    name = case["name"]
    status, complaint, _ = DIFFERENT.get(name, (case["exit"], None, ""))
    home.behaviour.write_text(
        BESIDES.get(name, "")
        + "".join(f"{code} {BEHAVIOUR.get(pattern, pattern)}\n" for pattern, code, _ in case["tool_behaviour"])
    )
    if case["script"] == "disable-account.sh":
        fake_id = home.path / "tools" / "id"
        fake_id.write_text('#!/bin/sh\n[ "$2" = root ] && echo 0 || echo 1000\n')
        fake_id.chmod(0o755)
    if "hosts_deny_before" in case:
        home.hosts_deny.write_text(case["hosts_deny_before"])
    done = home.run(case["script"], *case["args"], OSSEC_FW_TOOL="iptables")
    assert done.returncode == status
    assert done.stdout == ""
    call = " ".join([f"/var/ossec/active-response/bin/{case['script']}", *(case["args"] + [""] * 5)[:5]])
    if complaint is None:
        assert home.lines() == [call]
        assert [line.removeprefix("DATE ") for line in case["active_responses_log"]][:1] == [call]
    else:
        (line,) = home.lines()
        assert line.startswith(f"Unable to run ({complaint}")
        assert line.endswith(f" - {call}")
        assert done.stderr != ""
    if "hosts_deny_after" in case:
        assert home.hosts_deny.read_text() == AFTER.get(name, case["hosts_deny_after"])


def test_every_deliberate_difference_belongs_to_a_case() -> None:
    assert set(DIFFERENT) <= {case["name"] for case in OURS}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("shell", [["dash", "-n"], ["bash", "--posix", "-n"], ["shellcheck", "-s", "sh"]], ids=str)
def test_a_script_is_plain_posix_shell(script: str, shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    subprocess.run([*shell, str(BIN / script)], check=True, timeout=60)


@pytest.mark.parametrize(
    "start", ["# --- the same in every script of this", "# --- the same in every script that takes"]
)
def test_what_the_scripts_share_is_the_same_in_all(start: str) -> None:
    parts = set()
    for script in SCRIPTS:
        text = (BIN / script).read_text()
        if start in text:
            parts.add(text[text.index(start) :].partition("# --- until here ---")[0])
    assert len(parts) == 1


GOOD_ADDRESSES = {
    "192.0.2.1": "192.0.2.1",
    "0.0.0.0": "0.0.0.0",
    "255.255.255.255": "255.255.255.255",
    "2001:db8::1": "2001:db8::1",
    "::": "::",
    "::1": "::1",
    "1::": "1::",
    "1:2:3:4:5:6:7:8": "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::": "1:2:3:4:5:6:7::",
    "64:ff9b::192.0.2.33": "64:ff9b::192.0.2.33",
    "::ffff:192.0.2.1": "192.0.2.1",
    "::FFFF:192.0.2.1": "192.0.2.1",
    "fe80::1%eth0": "fe80::1",
}
BAD_ADDRESSES = [
    *("", "-", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.0x1", "1..3.4", ".1.2.3.4", "1.2.3.4."),
    *("1.2.3.4/8", "1.2.3.4 ", "1.2.3.4;id", "$(id)", "1.2.3.4\n", "*", "-F", "1.2.3.-1", "1.2.3.99999999999999999999"),
    *(":", ":::", "1:::2", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", ":1:2:3:4:5:6:7:8"),
    *(
        "1:2:3:4:5:6:7:8:",
        "1:2:3:4:5:6:7::8:9",
        "::1.2.3",
        "::1.2.3.4:5",
        "::1.2.3.456",
        "1.2.3.4::",
        "%eth0",
        "::1/64",
    ),
]


@pytest.mark.parametrize("address", GOOD_ADDRESSES)
def test_an_address_reaches_the_firewall_as_one_word(home: Home, address: str) -> None:
    assert home.run("nftables-drop.sh", "add", "-", address).returncode == 0
    family = 6 if ":" in GOOD_ADDRESSES[address] else 4
    assert home.called() == [
        "nft -f -",
        f"add element inet filter ossec_ar{family} {{ {GOOD_ADDRESSES[address]} }}",
    ]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
@pytest.mark.parametrize("script", ["firewall-drop.sh", "route-null.sh"])
def test_what_is_no_address_never_reaches_a_tool(home: Home, script: str, address: str) -> None:
    assert home.run(script, "add", "-", address).returncode == 1
    assert home.called() == []
    assert len(home.lines()) == 1


def test_a_newline_forges_no_second_line(home: Home) -> None:
    for script in SCRIPTS:
        home.run(script, "add", "x\nMon Jan  1 00:00:00 UTC 2035 forged", "192.0.2.1\nforged")
    assert all(line.startswith("Unable to run (control characters") for line in home.lines())
    assert len(home.lines()) == len(SCRIPTS)


# --- firewall-drop.sh with fake tools (real packets: tests/integration/test_firewall.py) ---


def test_nft_gets_one_transaction(home: Home) -> None:
    assert home.run("firewall-drop.sh", "add", "-", "2001:db8::1").returncode == 0
    called = home.called()
    assert called[0] == "nft -f -"
    assert called[-1] == "add element inet ossec drop6 { 2001:db8::1 }"
    assert sum(line.startswith("nft ") for line in called) == 1


def test_iptables_rules_are_not_made_twice(home: Home) -> None:
    assert home.run("firewall-drop.sh", "add", "-", "192.0.2.1", OSSEC_FW_TOOL="iptables").returncode == 0
    assert not any(" -I " in line for line in home.called())


def test_iptables_rules_are_made_where_they_are_missing(home: Home) -> None:
    home.behaviour.write_text("1 -C\n1 -L\n")
    done = home.run("firewall-drop.sh", "add", "-", "2001:db8::1", OSSEC_FW_TOOL="iptables", OSSEC_FW_CHAIN="MINE")
    assert done.returncode == 0
    changes = [line for line in home.called() if " -C " not in line and " -L " not in line]
    assert changes == [
        "ip6tables -w -N MINE",
        "ip6tables -w -I INPUT -j MINE",
        "ip6tables -w -I FORWARD -j MINE",
        "ip6tables -w -I MINE -s 2001:db8::1 -j DROP",
    ]


def test_a_tool_that_may_not_look_is_a_failure_and_no_absent_rule(home: Home) -> None:
    home.behaviour.write_text("4 -C\n")
    done = home.run("firewall-drop.sh", "delete", "-", "192.0.2.1", OSSEC_FW_TOOL="iptables")
    assert done.returncode == 1
    assert "iptables returned 4" in home.lines()[0]


# --- host-deny.sh ---


def test_hosts_deny_keeps_its_mode_and_what_others_wrote(home: Home) -> None:
    home.hosts_deny.write_text("# mine\nsshd: 198.51.100.7 # ALL:192.0.2.1\nlast line without end")
    home.hosts_deny.chmod(0o604)
    before = home.hosts_deny.read_text()
    assert home.run("host-deny.sh", "add", "-", "192.0.2.1").returncode == 0
    assert home.hosts_deny.read_text() == before + "\nALL:192.0.2.1\n"
    assert home.run("host-deny.sh", "delete", "-", "192.0.2.1").returncode == 0
    assert home.hosts_deny.read_text() == before + "\n"
    assert stat.S_IMODE(home.hosts_deny.stat().st_mode) == 0o604


def test_hosts_deny_is_made_readable_for_all(home: Home) -> None:
    old = os.umask(0o027)
    try:
        assert home.run("host-deny.sh", "add", "-", "evil.example.com").returncode == 0
    finally:
        os.umask(old)
    assert home.hosts_deny.read_text() == "ALL:evil.example.com\n"
    assert stat.S_IMODE(home.hosts_deny.stat().st_mode) == 0o644


@pytest.mark.parametrize("existed", [False, True])
def test_a_hosts_deny_that_was_made_for_a_block_goes_with_the_last(home: Home, existed: bool) -> None:
    if existed:
        home.hosts_deny.touch()
    addresses = ("192.0.2.1", "192.0.2.2")
    for action, present in (("add", True), ("delete", existed)):
        for address in addresses:
            assert home.run("host-deny.sh", action, "-", address).returncode == 0
        assert home.hosts_deny.exists() is present
    if not existed:  # what somebody wrote into it in the meantime is theirs
        assert home.run("host-deny.sh", "add", "-", addresses[0]).returncode == 0
        with home.hosts_deny.open("a") as out:
            out.write("ALL:203.0.113.9\n")
        assert home.run("host-deny.sh", "delete", "-", addresses[0]).returncode == 0
        assert home.hosts_deny.read_text() == "ALL:203.0.113.9\n"


def test_many_at_once_lose_no_line(home: Home) -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 31)]
    for action, expected in (("add", {f"ALL:{address}" for address in addresses}), ("delete", set())):
        running = [
            subprocess.Popen([home.bin / "host-deny.sh", action, "-", address], env=home.environment)
            for address in addresses
        ]
        assert [process.wait(60) for process in running] == [0] * len(addresses)
        lines = home.hosts_deny.read_text().split() if home.hosts_deny.exists() else []
        assert set(lines) == expected
    assert len(home.lines()) == 2 * len(addresses)


@pytest.mark.parametrize(
    "name", ["localhost", ".example.com", "-x.example.com", "a..b", "a b.c", "ALL", "10.0.0", "x."]
)
def test_what_would_deny_more_than_one_host_is_refused(home: Home, name: str) -> None:
    assert home.run("host-deny.sh", "add", "-", name).returncode == 1
    assert not home.hosts_deny.exists()


# --- the others ---


def test_a_file_per_address(home: Home) -> None:
    for _ in range(2):
        assert home.run("ip-customblock.sh", "add", "-", "192.0.2.1").returncode == 0
    assert (home.path / "ipblock" / "192.0.2.1").exists()
    for _ in range(2):
        assert home.run("ip-customblock.sh", "delete", "-", "192.0.2.1").returncode == 0
    assert not (home.path / "ipblock" / "192.0.2.1").exists()


def test_an_account_that_was_locked_before_stays_locked(home: Home) -> None:
    for name, content in (("id", "echo 1000"), ("passwd", '[ "$1" = -S ] && echo "$2 L 2026-01-01 0 99999 7 -1"')):
        tool = home.path / "tools" / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >>"$FAKE_CALLS"\n{content}\n')
        tool.chmod(0o755)
    assert home.run("disable-account.sh", "add", "bob", "-").returncode == 0
    assert home.run("disable-account.sh", "delete", "bob", "-").returncode == 0
    assert not [line for line in home.called() if line.startswith(("passwd -l", "passwd -u"))]


def test_an_account_is_locked_and_unlocked_once(home: Home) -> None:
    tool = home.path / "tools" / "id"
    tool.write_text("#!/bin/sh\necho 1000\n")
    tool.chmod(0o755)
    for action in ("add", "add", "delete", "delete"):
        assert home.run("disable-account.sh", action, "bob", "-").returncode == 0
    assert [line for line in home.called() if " -S " not in line] == ["passwd -l bob", "passwd -l bob", "passwd -u bob"]


def test_a_restart_is_logged_first_and_says_nothing(home: Home) -> None:
    control = home.path / "bin" / "ossec-control"
    control.parent.mkdir()
    control.write_text('#!/bin/sh\necho "$@"\necho "$@" >>"$FAKE_CALLS"\nexit 3\n')
    control.chmod(0o755)
    done = home.run("restart-ossec.sh", "add", "-", "null", "(from_the_server)", "(no_rule_id)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert home.called() == ["restart"]
    assert home.lines() == ["/var/ossec/active-response/bin/restart-ossec.sh add - null (from_the_server) (no_rule_id)"]
