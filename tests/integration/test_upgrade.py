"""A home laid out as OSSEC's own installer leaves it, with OSSEC's rules and configuration, is taken over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.suite import CHECKOUT, FAILED_LOGIN, Suite, section
from tests.support import wait_until

SHARED = CHECKOUT.parent / "shared"
UPSTREAM = SHARED / "upstream" / "etc"
LISTING = SHARED / "vectors" / "config" / "layout" / "server.txt"
KEY = "001 web01 any 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"

pytestmark = [
    pytest.mark.upstream,
    pytest.mark.skipif(not (UPSTREAM.is_dir() and LISTING.is_file()), reason=f"needs {UPSTREAM} and {LISTING}"),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Every file of the recorded listing, with OSSEC's content where that matters."""
    home = tmp_path / "home"
    for line in LISTING.read_text().splitlines():
        kind, _, _, name = line.split(None, 3)
        folder = home / name if kind == "d" else (home / name).parent
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "f":
            (home / name).write_bytes(b"\x7fELF" if name.startswith("bin/") else b"")
    for path in (UPSTREAM / "rules").glob("*.xml"):
        shutil.copyfile(path, home / "rules" / path.name)
    for name in ("decoder.xml", "internal_options.conf"):
        shutil.copyfile(UPSTREAM / name, home / "etc" / name)
    shutil.copyfile(UPSTREAM / "ossec-local.conf", home / "etc/ossec.conf")
    (home / "etc/client.keys").write_text(KEY)
    (home / "var/start-script-lock").mkdir()
    return home


@pytest.fixture
def suite(home: Path) -> Iterator[Suite]:
    suite = Suite(home)
    suite.log.touch()
    yield suite
    suite.end()


def test_a_home_of_the_c_program_goes_on_with_its_own_rules(suite: Suite) -> None:
    kept = ["etc/ossec.conf", "etc/client.keys", "etc/decoder.xml", "rules/sshd_rules.xml", "rules/local_rules.xml"]
    before = {name: (suite.layout.home / name).read_bytes() for name in kept}
    command = ["-m", "ossec.cli.install", "--home", str(suite.layout.home), "--yes", "--no-users", "--no-systemd"]
    done = suite.python(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Upgraded an OSSEC home of type local in {suite.layout.home}")
    assert {name: (suite.layout.home / name).read_bytes() for name in kept} == before

    suite.append(section("localfile", log_format="syslog", location=suite.log))
    suite.start()
    assert "Total rules enabled: '1134'" in suite.ossec_log()
    suite.write(FAILED_LOGIN.format(ip="198.51.100.7"))
    alerts = suite.layout.alerts_log
    wait_until(lambda: "Rule: 5710 (level 5)" in alerts.read_text(), "the alert of OSSEC's own rule")
    assert suite.control("stop").returncode == 0
