"""The systemd units, judged by systemd itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ossec.config.kind import Kind
from ossec.suite.roster import choose
from ossec.suite.units import SUMMARIES, render_units


@pytest.mark.parametrize("home_type", list(Kind))
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path, home_type: Kind) -> None:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    enabled = frozenset({"ossec-dbd", "ossec-csyslogd", "ossec-agentlessd"})
    units = render_units(home, choose(home_type, enabled))
    for name, text in units.items():
        (tmp_path / name).write_text(text)
        program = home / "bin" / name.removesuffix(".service")
        program.touch(mode=0o755)
    paths = [str(tmp_path / name) for name in units]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "ossec" in line]
    assert (done.returncode, complaints) == (0, [])


def test_every_daemon_has_a_unit_and_the_target_wants_it() -> None:
    enabled = frozenset({"ossec-dbd", "ossec-csyslogd", "ossec-agentlessd"})
    roster = choose(Kind.SERVER, enabled)
    units = render_units(Path("/var/ossec"), roster)
    assert set(units) == {f"{name}.service" for name in roster.start_order} | {"ossec-server.target"}
    assert all(name in units["ossec-server.target"] for name in units if name.endswith(".service"))
    assert set(roster.start_order) <= set(SUMMARIES)
    assert "ExecStart=/var/ossec/bin/ossec-execd -f\n" in units["ossec-execd.service"]
    assert "After=network.target ossec-analysisd.service\n" in units["ossec-logcollector.service"]


def test_only_execd_may_change_the_machine() -> None:
    units = render_units(Path("/var/ossec"), choose(Kind.LOCAL))
    confined = {name for name, text in units.items() if "ProtectSystem=strict" in text}
    assert set(units) - confined == {"ossec-execd.service", "ossec-server.target"}
