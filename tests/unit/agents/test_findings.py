"""rootcheck_control: what is resolved and what is not, as OSSEC prints it."""

from __future__ import annotations

import calendar
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ossec.agents import findings
from ossec.agents.findings import State
from ossec.analysisd.filedb import RootcheckDatabase
from ossec.cli import rootcheck_control
from ossec.layout import Layout

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "rootcheck" / "tool-rootcheck_control.json"
DATE = re.compile(r"\d{4} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_database(data: bytes) -> None:
    found = findings.parse(data, 5.0)
    assert len(findings.values(found.all)) == len(found.all)


def test_what_the_last_scan_did_not_repeat_is_resolved() -> None:
    data = b"!0000200000!0000000001 Starting rootcheck scan.\n!0000113599!0000000002 old\n!0000113600!0000000003 new\n"
    found = findings.parse(data + b"not a line\n", 0.0)
    assert [(finding.text, finding.state) for finding in found.all] == [
        ("old", State.RESOLVED),
        ("new", State.OUTSTANDING),
    ]


def local(match: re.Match[str]) -> str:
    """A recorded time (UTC) in this machine's zone."""
    return findings.stamp(calendar.timegm(time.strptime(match[0], "%Y %b %d %H:%M:%S")))


@pytest.mark.skipif(not RECORDED.exists(), reason="needs ../shared/vectors")
def test_recorded_outputs(bare_home: Layout) -> None:
    recorded: dict[str, Any] = json.loads(RECORDED.read_text())
    for name, content in recorded["files"].items():
        bare_home.under(name.removeprefix("{HOME}/")).write_text(content)
    compared = 0
    for step in recorded["steps"]:
        words = step.get("run", "").split()
        if words[:1] != ["rootcheck_control"]:
            continue
        words = words[1:]
        result = CliRunner().invoke(rootcheck_control.command, ["-D", str(bare_home.home), *words])
        head, _, tail = step["output"].partition("\nOSSEC HIDS rootcheck_control: Manages")
        ours = result.stdout.partition("\nUsage: ")[0] if tail else result.stdout
        if "-h" in words or "-z" in words:  # the help; an option that is none is `run_tool`'s
            continue
        assert result.exit_code == step["exit"], words
        if "-j" in words:  # OSSEC: `(null)`
            assert "error" in json.loads(result.stdout)
            continue
        host = os.uname().nodename
        assert ours.rstrip("\n") == DATE.sub(local, head).replace("host1", host).rstrip("\n"), words
        compared += 1
    assert compared >= 10


def test_a_running_analysis_notices_that_its_database_was_cleared(bare_home: Layout) -> None:
    path = bare_home.rootcheck_database("rootcheck")
    database = RootcheckDatabase(path)
    assert database.see(b"Trojaned version of file", 5)
    assert not database.see(b"Trojaned version of file", 6)
    result = CliRunner().invoke(rootcheck_control.command, ["-D", str(bare_home.home), "-u", "000"])
    assert (result.exit_code, path.read_bytes()) == (0, b"")
    assert database.see(b"Trojaned version of file", 7)
    database.close()
    assert path.read_bytes() == b"!0000000007!0000000007 Trojaned version of file\n"
