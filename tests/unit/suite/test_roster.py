"""Who runs where, in which order; the orders are those of the recorded transcripts of ossec-control."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.config.kind import Kind, guess_kind
from ossec.suite import processes
from ossec.suite.roster import SWITCHES, ProcessList, choose, switched_off

NO_MAIL = frozenset({"ossec-maild"})
ALL_OPTIONAL = frozenset({"ossec-dbd", "ossec-csyslogd", "ossec-agentlessd"})


def names(text: str) -> tuple[str, ...]:
    return tuple(f"ossec-{name}" for name in text.split())


@pytest.mark.parametrize(
    ("home_type", "enabled", "off", "start", "status"),
    [
        (
            Kind.SERVER,
            ALL_OPTIONAL,
            frozenset(),
            "dbd csyslogd agentlessd maild execd analysisd logcollector remoted syscheckd monitord",
            "monitord logcollector remoted syscheckd analysisd maild execd dbd csyslogd agentlessd",
        ),
        (
            Kind.SERVER,
            frozenset(),
            NO_MAIL,
            "execd analysisd logcollector remoted syscheckd monitord",
            "monitord logcollector remoted syscheckd analysisd execd",
        ),
        (
            Kind.LOCAL,
            frozenset(),
            frozenset(),
            "maild execd analysisd logcollector syscheckd monitord",
            "monitord logcollector syscheckd analysisd maild execd",
        ),
        (
            Kind.AGENT,
            frozenset(),
            NO_MAIL,
            "execd agentd logcollector syscheckd",
            "logcollector syscheckd agentd execd",
        ),
    ],
)
def test_the_orders_are_those_of_ossec(
    home_type: Kind, enabled: frozenset[str], off: frozenset[str], start: str, status: str
) -> None:
    roster = choose(home_type, enabled, off)
    assert roster.start_order == names(start)
    assert roster.status_order == names(status)
    assert roster.absent == ()


def test_maild_is_stopped_even_where_mail_is_off() -> None:
    roster = choose(Kind.LOCAL, off=NO_MAIL)
    assert "ossec-maild" not in roster.start_order + roster.status_order
    assert [name for group in roster.stop_groups for name in group] == list(
        names("monitord logcollector syscheckd analysisd maild execd")
    )


def test_a_daemon_that_this_version_lacks_is_absent_and_nowhere_else() -> None:
    roster = choose(Kind.LOCAL, off=NO_MAIL, exists=lambda name: name != "ossec-syscheckd")
    assert roster.absent == ("ossec-syscheckd",)
    assert "ossec-syscheckd" not in roster.start_order + roster.status_order


def test_collectors_start_after_the_analysis_and_stop_before_it() -> None:
    roster = choose(Kind.SERVER, ALL_OPTIONAL)
    starts = {name: index for index, group in enumerate(roster.start_groups) for name in group}
    stops = {name: index for index, group in enumerate(roster.stop_groups) for name in group}
    for collector in names("logcollector remoted syscheckd"):
        assert starts[collector] > starts[roster.receiver]
        assert stops[collector] < stops[roster.receiver]


def test_enable_and_disable_leave_one_line_per_name() -> None:
    processes = ProcessList.parse('# mine\nDB_DAEMON=ossec-dbd\nDB_DAEMON=""\nDEBUG_CLI="-d"\n')
    assert processes.enabled == frozenset()
    assert processes.debug == ("-d",)
    text = processes.switched("database", True).switched("client-syslog", True).switched("debug", False).format()
    assert text == '# mine\nDB_DAEMON=ossec-dbd\nDEBUG_CLI=""\nCSYSLOG_DAEMON=ossec-csyslogd\n'


def test_what_ossec_appends_is_read() -> None:
    text = "".join(f'{variable}="{value}"\n' for variable, value in SWITCHES.values())
    assert ProcessList.parse(text).enabled == ALL_OPTIONAL
    text += "".join(f'{variable}=""\n' for variable, _ in SWITCHES.values())
    assert ProcessList.parse(text).enabled == frozenset()


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12),
        max_size=5,
    )
)
def test_a_process_list_written_is_read_the_same(values: dict[str, str]) -> None:
    assert ProcessList.parse(ProcessList(values).format()).values == values


@given(st.text(max_size=200))
def test_any_process_list_is_accepted(text: str) -> None:
    ProcessList.parse(ProcessList.parse(text).format())


@pytest.mark.parametrize(
    ("init_conf", "ossec_conf", "expected"),
    [
        ('DIRECTORY="/x"\nTYPE="agent"\n', "<remote>", Kind.AGENT),
        ("TYPE=server\n", "", Kind.SERVER),
        ('TYPE="other"\n', "<client>", Kind.AGENT),
        ("", "<!-- <client> --><remote>", Kind.SERVER),
        ("", "<!-- <client> !><global>", Kind.LOCAL),
    ],
)
def test_the_type_is_read_or_guessed(init_conf: str, ossec_conf: str, expected: Kind) -> None:
    assert guess_kind(init_conf, ossec_conf) is expected


RESPONSE = "<active-response><command>x</command></active-response>"
DISABLED = "<active-response>\n<disabled>yes</disabled></active-response>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<email_notification>yes</email_notification>", ""),
        ("<!-- <email_notification>yes</email_notification> -->", "maild"),
        ("<email_notification>yes</email_notification><email_notification>no</email_notification>", "maild"),
        ("", "maild"),
        (RESPONSE + DISABLED, "maild"),
        (DISABLED, "execd maild"),
        (DISABLED + f"<!-- {RESPONSE} -->", "execd maild"),
    ],
)
def test_a_daemon_with_nothing_to_do_is_switched_off(text: str, expected: str) -> None:
    assert switched_off(text) == set(names(expected))


@pytest.mark.parametrize(("home_type", "runs"), [(Kind.SERVER, True), (Kind.LOCAL, False)])
def test_monitord_runs_where_agents_are(home_type: Kind, runs: bool) -> None:
    roster = choose(home_type, exists=processes.available(home_type))
    assert ("ossec-monitord" in roster.start_order) == runs
    assert ("ossec-monitord" in roster.absent) == (not runs)
