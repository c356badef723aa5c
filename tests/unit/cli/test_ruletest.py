"""ossec-ruletest: what it says of examples that hold and of those that do not."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ossec.cli import ruletest
from ossec.layout import Layout
from tests.support import make_bare_home
from tests.unit.analysisd import mmdb

CHECKOUT = Path(__file__).resolve().parents[3]
DECODERS = """<decoder name="app"><program_name>^app</program_name></decoder>
<decoder name="app-login"><parent>app</parent><prematch>^login </prematch>
<regex offset="after_prematch">^(\\S+) from (\\S+)</regex><order>user,srcip</order></decoder>
<decoder name="win"><type>windows</type><prematch>^WIN </prematch></decoder>
"""
RULES = """<group name="syslog,">
<rule id="1" level="0" noalert="1"><category>syslog</category><description>base</description></rule>
<rule id="6" level="0" noalert="1"><category>windows</category><description>base</description></rule>
</group>
<group name="t,">
<rule id="100100" level="0"><decoded_as>app</decoded_as><description>app</description></rule>
<rule id="100201" level="5"><if_sid>100100</if_sid><match>^login</match><description>a login</description></rule>
<rule id="100202" level="9"><if_sid>100201</if_sid><user>root</user><description>root's login</description></rule>
<rule id="100203" level="10" frequency="2" timeframe="60"><if_matched_sid>100201</if_matched_sid><same_user />
<description>many</description></rule>
<rule id="100300" level="4"><if_sid>6</if_sid><match>x</match><description>windows</description></rule>
<rule id="100400" level="4"><if_sid>100100</if_sid><time>2 am - 4 am</time><description>at night</description></rule>
<rule id="100500" level="4"><if_sid>100100</if_sid><list field="id">lists/ids</list><match>zzz</match>
<description>a list</description></rule>
</group>
"""
LOGIN = "Nov 14 22:13:20 h1 app[7]: login joe from 192.0.2.1"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = make_bare_home(tmp_path / "home")
    layout.decoder_xml.write_text(DECODERS)
    (layout.rules_dir / "t.xml").write_text(RULES)
    layout.ossec_conf.write_text(
        "<ossec_config><rules><include>t.xml</include><list>lists/ids</list></rules></ossec_config>"
    )
    return layout


def run(layout: Layout, *arguments: object) -> Result:
    return CliRunner().invoke(ruletest.command, ["-D", str(layout.home), *map(str, arguments)])


def examples(path: Path, *pairs: tuple[str, Any]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "events.log").write_text("".join(line + "\n" for line, _ in pairs))
    (path / "expect.json").write_text(json.dumps([entry for _, entry in pairs]))
    return path


def test_examples_that_hold(layout: Layout) -> None:
    entry = {"rule": 100201, "level": 5, "decoder": "app", "fields": {"dstuser": "joe", "srcip": "192.0.2.1"}}
    examples(
        layout.rule_tests_dir / "app",
        (LOGIN, {**entry, "groups": ["t"]}),
        (LOGIN, {"rule": 100203, "before": [[1, 3]]}),
        (LOGIN, {"rule": 100201, "before": [[1, 2]]}),
        ("Nov 14 22:13:20 h1 app[7]: at night", {"rule": 100400, "at": "2024-01-06 03:00"}),
        ("nothing", None),
    )
    done = run(layout)
    assert done.stdout == "5 examples of 1 file: 5 as expected, 0 otherwise\n"
    assert done.exit_code == 0
    assert run(layout, "-v").stdout.startswith("ok   app/events.log:1\n")


def test_what_comes_out_otherwise_is_shown_with_its_reason(layout: Layout, tmp_path: Path) -> None:
    ini = tmp_path / "app.ini"
    ini.write_text(f"[a login]\nlog 1 pass = {LOGIN}\nlog 2 fail = {LOGIN}\nrule = 100202\nalert = 9\ndecoder = app\n")
    done = run(layout, ini)
    assert done.exit_code == 1
    assert done.stdout == (
        f"FAIL app.ini:2 [a login]\n     {LOGIN}\n"
        "   - rule   100202\n   + rule   100201\n   - level  9\n   + level  5\n"
        "     <user> root of rule 100202 does not hold\n\n"
        "2 examples of 1 file: 1 as expected, 1 otherwise\n"
    )


@pytest.mark.parametrize(
    ("line", "rule", "reason"),
    [
        (LOGIN, 999, "no rule 999 is loaded"),
        (LOGIN, 100300, "rule 100300 under 6 was not tried, for that is the root of 'windows' only"),
        (LOGIN.replace("joe", "root"), 100201, "rule 100201 matched, then rule 100202, which decided"),
        (
            "Nov 1 x",
            100202,
            "rule 100202 under 100201 under 100100 was not tried: <decoded_as> app of rule 100100 does not hold",
        ),
        ("Nov 1 x", 1, "rule 1 matched, but alone it alerts of nothing (noalert)"),
    ],
)
def test_the_reason(layout: Layout, tmp_path: Path, line: str, rule: int, reason: str) -> None:
    path = examples(tmp_path / "x", (line, {"rule": rule}))
    done = run(layout, "--json", path)
    first, last = map(json.loads, done.stdout.splitlines())
    assert (first["passed"], first["different"], first["reason"]) == (False, ["rule"], reason)
    assert last == {"examples": 1, "files": 1, "passed": 0, "failed": 1, "not_tried": 0}


def test_a_line_that_must_not_match_and_does(layout: Layout, tmp_path: Path) -> None:
    ini = tmp_path / "app.ini"
    ini.write_text(f"[no login]\nlog 1 fail = {LOGIN}\nrule = 100201\n")
    done = run(layout, ini)
    assert "   - rule  not 100201\n   + rule  100201\n" in done.stdout
    assert done.exit_code == 1


def test_stop_at_the_first(layout: Layout, tmp_path: Path) -> None:
    path = examples(tmp_path / "x", (LOGIN, None), (LOGIN, None), (LOGIN, None))
    assert run(layout, "-x", path).stdout.endswith("1 example of 1 file: 0 as expected, 1 otherwise, 2 not tried\n")


def test_rules_of_a_folder(layout: Layout, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "rules").mkdir(parents=True)
    (folder / "decoder.xml").write_text(DECODERS)
    first, _, second = RULES.partition('<group name="t,">')
    (folder / "rules" / "a.xml").write_text('<group name="t,">' + second)
    (folder / "rules" / "rules_config.xml").write_text(first)
    examples(folder / "tests" / "app", (LOGIN, {"rule": 100201}))
    done = run(layout, "--rules", folder)
    assert (done.exit_code, done.stdout) == (0, "1 example of 1 file: 1 as expected, 0 otherwise\n")
    (folder / "rules.list").write_text("a.xml rules_config.xml")
    done = run(layout, "--rules", folder)
    assert done.exit_code == 2
    assert f"{folder / 'rules' / 'a.xml'}:2" in done.stderr
    (folder / "rules.list").unlink()
    (folder / "ossec.conf").write_text(
        "<ossec_config><rules><include>rules_config.xml</include><include>a.xml</include></rules></ossec_config>"
    )
    assert run(layout, "--rules", folder).exit_code == 0


def test_mistakes_are_told_before_anything_is_tried(layout: Layout, tmp_path: Path) -> None:
    good = examples(tmp_path / "good", (LOGIN, {"rule": 100201}))
    bad = tmp_path / "bad.ini"
    bad.write_text("[x]\nlog 1 pass = y\nrule = z\n")
    done = run(layout, good, bad, tmp_path / "none")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"ERROR: {bad}:3: [x]: 'rule' wants a number" in done.stderr
    assert f"ERROR: {tmp_path / 'none'}: there is no such file" in done.stderr


def test_rules_that_do_not_load_are_told(layout: Layout, tmp_path: Path) -> None:
    good = examples(tmp_path / "good", (LOGIN, {"rule": 100201}))
    (layout.rules_dir / "t.xml").write_text(RULES.replace("<match>", "<mach>").replace("</match>", "</mach>"))
    done = run(layout, good)
    assert done.exit_code == 2
    assert f"{layout.rules_dir / 't.xml'}:7: rule 100201: unknown element <mach>, did you mean match?" in done.stderr


def test_places_of_addresses_count(layout: Layout, tmp_path: Path) -> None:
    record = {"country": {"iso_code": "US"}}
    (layout.home / "etc" / "geo.mmdb").write_bytes(mmdb.encode({"192.0.2.0/24": record}))
    path = examples(tmp_path / "x", (LOGIN, {"rule": 100206}), (LOGIN.replace("192.0.2", "10.0.0"), {"rule": 100201}))
    rule = '<rule id="100206" level="7"><if_sid>100201</if_sid><srcgeoip>^US</srcgeoip></rule></group>'
    (layout.rules_dir / "t.xml").write_text(RULES.removesuffix("</group>\n") + rule)
    text = layout.ossec_conf.read_text()
    layout.ossec_conf.write_text(text.replace("<rules>", "<global><geoipdb>etc/geo.mmdb</geoipdb></global><rules>"))
    assert run(layout, path).exit_code == 0
    tool = [sys.executable, "-c", "from ossec.cli.logtest import main; main()", "-D", str(layout.home), "-a", "--json"]
    done = subprocess.run(tool, input=LOGIN.encode(), capture_output=True, check=True, cwd=CHECKOUT)
    assert b"Src Location: US\n" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["fields"]["srcgeoip"] == "US"


def test_what_the_home_has_seen_does_not_matter_nor_change(layout: Layout, tmp_path: Path) -> None:
    layout.fts_queue.write_text("app  joe\n")
    before = {path: path.stat().st_mtime_ns for path in layout.home.rglob("*")}
    run(layout, examples(tmp_path / "x", (LOGIN, {"rule": 100201})))
    assert {path: path.stat().st_mtime_ns for path in layout.home.rglob("*")} == before


def in_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    """What the tool shows on a terminal."""
    ours, theirs = pty.openpty()
    code = "from ossec.cli.ruletest import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=theirs, stderr=theirs, cwd=CHECKOUT, env=environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(ours)
    assert process.wait(20) == 1
    return shown.decode()


def test_colour_on_a_terminal_unless_it_is_not_wanted(layout: Layout, tmp_path: Path) -> None:
    path = examples(tmp_path / "x", (LOGIN + "\x1b[2J", None))
    plain = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    arguments = ["-D", str(layout.home), str(path)]
    colored = in_terminal(arguments, plain)
    assert "\x1b[31m   - rule" in colored
    assert "\x1b[2J" not in colored, "a log line must not command the terminal"
    assert "\x1b" not in in_terminal(arguments, plain | {"NO_COLOR": "1"})
