"""ar.conf and the sections it is made of, against what OSSEC's analysisd and execd made of the same ossec.conf."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ossec.config import ConfigurationError, ar_conf, check, load
from ossec.config.model import ActiveResponse, Command, Expect, Target
from ossec.config.sections.analysis import parse_expect, parse_location
from ossec.layout import Layout

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
CASES = [json.loads(line) for line in (VECTORS / "active-response" / "ar_conf.jsonl").read_text().splitlines()]
VALUES = [json.loads(line) for line in (VECTORS / "config" / "values.jsonl").read_text().splitlines()]
STALE = b"stale0 - stale.sh - 0\n"

# OSSEC refuses a section that only says it is not disabled, as its own documentation writes it for agents.
ACCEPTED = {"disabled-no-alone"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.shared_dir.mkdir(parents=True)
    layout.ar_conf.write_bytes(STALE)
    return layout


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_start_writes_what_ossec_writes(case: dict[str, Any], layout: Layout) -> None:
    layout.ossec_conf.write_text(case["ossec_conf"], encoding="utf-8")
    for run in case["runs"]:
        lines, status = check(layout, None, run["binary"])
        if case["name"] in ACCEPTED and run["binary"] == "ossec-analysisd":
            assert (run["exit"], status) == (1, 0)
            continue
        wanted = [line.replace("/var/ossec", str(layout.home)) for line in run["stderr"]]
        assert status == run["exit"]
        assert lines[: len(wanted)] == wanted
    assert layout.ar_conf.read_bytes() == STALE  # -t writes nothing
    if case["runs"][0]["exit"] and case["name"] not in ACCEPTED:
        with pytest.raises(ConfigurationError) as caught:
            load(layout)
        assert str(layout.ossec_conf) in str(caught.value)
        return
    assert ar_conf.write(layout, load(layout))
    assert layout.ar_conf.read_bytes() == case["ar_conf"].encode()
    assert stat.S_IMODE(layout.ar_conf.stat().st_mode) == int(case["ar_conf_mode"], 8)


def test_it_is_written_again_only_when_it_changes(layout: Layout) -> None:
    layout.ossec_conf.write_text("<ossec_config/>", encoding="utf-8")
    configuration = load(layout)
    assert ar_conf.write(layout, configuration)
    before = layout.ar_conf.stat().st_ino
    assert not ar_conf.write(layout, configuration)
    assert layout.ar_conf.stat().st_ino == before
    layout.ar_conf.chmod(0o600)
    assert ar_conf.write(layout, configuration)
    assert [path.name for path in layout.shared_dir.iterdir()] == ["ar.conf"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_an_os_error(layout: Layout) -> None:
    layout.ossec_conf.write_text("<ossec_config/>", encoding="utf-8")
    layout.shared_dir.chmod(0o500)
    with pytest.raises(PermissionError):
        ar_conf.write(layout, load(layout))
    layout.shared_dir.chmod(0o700)
    assert layout.ar_conf.read_bytes() == STALE


def test_an_agent_never_writes_it(layout: Layout) -> None:
    layout.ossec_conf.write_text("<ossec_config/>", encoding="utf-8")
    assert not ar_conf.write(layout, load(layout, kind="agent"))
    assert layout.ar_conf.read_bytes() == STALE


def test_a_line_end_in_a_name_makes_no_second_line() -> None:
    command = Command(name="a\nevil0 - evil.sh", executable="a.sh\nx")
    data = ar_conf.content([ActiveResponse(command=command, location=Target.LOCAL)])
    assert data.splitlines()[2:] == [b"a evil0 - evil.sh0 - a.sh x - 0"]


def test_execd_reads_what_is_written_and_counts_what_is_not() -> None:
    lines = list(ar_conf.parse(b"a0 - a.sh - 10m\n\n# x\nb0 - b.sh\nc - d - e - 5\nlast - l.sh - -3"))
    assert lines == [
        (b"a0", b"a.sh", 10),
        None,
        None,
        None,
        (b"c", b"d", 0),
        (b"last", b"l.sh", -3),
    ]


@pytest.mark.parametrize("row", [row for row in VALUES if row["fn"] == "ar_expect"], ids=lambda row: repr(row["in"]))
def test_what_a_script_expects(row: dict[str, Any]) -> None:
    assert parse_expect(row["in"]).value == row["ret"]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("local,server", Target.LOCAL | Target.SERVER),
        ("phase", Target.SERVER),
        ("many", Target.ALL_AGENTS),
        ("ALL", Target.ALL_AGENTS),
        ("remote", Target.NOWHERE),
    ],
)
def test_where_a_response_runs(text: str, target: Target) -> None:
    assert parse_location(text) == target


def test_the_values_of_a_response(layout: Layout) -> None:
    layout.ossec_conf.write_text(
        """<ossec_config>
  <command>
    <name>fw</name><executable>fw.sh</executable><expect>srcip, user</expect><timeout_allowed>yes</timeout_allowed>
  </command>
  <active-response>
    <command>fw</command><location>defined-agent</location><agent_id>003</agent_id>
    <rules_id> 100105x, 2,,3;4</rules_id><rules_group>sshd|pam</rules_group><level>6</level><timeout>600</timeout>
  </active-response>
</ossec_config>""",
        encoding="utf-8",
    )
    configuration = load(layout)
    (response,) = configuration.responses
    assert response.name == "fw600"
    assert response.command.expect == Expect.SRCIP | Expect.USER
    assert (response.location, response.agent_id, response.level) == (Target.DEFINED_AGENT, "003", 6)
    assert response.rules_ids == {100105, 2, 3}
    assert response.rules_group == "sshd|pam"
    assert str(response.place) == f"{layout.ossec_conf}:5"
    assert configuration.commands == (response.command,)
    (warning,) = configuration.warnings
    place = f"{layout.ossec_conf}:7"
    assert warning.startswith(f"ossec-analysisd: WARN: {place}: <rules_id>: '100105x' is taken for its leading number")
