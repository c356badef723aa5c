"""`-t` and the start on recorded configurations: lines and exit status as OSSEC's, or ours where they differ."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ossec.daemon import Context, Loop
from ossec.daemon.log import LineFormatter
from ossec.daemon.skeleton import Options
from ossec.errors import ConfigError
from ossec.layout import Layout
from ossec.logcollector.daemon import NAME, Logcollector, load_sources
from tests.unit.logcollector.test_vectors import VECTORS, text_of

CASES = sorted(name for name, run in VECTORS.items() if run.get("args") == ["-t"])
OURS = {
    # why, exit status, what a line must say
    "cfg-empty": ("an empty section is no reason to die (decided)", 0, "WARN"),
    "cfg-nofile": ("an empty section is no reason to die (decided)", 0, "WARN"),
    "cfg-linux_auditd": ("needs one of its two timers", 1, "(1235): ERROR: Invalid value for element 'log_format'"),
    "cfg-modsec_audit": ("a format of ours", 0, ""),
    "cfg-multiline": ("needs its attribute", 1, "lines"),
    "cfg-regex": ("needs its attribute", 1, "start_regex"),
    "opt-missing": ("every option has a default", 0, ""),
}


def run_test(layout: Layout, config: str) -> tuple[list[str], int]:
    """What `-t` prints, and its exit status."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(LineFormatter(NAME, dated=False).format(record))

    layout.ossec_conf.write_bytes(config.encode("latin-1"))
    logger = logging.getLogger("ossec")
    handler = Lines()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        status = Logcollector.test(Context(layout, Options(test=True), Loop(), NAME))
    except ConfigError as error:
        lines += getattr(error, "lines", (str(error),))
        status = 1
    finally:
        logger.removeHandler(handler)
    return lines, status


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_configuration(name: str, bare_home: Layout) -> None:
    vector = VECTORS[name]
    options = [f"{key}={value}\n" for key, value in vector["options"].items()]
    bare_home.local_internal_options.write_text("".join(options))
    lines, status = run_test(bare_home, vector["config"])
    if name in OURS:
        _, expected, text = OURS[name]
        assert status == expected
        assert any(text in line for line in lines) or not text
        return
    assert status == vector["exit"]
    found = iter(lines)
    for line in vector["log"]:
        text = text_of(line).decode("latin-1").replace("{HOME}", str(bare_home.home))
        assert text in found, lines


@pytest.mark.parametrize(
    ("log_format", "explains"),
    [
        ('<log_format lines="0">multiline</log_format>', "wants a number 1..10000"),
        ('<log_format lines="1x">multiline</log_format>', "wants a number 1..10000"),
        ('<log_format timeout="1" window="1">linux_auditd</log_format>', "timeout"),
        ('<log_format timeout="3601">linux_auditd</log_format>', "wants a number 1..3600"),
        ('<log_format interleave="maybe">modsec_audit</log_format>', "wants yes or no"),
        (r'<log_format start_regex="(\w+)" end_regex="\2">regex</log_format>', "refers to group 2"),
        ('<log_format start_regex="(">regex</log_format>', "Syntax error on regex"),
        ('<log_format start_regex="a" flags="x">regex</log_format>', "letters of c, i and p"),
        ('<log_format id_regex="a">regex_id</log_format>', "exactly one"),
        ('<log_format join_indented="yes" timeout="0">syslog</log_format>', "wants a number 1..3600"),
    ],
)
def test_a_wrong_attribute_is_refused_with_its_place(log_format: str, explains: str, bare_home: Layout) -> None:
    config = f"<ossec_config>\n<localfile>\n{log_format}<location>/x</location></localfile></ossec_config>"
    lines, status = run_test(bare_home, config)
    assert status == 1
    assert any(explains in line for line in lines), lines
    assert any(f"{bare_home.ossec_conf}:" in line for line in lines), "no place"
    assert any("(1235): ERROR: Invalid value for element 'log_format':" in line for line in lines)
    assert sum("(1202): ERROR: Configuration error at" in line for line in lines) == 2


def test_an_unknown_attribute_is_ignored_with_a_warning(bare_home: Layout) -> None:
    config = '<ossec_config><localfile><log_format x="1">syslog</log_format><location>/x</location></localfile>'
    lines, status = run_test(bare_home, config + "</ossec_config>")
    assert status == 0
    assert "ossec-logcollector: WARN: Ignoring attribute 'x' of log_format 'syslog'." in lines


@pytest.mark.parametrize("name", ["agent-name", "agent-remote-off", "agent-remote-on"])
def test_an_agent_adds_what_the_server_sends(name: str, bare_home: Layout, tmp_path: Path) -> None:
    vector = VECTORS[name]
    bare_home.ossec_conf.write_text(vector["config"])
    bare_home.agent_conf.write_text(vector["agent_conf"])
    bare_home.agent_info_file.write_text("agent1\n10.0.0.5\n001\nweb\n")
    bare_home.local_internal_options.write_text("".join(f"{k}={v}\n" for k, v in vector["options"].items()))
    sources = load_sources(Context(bare_home, Options(), Loop(), NAME))
    assert [source.location for source in sources] == [b"/var/log/app/h.log"], "this home is no agent's"
    bare_home.init_conf.write_text('DIRECTORY="/x"\nTYPE="agent"\n')
    sources = load_sources(Context(bare_home, Options(), Loop(), NAME))
    names = [(source.location or source.command).decode().rpartition("/")[2] for source in sources]
    assert (
        names
        == {
            "agent-name": ["h.log", "i.log"],
            "agent-remote-on": ["h.log", "i.log", "echo remote", "j.log"],
            "agent-remote-off": ["h.log", "i.log", "j.log"],  # OSSEC loses j.log with the command
        }[name]
    )


def test_windows_formats_are_accepted_and_an_odd_event_log_is_named(bare_home: Layout) -> None:
    vector = VECTORS["eventlog-on-unix"]
    lines, status = run_test(bare_home, vector["config"])
    assert status == 0
    assert next(line for line in vector["log"] if "1907" in line) in lines
