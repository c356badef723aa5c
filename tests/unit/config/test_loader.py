"""ossec.conf, against what OSSEC's daemons said to the same files with `-t`, and the values that come of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.config import ConfigurationError, check, load
from ossec.config.internal import InternalOptions
from ossec.config.model import Check, Configuration, Exclusion, ReportFilter, Server
from ossec.config.schema import Machine
from ossec.layout import Layout

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "config" / "results.jsonl"
RUNS = [
    (row["sample"].removesuffix(".conf"), row["conf"], row["target"], run)
    for row in map(json.loads, VECTORS.read_text(encoding="utf-8").splitlines())
    for run in row["runs"]
]

# OSSEC refuses what ours accepts, and why.
ACCEPTED = {
    **dict.fromkeys(("empty-section", "selfclosed-section", "section-only-text"), "an empty section is harmless"),
    **dict.fromkeys(
        ("global-geoip_db_path-_x", "global-md5_whitelist-_x", "global-md5_allowlist-_x", "alerts-use_geoip"),
        "OSSEC takes it when built with the feature",
    ),
    **dict.fromkeys(
        ("global-auth_smtp-yes", "global-secure_smtp-yes", "global-smtp_tls_verify-no"), "a build option of OSSEC's"
    ),
    **dict.fromkeys(("database_output-full", "database_output-port"), "a build option of OSSEC's"),
    **dict.fromkeys(("email_alerts-format-full", "email_alerts-format-sms"), "documented"),
    **dict.fromkeys(("localfile-format-json", "localfile-format-modsec_audit"), "a format that ours adds"),
    "localfile-glob-none": "the files may come later",
    **dict.fromkeys(("syscheck-noattr", "syscheck-check_all-no"), "OSSEC says that it ignores it, then stops"),
    "syscheck-no_recurse-no": "as every other attribute",
    "syscheck-scan_day-_monday": "documented",
}
# Files of rules and decoders are read by the engine, not here.
OF_THE_ENGINE = {"rules-missing-include", "rules-decoder-missing", "rules-two-sections-2"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    for folder in (layout.ossec_conf.parent, layout.agentless_dir, layout.rules_dir):
        folder.mkdir(parents=True)
    (layout.agentless_dir / "ssh_integrity_check_linux").touch()
    return layout


MACHINE = Machine(resolves=lambda name: name in {"localhost", "127.0.0.1"})  # where the vectors were made


def read(layout: Layout, text: str, program: str = "ossec-analysisd", kind: str = "server") -> Configuration:
    layout.ossec_conf.write_text(text, encoding="utf-8")
    return load(layout, None, program, kind, machine=MACHINE)


@pytest.mark.parametrize(
    ("name", "conf", "target", "run"), RUNS, ids=[f"{name}-{run['binary']}" for name, _, _, run in RUNS]
)
def test_a_program_says_what_ossec_says(name: str, conf: str, target: str, run: dict[str, Any], layout: Layout) -> None:
    layout.ossec_conf.write_bytes(conf.encode())
    program = run["binary"]
    lines, status = check(layout, None, program, target, machine=MACHINE)
    if name in OF_THE_ENGINE and program == "ossec-analysisd":
        assert status == 0
        return
    wanted = [line.replace("/var/ossec", str(layout.home)) for line in run["stderr"]]
    if name in ACCEPTED and run["exit"]:
        assert status == 0
        assert [line for line in lines if f"{layout.ossec_conf}:" not in line] == [
            line for line in wanted if "(1701)" in line
        ]
        load(layout, None, program, target, machine=MACHINE)
        return
    assert "\n".join(lines).split("\n")[: len(wanted)] == wanted
    assert status == run["exit"]
    if status:
        with pytest.raises(ConfigurationError) as caught:
            load(layout, None, program, target, machine=MACHINE)
        assert list(caught.value.lines) == lines
        assert any(line.startswith(f"{program}: ERROR: {layout.ossec_conf}") for line in lines)  # ours: the place
    else:
        assert list(load(layout, None, program, target, machine=MACHINE).warnings) == lines


def test_every_mistake_is_told_with_its_line_and_a_remedy(layout: Layout) -> None:
    conf = """<ossec_config>
  <global>
    <logal>yes</logal>
    <logall>Yes</logall>
    <white_list>10.0.0.0/255.0.0.0</white_list>
  </global>
  <globl><a>1</a></globl>
  <command><name>a</name></command>
  <active-response><command>a</command><location>local</location></active-response>
  <active-response><command>b</command><location>local</location></active-response>
</ossec_config>
"""
    with pytest.raises(ConfigurationError) as caught:
        read(layout, conf)
    path, name = layout.ossec_conf, "ossec-analysisd"
    typo, known = "is no address or network (as 10.0.0.0/8); it is taken for a host name", "(defined so far: none)"
    refused = f"{name}(1202): ERROR: Configuration error at '{path}'. Exiting."
    assert list(caught.value.lines) == [
        f"{name}(1230): ERROR: Invalid element in the configuration: 'logal'.",
        refused,
        refused,
        f"{name}: ERROR: {path}:3: <global> has no element 'logal'; did you mean 'logall'?",
        f"{name}: ERROR: {path}:4: <logall> wants yes or no, got 'Yes'",
        f"{name}: WARN: {path}:5: '10.0.0.0/255.0.0.0' {typo}",
        f"{name}: ERROR: {path}:7: there is no section 'globl'; did you mean 'global'?",
        f"{name}: ERROR: {path}:8: <command> lacks <executable>",
        f"{name}: ERROR: {path}:10: no <command> called 'b' stands before this <active-response> {known}",
    ]
    assert str(caught.value) == f"{path}:3: <global> has no element 'logal'; did you mean 'logall'?"


def test_what_ossec_swallows_draws_a_warning(layout: Layout) -> None:
    conf = """<ossec_config kind="x">
<global foo="bar"><logall unused="1">no</logall><logall>yes</logall><stats>257</stats></global>
<global></global>
<rules><include>a.xml</include></rules>
<rules><include>b.xml</include><rule_dir>nowhere</rule_dir></rules>
<global><allow_list>10.0.0.1</allow_list><allow_list>!10.0.0.2</allow_list></global>
</ossec_config>"""
    configuration = read(layout, conf)
    mark = f"ossec-analysisd: WARN: {layout.ossec_conf}"
    assert [line.removeprefix(mark) for line in configuration.warnings] == [
        ":1: attributes of <ossec_config> are ignored",
        ":2: attributes of <global> are ignored",
        ":2: <logall> has no attribute 'unused'; it is ignored",
        ":2: <logall> is given twice in this section; the last one counts",
        ":2: <stats> 257 is more than 8 bits hold: it counts as 1",
        ":3: <global> is empty",
        ":5: there is no directory 'nowhere'",
        ":5: the <include> lines of this <rules> replace those of the <rules> before",
        ":2: the allow list ends in '!10.0.0.2', so every address that no entry names is in it",
    ]
    assert configuration.global_.logall is True
    assert configuration.global_.stats == 1
    assert [file.name for file in configuration.rules.includes] == ["b.xml"]


def test_entities_stay_as_they_are_and_draw_a_warning(layout: Layout) -> None:
    conf = """<ossec_config><localfile>
<log_format>command</log_format><command>a &amp;&amp; b && c</command></localfile></ossec_config>"""
    configuration = read(layout, conf, "ossec-logcollector")
    assert configuration.localfiles[0].command == "a &amp;&amp; b && c"
    (warning,) = configuration.warnings
    assert warning.endswith(":2: <command> has '&amp;', which stands for itself: entities are not decoded")


def test_a_file_of_garbage_does_not_fill_the_log(layout: Layout) -> None:
    odd = "<global><logall>no</logall><x>1</x></global>" + '<global><logall a="1">no</logall></global>\n' * 2000
    layout.ossec_conf.write_text(f"<ossec_config>{odd}<nosuch><a/></nosuch></ossec_config>", encoding="utf-8")
    lines, status = check(layout)
    assert status == 1
    assert len(lines) == 3 + 500 + 1
    assert lines[-1].endswith("1502 more mistakes are not shown")


def test_a_refusal_after_much_garbage_is_told(layout: Layout) -> None:
    odd = '<global><logall a="1">no</logall></global>' * 2000
    layout.ossec_conf.write_text(f"<ossec_config>{odd}<nosuch><a/></nosuch></ossec_config>", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="there is no section 'nosuch'"):
        load(layout)


def test_an_empty_file_is_all_defaults(layout: Layout) -> None:
    assert read(layout, "") == Configuration(path=layout.ossec_conf)


def test_the_values_of_global_and_alerts(layout: Layout) -> None:
    conf = """<ossec_config>
<global><white_list>127.0.0.1</white_list><allow_list>good.example.com</allow_list><email_to>a@b.c</email_to>
<memory_size>10</memory_size><custom_alert_output>$RULEID &amp; x</custom_alert_output></global>
<alerts><log_alert_level>3</log_alert_level></alerts></ossec_config>
<ossec_config><global><email_to>d@e.f</email_to><white_list>10.0.0.0/8</white_list></global></ossec_config>"""
    configuration = read(layout, conf)
    found = configuration.global_
    assert found.email_to == ("a@b.c", "d@e.f")
    assert found.allow_hostnames == ("good.example.com",)
    assert "10.1.2.3" in found.allow_addresses
    assert "127.0.0.2" not in found.allow_addresses
    assert found.memory_size == 2048
    assert found.custom_alert_output == "$RULEID &amp; x"
    assert (configuration.alerts.log_alert_level, configuration.alerts.email_alert_level) == (3, 7)


def test_directories_of_rules_are_spread_out(layout: Layout) -> None:
    for name in ("b_rules.xml", "a_rules.xml", "Z_rules.xml", "rules_config.xml", "a_rules.xml.bak"):
        (layout.rules_dir / name).touch()
    conf = """<ossec_config><rules><include>rules_config.xml</include><rule_dir>rules</rule_dir>
<decoder_dir pattern="a_rules">rules</decoder_dir><list>etc/lists/x</list></rules></ossec_config>"""
    rules = read(layout, conf).rules
    assert [file.name for file in rules.includes] == [
        "rules_config.xml",
        "rules/Z_rules.xml",
        "rules/a_rules.xml",
        "rules/b_rules.xml",
    ]
    assert rules.includes[0].path == layout.rules_dir / "rules_config.xml"
    assert rules.includes[1].path == layout.rules_dir / "Z_rules.xml"
    assert [file.name for file in rules.decoders] == ["rules/a_rules.xml", "rules/a_rules.xml.bak"]
    assert rules.lists[0].path == layout.home / "etc/lists/x"


def test_the_values_of_a_localfile(layout: Layout) -> None:
    conf = """<ossec_config>
<localfile><Log_Format lines="3">multiline</Log_Format><location>/var/log/%Y.log</location></localfile>
<localfile><log_format>full_command</log_format><command>a && b > c</command><alias>x</alias>
<frequency>hourly</frequency></localfile></ossec_config>"""
    first, second = read(layout, conf, "ossec-logcollector").localfiles
    assert (first.log_format, first.location, first.attributes) == ("multiline", "/var/log/%Y.log", (("lines", "3"),))
    assert (second.command, second.alias, second.frequency, second.location) == ("a && b > c", "x", 3600, None)
    assert str(second.place) == f"{layout.ossec_conf}:3"


def test_the_values_of_syscheck_and_rootcheck(layout: Layout) -> None:
    conf = """<ossec_config><syscheck>
<directories check_all="yes" realtime="yes" restrict=".conf" no_recurse="yes">/etc/ , /usr/bin</directories>
<directories check_md5sum="yes" check_sha256sum="no">/opt</directories>
<ignore>/etc/mtab</ignore><ignore type="sregex">.log$</ignore><scan_day>!monday</scan_day><scan_time>9pm</scan_time>
</syscheck><rootcheck><check_dev>no</check_dev><system_audit>a</system_audit><system_audit>b</system_audit></rootcheck>
</ossec_config>"""
    configuration = read(layout, conf, "ossec-syscheckd")
    etc, usr, opt = configuration.syscheck.directories
    assert (etc.path, etc.checks, etc.realtime, etc.restrict, etc.recurse) == ("/etc/", Check.ALL, True, ".conf", False)
    assert usr.path == "/usr/bin"
    assert opt.checks == Check.MD5
    place = configuration.syscheck.ignore[0].place
    assert configuration.syscheck.ignore == (Exclusion("/etc/mtab", False, place), Exclusion(".log$", True, place))
    assert configuration.syscheck.scan_day is not None
    assert not configuration.syscheck.scan_day.contains(1)
    assert str(configuration.syscheck.scan_time) == ".21:0021:00"
    assert "dev" not in configuration.rootcheck.checks
    assert configuration.rootcheck.system_audit == ("a", "b")


def test_the_values_of_remote_and_client(layout: Layout) -> None:
    conf = """<ossec_config>
<remote><Connection>secure</Connection><allowed-ips>10.0.0.0/8</allowed-ips></remote>
<remote><connection>syslog</connection><protocol>tcp</protocol><denied-ips>any</denied-ips>
<crypto_accept>both</crypto_accept></remote>
<client><server-ip>10.0.0.1</server-ip><server-hostname>localhost</server-hostname><notify_time>700</notify_time>
<time-reconnect>600</time-reconnect></client></ossec_config>"""
    remotes = read(layout, conf, "ossec-remoted").remotes
    assert [(one.connection, one.port, one.protocol) for one in remotes.connections] == [
        ("secure", 1514, "udp"),
        ("syslog", 514, "tcp"),
    ]
    assert "10.1.1.1" in remotes.allowed
    assert "10.1.1.1" in remotes.denied
    assert remotes.crypto_accept == "any"
    client = read(layout, conf, "ossec-agentd", "agent").client
    assert client is not None
    assert client.servers == (Server("10.0.0.1"), Server("localhost", by_name=True))
    assert (client.notify_time, client.reconnect_time, client.port) == (700, 2100, 1514)


def test_the_values_of_what_sends_alerts_on(layout: Layout) -> None:
    conf = """<ossec_config>
<email_alerts><email_to>a@b.c</email_to><rule_id>1, 2,,3</rule_id><do_not_delay /></email_alerts>
<syslog_output><server>127.0.0.1</server><tls>yes</tls><format>cef</format></syslog_output>
<database_output><hostname>h</hostname><username>u</username><password>p</password><database>d</database>
<type>postgresql</type><port>5432</port></database_output>
<agentless><type>ssh_integrity_check_linux</type><host>a@b</host><host>use_su c@d</host><state>periodic</state>
</agentless>
<reports><title>T</title><title>U</title><srcip type="relation">us er</srcip><email_to>a@b.c</email_to>
<showlogs>yes</showlogs></reports>
</ossec_config>"""
    (mail,) = read(layout, conf, "ossec-maild").email_alerts
    assert (mail.rule_ids, mail.do_not_delay, mail.do_not_group) == ((1, 2, 3), True, False)
    (output,) = read(layout, conf, "ossec-csyslogd").syslog_outputs
    assert (output.protocol, output.tls, output.format, output.port) == ("tcp", True, "cef", 514)
    database = read(layout, conf, "ossec-dbd").database
    assert database is not None
    assert (database.type, database.port) == ("postgresql", 5432)
    assert "password" not in repr(database)
    (agentless,) = read(layout, conf, "ossec-agentlessd").agentless
    assert agentless.hosts == ("a@b", "use_su c@d")
    (report,) = read(layout, conf, "ossec-monitord").reports
    assert (report.title, report.showlogs) == ("T", True)
    assert report.filters == (ReportFilter("srcip", "us-er", relation=True),)


OFF = "<active-response><disabled>yes</disabled></active-response>"
ON = "<active-response><command>a</command></active-response>"


def offenders(value: str) -> str:
    return f"<active-response><repeated_offenders>{value}</repeated_offenders></active-response>"


@pytest.mark.parametrize(
    ("sections", "disabled", "minutes"),
    [
        ("", False, ()),
        (OFF, True, ()),
        ("<active-response><disabled>no</disabled></active-response>", False, ()),
        (OFF + ON, False, ()),
        (OFF + OFF, True, ()),
        (ON + offenders("30, 60,120"), False, (30, 60, 120)),
        (offenders("1,2,0,4"), False, (1, 2)),
        (offenders("1,2,3,4,5,6"), False, (1, 2, 3, 4, 5)),
    ],
)
def test_what_execd_takes(sections: str, disabled: bool, minutes: tuple[int, ...], layout: Layout) -> None:
    policy = read(layout, f"<ossec_config>{sections}</ossec_config>", "ossec-execd").exec_policy
    assert (policy.disabled, policy.repeated_offenders) == (disabled, minutes)


def test_a_check_tells_the_mistakes_in_the_internal_options(layout: Layout) -> None:
    layout.ossec_conf.write_text("<ossec_config><nosuch><a/></nosuch></ossec_config>", encoding="utf-8")
    layout.internal_options.write_text("analysisd.debug=3\nmaild.geoip=7\nanalysisd.debg=1\n", encoding="utf-8")
    path, name = layout.internal_options, "ossec-analysisd"
    options = InternalOptions.load(layout, name, quiet=True)
    wants = "wants a number from 0 to"
    assert check(layout, None, name, options=options) == (
        [
            f"{name}(2302): ERROR: Invalid definition for analysisd.debug: '3'.",
            f"{name}: ERROR: {path}:1: analysisd.debug {wants} 2, got '3'",
            f"{name}: WARN: {path}:2: maild.geoip {wants} 1, got '7'",
            f"{name}: WARN: {path}:3: no option is called 'analysisd.debg'; did you mean analysisd.debug?",
            f"{name}: ERROR: {layout.ossec_conf}:1: there is no section 'nosuch'",
        ],
        1,
    )
    lines, status = check(layout, None, "ossec-logcollector", options=options)
    assert lines[0] == "ossec-logcollector(1230): ERROR: Invalid element in the configuration: 'nosuch'."
    assert status == 1


@pytest.mark.parametrize("digits", ["1" + "0" * 5000 + "5", "9" * 8000, "0" * 8000])
@pytest.mark.parametrize(
    ("section", "program"),
    [
        ("<global><memory_size>N</memory_size><stats>N</stats></global>", "ossec-analysisd"),
        ("<global><email_maxperhour>N</email_maxperhour></global>", "ossec-maild"),
        ("<remote><connection>syslog</connection><port>N</port></remote>", "ossec-remoted"),
        (
            "<active-response><level>N</level><timeout>N</timeout><rules_id>N</rules_id></active-response>",
            "ossec-analysisd",
        ),
    ],
)
def test_endless_digits_are_a_number_or_refused(digits: str, section: str, program: str, layout: Layout) -> None:
    layout.ossec_conf.write_text(f"<ossec_config>{section.replace('N', digits)}</ossec_config>", encoding="utf-8")
    lines, status = check(layout, None, program, machine=MACHINE)
    assert status == (0 if "<global><memory" in section else 1)
    assert lines


def test_a_password_is_shown_nowhere(layout: Layout) -> None:
    conf = "<ossec_config><global><smtp_password>s3cret</smtp_password></global></ossec_config>"
    assert "s3cret" not in repr(read(layout, conf, "ossec-maild"))


def test_another_file_can_be_named(layout: Layout, tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    other.write_text("<ossec_config><nosuch><a/></nosuch></ossec_config>", encoding="utf-8")
    lines, status = check(layout, other)
    assert status == 1
    assert lines[1] == f"ossec-analysisd(1202): ERROR: Configuration error at '{other}'. Exiting."


def test_a_missing_file_is_refused(layout: Layout) -> None:
    lines, status = check(layout)
    reason = f"XMLERR: File '{layout.ossec_conf}' not found. (line 0)."
    assert (lines[0], status) == (
        f"ossec-analysisd(1226): ERROR: Error reading XML file '{layout.ossec_conf}': {reason}",
        1,
    )
