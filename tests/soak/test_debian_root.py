"""The package in a fresh Debian: installed as root, attacked, upgraded over a home of the C program, removed.

The Debian comes from debootstrap and this machine's mirror (some minutes; `OSSEC_DEBIAN_ROOT` names a folder that is
kept for the next run).  Each test has it as the lower layer of an overlay, in a namespace of its own: mounts, processes
and firewall.  What the wheel of this checkout and its dependencies leave in the overlay after `--remove` is compared
with what was there before: names, kinds, modes, owners and contents of every file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.suite import CHECKOUT, FAILED_LOGIN
from tests.support import wait_until

SHARED = CHECKOUT.parent / "shared"
UPSTREAM = SHARED / "upstream" / "etc"
LISTING = SHARED / "vectors" / "config" / "layout" / "server.txt"
SUITE = "bookworm"
PACKAGES = "python3,python3-venv,nftables,iptables"
MIRROR = "http://deb.debian.org/debian"
TOOLS = ("debootstrap", "unshare", "nsenter", "mount", "chroot", "ip")
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
MISSING = [tool for tool in TOOLS if shutil.which(tool, path=SEARCH) is None]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = Path("/opt/ossec/bin")
KEY = "001 web01 any 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
ATTACKER = "198.51.100.7"
# Copies that useradd and userdel make of what they change, and the lock that they take.
BY_USER_TOOLS = {f"etc/{name}" for name in ("passwd-", "group-", "shadow-", "gshadow-", ".pwd.lock")}
# Arguments: where the overlay goes, its lower layers, its upper one, a folder for the kernel's work.
HOLD = """\
set -eu
mount --make-rprivate /
mount -t overlay -o "lowerdir=$2,upperdir=$3,workdir=$4" overlay "$1"
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
ip link set lo up
exec chroot "$1" sh -c "echo ready; exec cat"
"""

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason=f"the wheels must fit the Python of {SUITE}, 3.11"),
]


def run(*command: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


class Machine:
    """A Debian in a namespace; `root` is where its files are seen from here."""

    def __init__(self, folder: Path, lower: list[Path], upper: Path | None = None) -> None:
        upper = upper or folder / "upper"
        self.root = folder / "root"
        work = folder / "work"
        for path in (upper, self.root, work):
            path.mkdir(parents=True, exist_ok=True)
        layers = ":".join(map(str, lower))
        inner = ["sh", "-c", HOLD, "sh", str(self.root), layers, str(upper), str(work)]
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", *inner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        self.pid = int(children.read_text().split()[0])
        self.seen = Path(f"/proc/{self.pid}/root")

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", f"--root={self.seen}"]
        clean = ["env", "--chdir=/", "-i", f"PATH={PATH}", "LANG=C.UTF-8"]
        done = subprocess.run(
            [*enter, *clean, *map(str, command)], capture_output=True, text=True, check=False, timeout=180
        )
        if check:
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done

    def path(self, name: str) -> Path:
        return self.seen / name.lstrip("/")

    def alerts(self, rule: int) -> list[dict[str, Any]]:
        try:
            lines = self.path("/var/ossec/logs/alerts/alerts.json").read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [alert for alert in map(json.loads, lines) if alert["rule"]["sidid"] == rule]

    def snapshot(self) -> dict[str, str]:
        """Every file of the system's disk: kind, mode, owner and content."""
        found = {}
        for folder, folders, files in os.walk(self.seen):
            place = Path(folder)
            if place == self.seen:
                folders[:] = [name for name in folders if name not in ("proc", "dev", "sys")]
            for name in (*folders, *files):
                path = place / name
                found[str(path.relative_to(self.seen))] = describe(path)
        return {name: text for name, text in found.items() if name not in BY_USER_TOOLS}

    def end(self) -> None:
        self.holder.kill()
        self.holder.wait()
        for stream in (self.holder.stdin, self.holder.stdout):
            assert stream is not None
            stream.close()


def describe(path: Path) -> str:
    found = path.lstat()
    text = f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid}"
    if stat.S_ISLNK(found.st_mode):
        return f"{text} -> {path.readlink()}"
    if stat.S_ISREG(found.st_mode):
        return f"{text} {found.st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return text


def mirror() -> str:
    """What this machine's own apt uses, if it says so in the form of today."""
    for path in Path("/etc/apt/sources.list.d").glob("*.sources"):
        for line in path.read_text().splitlines():
            if line.startswith("URIs:") and line.rstrip("/").endswith("/debian"):
                return line.split()[1]
    return MIRROR


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ossec-debian-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def debian(place: Path) -> list[Path]:
    """Layers of an overlay: a minimal Debian, and the package with what it needs in /opt/ossec."""
    kept = os.environ.get("OSSEC_DEBIAN_ROOT")
    base = Path(kept) if kept else place / "debian"
    if not (base / "usr/bin/python3").exists():
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, base, mirror())
    layer, wheels = place / "package", place / "wheels"
    needs = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["dependencies"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--wheel-dir", wheels, CHECKOUT)
    run(*pip, "download", "--only-binary=:all:", "--dest", wheels, *needs)
    shutil.copytree(wheels, layer / "opt/wheels")
    machine = Machine(place / "preparing", [base], layer)
    try:
        machine.run("python3", "-m", "venv", "/opt/ossec")
        machine.run(PROGRAMS / "pip", "install", "--no-index", "--find-links=/opt/wheels", "ossec")
        machine.run("rm", "-r", "/opt/wheels", "/root/.cache", check=False)
        machine.run("touch", "/var/log/auth.log")
    finally:
        machine.end()
    return [layer, base]


@pytest.fixture
def machine(debian: list[Path]) -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="test-", dir=debian[0].parent))
    folder.chmod(0o755)
    machine = Machine(folder, debian)
    yield machine
    machine.end()


def attack(machine: Machine) -> None:
    """Guess names and passwords until the attacker is out."""
    with machine.path("/var/log/auth.log").open("a") as out:
        out.writelines(f"Nov 22 05:00:{second:02} host1 sshd[7]: {FAILED_LOGIN.format(ip=ATTACKER)}\n"
                       for second in range(20))  # fmt: skip


def blocked(machine: Machine) -> bool:
    return ATTACKER in machine.run("nft", "list", "ruleset").stdout


def forgive_log(before: dict[str, str], after: dict[str, str]) -> None:
    """The log that the test itself wrote."""
    del before["var/log/auth.log"], after["var/log/auth.log"]


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [
        f"{name}: {before.get(name)} -> {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


@pytest.mark.parametrize("kind", ["local", "server"])
def test_installed_attacked_and_removed_without_trace(machine: Machine, kind: str) -> None:
    before = machine.snapshot()
    done = machine.run(PROGRAMS / "ossec-install", "--type", kind, "--yes")
    assert f"Installed an OSSEC home of type {kind} in /var/ossec." in done.stdout
    assert "follows /var/log/auth.log" in done.stdout
    assert {"ossec", "ossecm", "ossecr"} <= {
        line.split(":")[0] for line in machine.path("/etc/passwd").read_text().splitlines()
    }
    machine.run("/var/ossec/bin/ossec-control", "start")
    machine.run("/var/ossec/bin/ossec-control", "status")
    owners = machine.run("ps", "-eo", "user=,args=", check=False)
    if owners.returncode == 0:  # minbase may come without it
        assert any(line.startswith("ossec ") and "analysisd" in line for line in owners.stdout.splitlines())
    attack(machine)
    wait_until(lambda: machine.alerts(5712) or machine.alerts(5710), "the alert")
    wait_until(lambda: blocked(machine), "the block")
    assert f"ALL:{ATTACKER}" in machine.path("/etc/hosts.deny").read_text()
    machine.run("/var/ossec/bin/ossec-control", "reload")

    done = machine.run(PROGRAMS / "ossec-install", "--home", "/var/ossec", "--remove", "--yes")
    after = machine.snapshot()
    forgive_log(before, after)
    assert differences(before, after) == []
    assert machine.run("nft", "list", "ruleset").stdout == ""
    assert "ossec" not in machine.path("/etc/passwd").read_text()
    left = machine.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    assert "ossec-" not in left


def lay_out_c_home(machine: Machine) -> None:
    """As OSSEC's own installer leaves it: users, folders, files, modes and owners of the recorded listing."""
    machine.run("groupadd", "--system", "ossec")
    for user in ("ossec", "ossecm", "ossecr"):
        machine.run("useradd", "--system", "-g", "ossec", "-d", "/var/ossec", "-M", "-s", "/usr/sbin/nologin", user)
    home = machine.path("/var/ossec")
    rows = [line.split(None, 3) for line in LISTING.read_text().splitlines()]
    for kind, _, _, name in rows:
        folder = home / name if kind == "d" else (home / name).parent
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "f":
            (home / name).write_bytes(b"\x7fELF" if name.startswith("bin/") else b"")
    for path in (UPSTREAM / "rules").glob("*.xml"):
        shutil.copyfile(path, home / "rules" / path.name)
    for name in ("decoder.xml", "internal_options.conf"):
        shutil.copyfile(UPSTREAM / name, home / "etc" / name)
    sample = (UPSTREAM / "ossec-server.conf").read_text()
    with (home / "etc/ossec.conf").open("w") as out:  # the sample's mail server is in no DNS
        out.write(sample.replace("<email_notification>yes", "<email_notification>no"))
        out.write("<ossec_config><global><jsonout_output>yes</jsonout_output></global></ossec_config>\n")
    (home / "etc/client.keys").write_text(KEY)
    (home / "queue/rids/001").write_text("5:17:")
    (home / "logs/alerts/2026/Nov").mkdir(parents=True)
    (home / "logs/alerts/2026/Nov/ossec-alerts-01.log.gz").write_bytes(b"\x1f\x8b old alerts")
    modes = "".join(f"chown -h {owner} './{name}' && chmod {mode} './{name}'\n" for _, mode, owner, name in rows)
    machine.run("sh", "-ec", f"cd /var/ossec\n{modes}chown -R ossec:ossec logs/alerts")


@pytest.mark.upstream
@pytest.mark.skipif(not (UPSTREAM.is_dir() and LISTING.is_file()), reason=f"needs {UPSTREAM} and {LISTING}")
def test_a_home_of_the_c_program_is_upgraded_and_removed(machine: Machine) -> None:
    before = machine.snapshot()
    lay_out_c_home(machine)
    users = {name: machine.path(f"/etc/{name}").read_text() for name in ("passwd", "group", "shadow", "gshadow")}
    names = ["etc/ossec.conf", "etc/client.keys", "etc/decoder.xml", "rules/sshd_rules.xml", "rules/local_rules.xml"]
    names += ["queue/rids/001", "logs/alerts/2026/Nov/ossec-alerts-01.log.gz"]
    kept = {name: machine.path(f"/var/ossec/{name}").read_bytes() for name in names}
    done = machine.run(PROGRAMS / "ossec-install", "--home", "/var/ossec", "--yes")
    assert "Upgraded an OSSEC home of type server in /var/ossec." in done.stdout
    assert {name: machine.path(f"/var/ossec/{name}").read_bytes() for name in kept} == kept
    assert {name: machine.path(f"/etc/{name}").read_text() for name in users} == users

    machine.run("/var/ossec/bin/ossec-control", "start")
    attack(machine)
    wait_until(lambda: machine.alerts(5710), "the alert of OSSEC's own rule")
    wait_until(lambda: blocked(machine), "the block")
    assert "001" in machine.run("/var/ossec/bin/manage_agents", "-l").stdout

    machine.run(PROGRAMS / "ossec-install", "--home", "/var/ossec", "--remove", "--yes")
    assert not machine.path("/var/ossec").exists()
    assert machine.run("nft", "list", "ruleset").stdout == ""
    # Users that we did not make are not ours to take.
    assert {name: machine.path(f"/etc/{name}").read_text() for name in users} == users
    after = machine.snapshot()
    forgive_log(before, after)
    assert {line.split(":")[0] for line in differences(before, after)} <= {f"etc/{name}" for name in users}
