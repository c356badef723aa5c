"""An installation as root with users of its own, in a mount namespace whose /etc is a copy: nothing of it stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.suite import CHECKOUT, FAILED_LOGIN, Suite
from tests.support import wait_until

TOOLS = ("unshare", "nsenter", "mount", "useradd", "groupadd", "userdel")
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
MISSING = [tool for tool in TOOLS if shutil.which(tool, path=SEARCH) is None]
# Holds a mount namespace open until its standard input ends.  Arguments: a folder, then pairs of a folder that is
# closed to other users and the one below it that they must reach (an interpreter in root's home, for one).
HOLD = """\
set -eu
mount --make-rprivate /
folder=$1
mkdir "$folder/etc"
cp -a /etc/. "$folder/etc"
mount --bind "$folder/etc" /etc
shift
keep() {
    [ $# -gt 0 ] || return 0
    mkdir "$folder/kept$#"
    mount --bind "$1/$2" "$folder/kept$#"
    (shift 2 && keep "$@")
}
keep "$@"
covered=
while [ $# -gt 0 ]; do
    case "$covered" in *"|$1|"*) ;; *) mount -t tmpfs -o mode=755 tmpfs "$1" && covered="$covered|$1|" ;; esac
    mkdir "$1/$2"
    mount --move "$folder/kept$#" "$1/$2"
    shift 2
done
echo ready
exec cat
"""

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to create users"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter; that of pytest is root's own."""
    folder = Path(tempfile.mkdtemp(prefix="ossec-root-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def closed_folders() -> list[str]:
    """Pairs for HOLD: what keeps other users from this interpreter and this checkout."""
    pairs = {}
    for path in (Path(sys.executable).resolve(), Path(sys.executable), CHECKOUT / "ossec"):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                pairs[str(folder), path.relative_to(folder).parts[0]] = None
                break
    return [word for pair in pairs for word in pair]


@pytest.fixture
def suite(place: Path) -> Iterator[Suite]:
    command = ["unshare", "--mount", "sh", "-c", HOLD, "sh", str(place), *closed_folders()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        suite = Suite(place / "home", prefix=["nsenter", "--mount", f"--target={holder.pid}", "--"])
        yield suite
        suite.end()
        assert holder.stdin is not None
        holder.stdin.close()


def owners(suite: Suite, *names: str) -> list[str]:
    """`mode user:group` as the namespace knows them."""
    command = [*suite.prefix, "stat", "-c", "%#a %U:%G", *(str(suite.layout.home / name) for name in names)]
    return subprocess.check_output(command, text=True).splitlines()


def uid(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])


def test_as_root_everything_belongs_to_users_of_its_own(suite: Suite) -> None:
    passwd = suite.layout.home.parent / "etc/passwd"
    before = passwd.read_text()
    summary = suite.install("--no-firewall-response", users=True)
    assert summary["users"]
    assert {line.split(":")[0] for line in passwd.read_text().splitlines()} >= {"ossec", "ossecm", "ossecr"}
    expected = {
        ".": "0550 root:ossec",
        "bin": "0550 root:root",
        "bin/ossec-control": "0550 root:root",
        "etc/ossec.conf": "0640 root:ossec",
        "etc/shared": "0770 root:ossec",
        "rules/local_rules.xml": "0640 root:ossec",
        "active-response/bin/firewall-drop.sh": "0550 root:ossec",
        "logs": "0750 ossec:ossec",
        "logs/ossec.log": "0660 ossec:ossec",
        "queue/alerts": "0770 ossec:ossec",
        "queue/ossec": "0750 ossec:ossec",
        "queue/agent-info": "0750 ossecr:ossec",
        "tmp": "01550 root:ossec",
        "var/run": "0770 root:ossec",
    }
    assert dict(zip(expected, owners(suite, *expected), strict=True)) == expected

    suite.respond("5710", timeout=600)
    suite.start()
    assert uid(suite.pid("ossec-analysisd")) != 0
    assert uid(suite.pid("ossec-execd")) == 0
    suite.write(FAILED_LOGIN.format(ip="198.51.100.7"))
    suite.wait_for_alert(5710)
    wait_until(suite.noted, "the response")
    assert owners(suite, "queue/alerts/execq", "queue/ossec/queue", "logs/alerts/alerts.log", "etc/shared/ar.conf") == [
        "0660 root:ossec",
        "0660 ossec:ossec",
        "0640 ossec:ossec",
        "0440 root:ossec",
    ]
    done = suite.control("reload")
    assert done.returncode == 0, done.stderr

    done = suite.python("-m", "ossec.cli.install", "--home", str(suite.layout.home), "--remove", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not suite.layout.home.exists()
    assert passwd.read_text() == before
    assert [words[0] for words in suite.noted()] == ["add", "delete"]


def test_a_package_that_the_users_cannot_reach_is_refused(suite: Suite) -> None:
    closed = suite.layout.home.parent / "closed"
    closed.mkdir(mode=0o700)
    command = ["-m", "ossec.cli.install", "--home", str(closed / "home"), "--yes", "--no-systemd"]
    done = suite.python(*command)
    assert done.returncode == 1
    assert f"{closed} is closed to other users" in done.stderr
