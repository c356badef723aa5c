"""What must not make a rule miss: through the real ossec-logtest, with decoders and rules in OSSEC's dialects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ossec.layout import Layout
from ossec.messages.alert import AlertReader
from tests.support import make_bare_home
from tests.vectors.analysis.daemon_support import Daemon

CHECKOUT = Path(__file__).resolve().parents[3]
DECODERS = r"""<decoder name="app"><program_name>^app</program_name></decoder>
<decoder name="app-from"><parent>app</parent><regex>user (\S+) from (\S+)$</regex><order>user,srcip</order></decoder>
<decoder name="other"><prematch>^OTHER </prematch></decoder>
"""
RULES = r"""<group name="syslog,">
<rule id="1" level="0" noalert="1"><category>syslog</category><description>base</description></rule></group>
<group name="t,">
<rule id="100100" level="0"><decoded_as>app</decoded_as><description>app</description></rule>
<rule id="100101" level="5"><if_sid>100100</if_sid><match>Failed password</match><description>m</description></rule>
<rule id="100102" level="5"><if_sid>100100</if_sid><regex>^begin\.+login refused</regex><description>r</description>
</rule>
<rule id="100103" level="5"><if_sid>100100</if_sid><regex>bad: \.*: \w+ end$</regex><description>s</description></rule>
<rule id="100104" level="5"><if_sid>100100</if_sid><pcre2>(?i)union\s+select</pcre2><description>p</description></rule>
<rule id="100105" level="5"><if_sid>100100</if_sid><match_pcre2>^(?:no)+pe$</match_pcre2><description>n</description>
</rule>
<rule id="100106" level="7"><if_sid>100101</if_sid><user>^root$</user><description>root</description></rule>
</group>
"""
LONG = b"x" * 5900  # more than OSSEC's patterns get through, less than a message may have
CASES = {
    "invalid-utf8-before": (b"\xff Failed password", 100101),
    "invalid-utf8-after": (b"Failed password \xc3", 100101),
    "invalid-utf8-in-a-run": (b"begin \xfe\xff login refused", 100102),
    "overlong-utf8": (b"bad: \xc0\xaf: abc end", 100103),
    "surrogate-utf8": (b"begin \xed\xa0\x80 login refused", 100102),
    "long-run-regex": (b"begin " + LONG + b" login refused", 100102),
    "long-run-between": (b"bad: " + LONG + b": abc end", 100103),
    "long-run-of-blanks": (b"union" + b" " * 5900 + b"select", 100104),
    "long-run-pcre2": (b"no" * 2900 + b"pe", 100105),
    "long-run-before-match": (LONG + b"Failed password", 100101),
    "control-inside-a-word": (b"Failed pass\x01word", 100101),
    "tab-inside-a-word": (b"Failed pass\tword", 100101),
    "delete-inside-a-word": (b"Fai\x7fled password", 100101),
    "tab-between-words": (b"Failed\tpassword", 100101),
    "tab-for-a-pattern's-blank": (b"begin x login\trefused", 100102),
    "tab-between-words-pcre2": (b"UNION\tSELECT", 100104),
    "form-feed-between-words": (b"Failed\x0cpassword", 100101),
    "tab-and-invalid-utf8": (b"\xff Failed\tpassword", 100101),
    "tab-in-a-name": (b"Failed password: user ro\tot from 192.0.2.1", 100106),  # decoders see OSSEC's form
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = make_bare_home(tmp_path_factory.mktemp("evasions") / "home")
    layout.decoder_xml.write_text(DECODERS)
    (layout.rules_dir / "t.xml").write_text(RULES)
    layout.ossec_conf.write_text("<ossec_config><rules><include>t.xml</include></rules></ossec_config>")
    return layout


@pytest.mark.parametrize("mode", [[], ["-v"], ["-a"]], ids=["plain", "traced", "quick"])
def test_nothing_in_a_line_switches_a_rule_off(home: Layout, mode: list[str]) -> None:
    lines = [b"Nov 22 03:58:11 web01 app[7]: " + text for text, _ in CASES.values()]
    program = "from ossec.cli.logtest import main; main()"
    shown = mode if mode == ["-a"] else [*mode, "--json"]
    command = [sys.executable, "-c", program, "-D", str(home.home), *shown]
    done = subprocess.run(command, input=b"\n".join(lines) + b"\n", capture_output=True, cwd=CHECKOUT, timeout=60)
    assert done.returncode == 0, done.stderr
    key = b"Rule: " if mode == ["-a"] else b'"rule": {"id": '
    found = [int(part[:6]) for part in done.stdout.split(key)[1:]]
    assert dict(zip(CASES, found, strict=True)) == {name: rule for name, (_, rule) in CASES.items()}


def test_the_daemon_finds_words_that_a_tab_separates_and_writes_them_as_ossec_does(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "home", {"decoder.xml": DECODERS, "rules": {"t.xml": RULES}, "events": []})
    head = b"1:/a:Nov 14 22:13:20 h app: "
    daemon.analysis.receive([head + b"Failed\tpassword", head + b"Failedpassword"], 1700000000)
    daemon.analysis.outputs.flush()
    (alert,) = AlertReader().feed(daemon.layout.alerts_log.read_bytes())
    assert (alert.rule, alert.log) == (100101, b"Nov 14 22:13:20 h app: Failedpassword")
