"""ossec-logtest as a process, against recorded calls."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ossec.layout import Layout
from tests.vectors.analysis.support import HERE, cases, write_home

CALLS = [call for call in json.loads((HERE / "cli.json").read_text()) if call["program"] == "ossec-logtest"]
STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", re.MULTILINE)
PID = re.compile(r"pid: \w+")
EVENT_TIME = re.compile(r"^(\*\* Alert )\d+(\.\d+:.*\n)\d{4} \w{3} \d\d \d\d:\d\d:\d\d ", re.MULTILINE)

CONF = """<ossec_config>
<global>
<email_notification>no</email_notification>
</global>
<rules>
{}
</rules>
</ossec_config>
"""
DECODERS = r"""<decoder name="app"><program_name>^app</program_name></decoder>
<decoder name="app-us"><parent>app</parent><prematch>^login </prematch>
<regex offset="after_prematch">^(\S+) from (\S+)</regex><order>user,srcip</order></decoder>
<decoder name="nopn"><prematch>^NOPN </prematch></decoder>
"""
RULES = """<group name="syslog,">
<rule id="1" level="0" noalert="1"><category>syslog</category><description>Base for syslog</description></rule>
</group>
<group name="t,">
<rule id="100100" level="1"><decoded_as>app</decoded_as><description>app parent</description></rule>
<rule id="100201" level="5"><if_sid>100100</if_sid><match>login</match><description>r100201</description></rule>
<rule id="100202" level="7"><if_sid>100201</if_sid><user>root</user><info type="link">http://x/</info>
<description>root login</description></rule>
</group>
"""


def make_home(layout: Layout, case: dict[str, Any]) -> None:
    write_home(case, layout)
    if not case.get("local_decoder.xml"):
        layout.local_decoder_xml.write_text("")
    includes = "".join(f"<include>{name}</include>" for name in case["rules"])
    lists = "".join(f"<list>lists/{name}</list>" for name in case.get("lists") or {})
    layout.ossec_conf.write_text(CONF.format(includes + lists))


def call(args: list[str], stdin: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from ossec.cli.logtest import main; main()", *args],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TZ": "UTC", "OSSEC_HOME": str(home)},
        cwd=Path(__file__).parents[3],
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the recorded calls."""
    layout = Layout(tmp_path_factory.mktemp("home"))
    make_home(layout, {"name": "cli", "decoder.xml": DECODERS, "rules": {"t.xml": RULES}})
    return layout.home


@pytest.mark.parametrize("recorded", CALLS, ids=lambda c: "-".join(c["args"][4:]) or c["args"][3][-12:])
def test_a_call_prints_and_exits_as_recorded(recorded: dict[str, Any], home: Path) -> None:
    def plain(text: str) -> str:
        text = EVENT_TIME.sub(r"\1TIME\2DATE ", PID.sub("pid: N", STAMP.sub("", text)))
        lines = text.replace(str(home), "HOME").replace("ossecsrv", "OWN").replace(own, "OWN").splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("ossec-testrule: ERROR: HOME"))

    own = os.uname().nodename.partition(".")[0]
    args = [arg.replace("HOME", str(home)) for arg in recorded["args"]]
    done = call(args, recorded["stdin"], home)
    assert plain(done.stderr) == plain(recorded["stderr"])
    assert plain(done.stdout) == plain(recorded["stdout"])
    assert done.returncode == recorded["exit"]


@pytest.mark.parametrize("name", ["deep-chain", "level-priority", "toplevel-ids", "accumulate"])
def test_the_text_of_each_event_is_as_recorded(name: str, tmp_path: Path) -> None:
    case = next(case for case in cases() if case["name"] == name)
    make_home(Layout(tmp_path), case)
    events = [event for event in case["events"] if event["time"] == case["events"][0]["time"]]
    done = call(case["args"], "".join(event["input"] + "\n" for event in events), tmp_path)
    assert done.stderr.endswith("".join(event["raw_output"] for event in events))


def test_json_tells_rule_fields_and_what_was_tried(home: Path) -> None:
    done = call(["--json", "--explain"], "Nov 14 22:13:20 h1 app[7]: login joe from 1.1.1.1\n", home)
    answer = json.loads(done.stdout)
    assert answer["rule"]["id"] == 100201
    assert answer["rule"]["line"] == 6
    assert answer["fields"] == {"dstuser": "joe", "srcip": "1.1.1.1"}
    assert answer["verdict"] == "alert"
    assert answer["tried"][-1] == {"id": 100202, "matched": False, "failed": "user", "wanted": "root"}


def test_a_test_that_fails_has_the_name_that_its_author_wrote(tmp_path: Path) -> None:
    rules = RULES.replace("<user>root</user>", "<user_pcre2>^root$</user_pcre2>").replace(
        "<match>login</match>", "<pcre2>^logon</pcre2>"
    )
    assert rules.count("pcre2") == 4, "the rules of the recorded calls are others"
    make_home(Layout(tmp_path), {"name": "written", "decoder.xml": DECODERS, "rules": {"t.xml": rules}})
    line = "Nov 14 22:13:20 h1 app[7]: login joe from 1.1.1.1\n"
    assert "*Rule 100201: <pcre2> ^logon does not hold." in call(["--explain"], line, tmp_path).stderr
    (tried,) = [
        one for one in json.loads(call(["--json", "--explain"], line, tmp_path).stdout)["tried"] if one["id"] == 100201
    ]
    assert (tried["failed"], tried["wanted"]) == ("pcre2", "^logon")


def test_a_test_of_the_configuration_names_every_mistake(tmp_path: Path) -> None:
    bad = RULES.replace("<user>root</user>", "<usr>root</usr>").replace("<match>login", "<regex>lo(gin</regex><match>")
    make_home(Layout(tmp_path), {"name": "bad", "decoder.xml": DECODERS, "rules": {"t.xml": bad}})
    done = call(["-t"], "", tmp_path)
    assert done.returncode == 1
    assert "ossec-analysisd(1450): ERROR: Syntax error on regex: 'lo(gin': 6." in done.stderr
    assert "t.xml:6: rule 100201: <regex> cannot be used" in done.stderr
    assert "t.xml:7: rule 100202: unknown element <usr>, did you mean user?" in done.stderr
    assert "Invalid option 'usr'" not in done.stderr  # OSSEC would not have come so far


def test_nothing_below_the_home_is_written(home: Path) -> None:
    before = sorted(home.rglob("*"))
    call([], "Nov 14 22:13:20 h1 app[7]: login joe from 1.1.1.1\n", home)
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize(("args", "status"), [(["-h"], 0), (["-V"], 0), (["--version"], 0), (["-Z"], 1)])
def test_help_version_and_unknown_options_exit_as_ossecs(args: list[str], status: int, home: Path) -> None:
    assert call(args, "", home).returncode == status
