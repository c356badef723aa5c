"""agent.conf, against what OSSEC's agents and verify-agent-conf said to the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.config import agent_conf
from ossec.config.model import Check
from ossec.layout import Layout

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "config" / "agent_conf.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]

# Before agentd has written down who the agent is, OSSEC skips the blocks for all agents, or crashes.
BEFORE_AGENT_INFO = {"no-attr-no-agent_info", "no-attr-3line-agent_info", "profile-no-agent_info"}

# OSSEC's verify-agent-conf looks at <localfile> only.
MORE_THAN_LOCALFILE = {"syscheck-section", "rootcheck-section"}


def home(tmp_path: Path, conf: str | None, info: str | None, own: str = "<ossec_config/>") -> Layout:
    layout = Layout(tmp_path)
    layout.shared_dir.mkdir(parents=True)
    layout.agent_info_file.parent.mkdir(parents=True)
    layout.ossec_conf.write_text(own, encoding="utf-8")
    if conf is not None:
        layout.agent_conf.write_text(conf, encoding="utf-8")
    if info is not None:
        layout.agent_info_file.write_text(info, encoding="utf-8")
    return layout


def upstream(lines: list[str], layout: Layout) -> list[str]:
    """The lines that are OSSEC's: ours name the place."""
    mark = f": {layout.agent_conf}:"
    return [line.replace(str(layout.home), "/var/ossec") for line in lines if mark not in line]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_an_agent_takes_what_ossec_takes(case: dict[str, Any], tmp_path: Path) -> None:
    layout = home(tmp_path, case["agent_conf"], case["agent_info"])
    for run in case["runs"]:
        lines, status = agent_conf.check(layout, None, run["binary"], remote_commands=bool(case["remote_commands"]))
        assert status == 0
        if case["name"] in BEFORE_AGENT_INFO:
            applied = any("'marker'" in line for line in lines)
            assert applied is (case["name"] != "profile-no-agent_info" and run["binary"] == "ossec-logcollector")
            continue
        assert upstream(lines, layout) == run["stderr"]
        assert run["exit"] == 0


@pytest.mark.parametrize(
    "case", [case for case in CASES if "verify_agent_conf" in case], ids=lambda case: str(case["name"])
)
def test_verify_agent_conf_says_what_ossec_says(case: dict[str, Any], tmp_path: Path) -> None:
    layout = home(tmp_path, case["agent_conf"], None)
    lines, status = agent_conf.verify(layout, layout.agent_conf)
    if case["name"] in MORE_THAN_LOCALFILE:
        assert status == agent_conf.REFUSED
        assert any(f"{layout.agent_conf}:2: " in line for line in lines)
        return
    seen = [line.replace("/var/ossec/etc/shared/", "") for line in upstream(lines, layout)]
    assert (seen, status) == (case["verify_agent_conf"]["stderr"], case["verify_agent_conf"]["exit"])


def test_what_is_right_is_added_and_what_is_wrong_is_left_out(tmp_path: Path) -> None:
    own = """<ossec_config>
  <localfile><log_format>syslog</log_format><location>/own</location></localfile>
  <syscheck><directories check_all="yes">/etc</directories><frequency>100</frequency></syscheck>
</ossec_config>"""
    conf = """<agent_config>
  <localfile><log_format>nosuch</log_format><location>/bad</location></localfile>
  <localfile><log_format>command</log_format><command>id</command></localfile>
  <localfile><log_format>syslog</log_format><location>/shared</location></localfile>
  <localfile><log_format>syslog</log_format><location>/own</location></localfile>
  <syscheck><directories check_size="yes">/opt</directories><frequency>1x</frequency></syscheck>
</agent_config>
<agent_config profile="db">
  <localfile><log_format>syslog</log_format><location>/db</location></localfile>
</agent_config>"""
    layout = home(tmp_path, conf, "a\n-\n001\nweb\n", own)
    configuration = agent_conf.load(layout)
    assert [one.location for one in configuration.localfiles] == ["/own", "/shared"]
    assert any(":3: commands of agent.conf are not run here" in line for line in configuration.warnings)

    syscheck = agent_conf.load(layout, program="ossec-syscheckd").syscheck
    assert [(one.path, one.checks) for one in syscheck.directories] == [
        ("/etc", Check.ALL),
        ("/opt", Check.SIZE | Check.SHA256),
    ]
    assert syscheck.frequency == 100


def test_commands_of_the_server_run_where_they_are_allowed(tmp_path: Path) -> None:
    conf = "<agent_config><localfile><log_format>command</log_format><command>id</command></localfile></agent_config>"
    layout = home(tmp_path, conf, None)
    (localfile,) = agent_conf.load(layout, remote_commands=True).localfiles
    assert localfile.command == "id"


def test_an_agent_knows_itself(tmp_path: Path) -> None:
    layout = home(tmp_path, None, "web1\n-\n007\nweb, db\n")
    agent = agent_conf.this_agent(layout)
    assert (agent.name, agent.profile) == ("web1", "web, db")
    assert agent.os is not None
    assert agent.os.endswith(" - OSSEC HIDS v4.2.0")
