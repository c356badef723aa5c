"""verify-agent-conf as its user meets it, against what OSSEC's said to the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ossec.cli.verify_agent_conf import command
from ossec.layout import Layout
from ossec.suite import tree
from ossec.suite.template import InstallType
from tests.support import make_bare_home

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "config" / "agent_conf.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
# OSSEC's looks at <localfile> alone.
DIFFERENT = {"syscheck-section", "rootcheck-section"}


def call(layout: Layout, *words: str) -> Result:
    return CliRunner().invoke(command, ["--home", str(layout.home), *words], catch_exceptions=False)


@pytest.mark.parametrize(
    "case", [case for case in CASES if "verify_agent_conf" in case], ids=lambda case: str(case["name"])
)
def test_it_says_and_exits_as_ossec_does(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "agent.conf"
    path.write_text(case["agent_conf"], encoding="utf-8")
    done = call(make_bare_home(tmp_path / "home"), "-f", str(path))
    expected = case["verify_agent_conf"]
    assert done.stdout.replace(str(path), "agent.conf") == expected["stdout"]
    if case["name"] in DIFFERENT:
        assert done.exit_code == 255
        assert f"{path}:2: " in done.stderr
        return
    own = f": {path}:"
    assert [line.replace(str(path), "agent.conf") for line in done.stderr.splitlines() if own not in line] == expected[
        "stderr"
    ]
    assert done.exit_code == expected["exit"]


def test_without_a_file_it_takes_the_one_of_the_home(tmp_path: Path) -> None:
    layout = make_bare_home(tmp_path / "home")
    layout.shared_dir.mkdir(parents=True, exist_ok=True)
    layout.agent_conf.write_text("<agent_config>\n  <localfile><log_format>syslog</log_format></localfile>\n")
    done = call(layout)
    assert f"Verifying [{layout.agent_conf}]." in done.stdout
    assert done.exit_code == 255
    layout.agent_conf.write_text("<agent_config></agent_config>\n")
    done = call(layout)
    assert (done.exit_code, done.stderr) == (0, "")


def test_all_mistakes_of_all_sections_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "agent.conf"
    path.write_text(
        """<agent_config grup="web">
  <localfile><log_format>sislog</log_format><location>/a</location></localfile>
  <syscheck><frequenzy>1</frequenzy></syscheck>
  <rootcheck><disabled>maybe</disabled></rootcheck>
</agent_config>
"""
    )
    done = call(make_bare_home(tmp_path / "home"), "-f", str(path))
    assert done.exit_code == 255
    for line in (1, 2, 3, 4):
        assert f"{path}:{line}: " in done.stderr, done.stderr


def test_an_unknown_attribute_alone_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "agent.conf"
    path.write_text('<agent_config grup="web">\n</agent_config>\n')
    done = call(make_bare_home(tmp_path / "home"), "-f", str(path))
    assert done.exit_code == 255
    assert "(1243): ERROR: Invalid attribute 'grup'" in done.stderr


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    done = call(make_bare_home(tmp_path / "home"), "-f", str(tmp_path / "nowhere.conf"))
    assert done.exit_code == 255
    assert str(tmp_path / "nowhere.conf") in done.stderr


def test_a_server_has_it_in_bin() -> None:
    assert tree.programs(InstallType.SERVER)["verify-agent-conf"] == "ossec.cli.verify_agent_conf"
