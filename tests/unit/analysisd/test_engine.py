"""State between events, diagnostics, plugins and matching that the recorded cases do not show."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from ossec.analysisd import cdb, plugins
from ossec.analysisd.diagnostics import LoadError, Report
from ossec.analysisd.engine import Verdict
from ossec.analysisd.event import Event
from ossec.analysisd.fts import SeenLines
from ossec.analysisd.stores import FileDiffs, FileLists, Stores
from ossec.layout import Layout
from tests.unit.analysisd.engine_support import DECODERS, feed, make_engine, make_event


def event_of(log: bytes) -> Event:
    return Event(b"1", b"x", log, 0.0)


def test_first_time_seen_is_written_once_and_known_after_a_restart(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.fts_dir.mkdir(parents=True)
    rules = '<rule id="100" level="8"><decoded_as>app</decoded_as><if_fts /><description>new</description></rule>'
    for expected in (100, None):
        engine = make_engine(tmp_path, rules, stores=Stores.in_home(layout, write=True))
        assert feed(engine, "login joe from 1.1.1.1")[0] == expected
    assert layout.fts_queue.read_bytes() == b"app  joe  1.1.1.1    \n"


def test_logtest_reads_the_files_and_writes_none(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.fts_dir.mkdir(parents=True)
    layout.fts_queue.write_bytes(b"app  joe  1.1.1.1    \n")
    rules = (
        '<rule id="100" level="8"><decoded_as>app</decoded_as><if_fts /><description>new</description></rule>'
        '<rule id="101" level="7"><match>df</match><check_diff /><description>diff</description></rule>'
    )
    engine = make_engine(tmp_path, rules, stores=Stores.in_home(layout, write=False))
    assert feed(engine, "login joe from 1.1.1.1")[0] is None
    assert feed(engine, "login ann from 1.1.1.1")[0] == 100
    assert [feed(engine, f"df {n}")[0] for n in (1, 1, 2)] == [None, None, 101]
    assert layout.fts_queue.read_bytes() == b"app  joe  1.1.1.1    \n"
    assert not layout.diff_dir.exists()


def test_check_diff_keeps_each_hosts_last_output(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    rules = '<rule id="101" level="7"><match>df</match><check_diff /><description>diff</description></rule>'
    engine = make_engine(tmp_path, rules, stores=Stores(diffs=FileDiffs(layout)))
    feed(engine, "df 1")
    event = make_event("df 2")
    assert engine.process(event) is Verdict.ALERT
    assert event.context == [b"Previous output:", b"df 1"]
    agent = make_event("df 3", location=b"(../../etc) 10.0.0.1->df")
    assert engine.process(agent) is Verdict.NONE
    assert sorted(path.relative_to(layout.diff_dir).as_posix() for path in layout.diff_dir.rglob("last-entry")) == [
        ".._.._etc/101/last-entry",
        "h1/101/last-entry",
    ]


def test_a_tuple_on_the_ignore_list_silences_the_rule(tmp_path: Path) -> None:
    rules = (
        '<rule id="100" level="5"><decoded_as>app</decoded_as><match>stop</match><ignore>user,srcip</ignore>'
        "<description>stop</description></rule>"
        '<rule id="101" level="4"><decoded_as>app</decoded_as><check_if_ignored>user,srcip</check_if_ignored>'
        "<description>more</description></rule>"
    )
    engine = make_engine(tmp_path, rules)
    assert feed(engine, "login joe from 1.1.1.1") == (101, Verdict.ALERT)
    assert feed(engine, "login joe from 1.1.1.1 stop") == (100, Verdict.ALERT)
    assert feed(engine, "login joe from 1.1.1.1") == (101, Verdict.IGNORED)
    assert feed(engine, "login ann from 1.1.1.1") == (101, Verdict.ALERT)


def test_seen_lines_forget_the_oldest() -> None:
    written: list[bytes] = []
    seen = SeenLines([b"a"], written.append, limit=2)
    assert [seen.add(line) for line in (b"a", b"b", b"c", b"a")] == [False, True, True, True]
    assert seen.forgotten == 2
    assert written == [b"b", b"c", b"a"]


def test_a_list_is_read_from_its_text_when_that_is_newer(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    text = layout.home / "lists" / "bad"
    text.parent.mkdir()
    text.write_bytes(b"1.1.1.1:old\n")
    compiled = text.with_name("bad.cdb")
    compiled.write_bytes(cdb.encode([(b"1.1.1.1", b"compiled")]))
    names = frozenset({"lists/bad"})
    assert FileLists(layout, names).find("lists/bad") == {b"1.1.1.1": b"compiled"}
    stale = text.stat().st_mtime - 100
    os.utime(compiled, (stale, stale))
    assert FileLists(layout, names).find("lists/bad") == {b"1.1.1.1": b"old"}
    assert FileLists(layout, names, compat=True).find("lists/bad") == {b"1.1.1.1": b"compiled"}
    compiled.write_bytes(b"garbage")
    assert FileLists(layout, names, compat=True).find("lists/bad") is None


def test_every_mistake_is_told_and_the_first_in_ossecs_words(tmp_path: Path) -> None:
    report = Report()
    bad = (
        '<rule id="100" level="5"><mtach>a</mtach></rule>\n'
        '<rule id="101" level="5"><regex>a(</regex></rule>\n'
        '<rule id="102" level="5"><if_sid>100</if_sid><match>hangs on a refused rule</match></rule>\n'
        '<rule id="103" level="high"><match>a</match></rule>'
    )
    with pytest.raises(LoadError):
        make_engine(tmp_path, bad, report=report)
    assert report.lines == [
        "ossec-analysisd: Invalid option 'mtach' for rule '100'.",
        "ossec-analysisd(1220): ERROR: Error loading the rules: 'rules.xml'.",
    ]
    assert [(note.line, note.message) for note in report.notes] == [
        (3, "rule 100: unknown element <mtach>, did you mean match?"),
        (
            4,
            "rule 101: <regex> cannot be used: Syntax error on regex: 'a(': 6. ("
            + report.notes[1].message.split("(")[-1],
        ),
        (6, "level wants a number, got 'high'"),
    ]


def test_what_ossec_swallows_is_warned_of(tmp_path: Path) -> None:
    report = Report()
    rules = (
        '<rule id="100" level="0"><match>a</match><description>x</description></rule>\n'
        '<rule id="101" level="20"><match>b</match><description>x</description></rule>\n'
        '<rule id="102" level="5" frequency="1"><if_matched_sid>100</if_matched_sid><different_srcip />'
        "<description>x</description></rule>\n"
        '<rule id="103" level="6"><if_sid>101</if_sid><description>always</description></rule>\n'
        '<rule id="104" level="5"><if_sid>101</if_sid><match>c</match><description>x</description></rule>\n'
        '<rule id="105" level="5" frequency="1"><if_matched_sid>102</if_matched_sid>'
        "<description>x</description></rule>\n"
    )
    make_engine(tmp_path, rules, report=report)
    assert not report.failed
    told = "\n".join(str(note) for note in report.notes)
    for expected in (
        "levels go up to 16",
        "different_srcip",
        "level 0, whose events are not kept",
        "rules.xml:7: rule 104: it is never tried below 101, for rule 103 always holds before it",
        "rules.xml:8: rule 105: its level must be above that of the composite rule 102",
    ):
        assert expected in told


def test_a_time_that_ossec_reads_otherwise_is_warned_of(tmp_path: Path) -> None:
    report = Report()
    texts = ("12 am - 1 am", "!23:00-1:00", "9-17", "18:00-8:30")
    rules = "\n".join(
        f'<rule id="{100 + number}" level="5"><time>{text}</time><description>x</description></rule>'
        for number, text in enumerate(texts)
    )
    make_engine(tmp_path, rules, report=report)
    assert [str(note).partition("rules.xml:")[2] for note in report.notes] == [
        "3: rule 100: <time> '12 am - 1 am' is read as 00:00 to 01:00, by OSSEC as all but 01:00 to 12:00",
        "4: rule 101: <time> '!23:00-1:00' is read as 01:00 to 23:00, by OSSEC as all but 01:00 to 23:00",
    ]


def test_a_pattern_that_backtracks_does_not_stall(tmp_path: Path) -> None:
    rules = (
        '<rule id="100" level="5"><pcre2>(a+)+b</pcre2><description>x</description></rule>'
        r'<rule id="101" level="5"><pcre2>(?=(a|aa)+$)(a|aa)+$c</pcre2><description>x</description></rule>'
    )
    engine = make_engine(tmp_path, rules)
    started = time.process_time()
    for _ in range(20):
        feed(engine, "a" * 5000 + "!")
    assert time.process_time() - started < 5


def test_json_becomes_dynamic_fields(tmp_path: Path) -> None:
    decoders = DECODERS + (
        '<decoder name="json"><prematch>^{</prematch><plugin_decoder>JSON_Decoder</plugin_decoder>'
        "<order>srcip=a.ip, user=l.1</order></decoder>"
    )
    rules = (
        '<rule id="100" level="5"><decoded_as>json</decoded_as><field name="a.B">^x$</field>'
        '<field name="l.1">two</field><srcip>10.0.0.0/8</srcip><user>two</user><description>x</description></rule>'
    )
    engine = make_engine(tmp_path, rules, decoders)
    event = event_of(rb'{"a": {"b": "x", "n": null, "ip": "10.1.1.1"}, "l": [1, "two"], "t": true}')
    assert engine.process(event) is Verdict.ALERT
    assert (event.srcip, event.dstuser) == (b"10.1.1.1", b"two")
    assert event.fields == {"a.b": b"x", "a.n": b"null", "a.ip": b"10.1.1.1", "l.0": b"1", "l.1": b"two", "t": b"true"}


@pytest.mark.parametrize(
    ("log", "fields"),
    [
        (b'{"a": {"b": 1, "c": "' + b"x" * 6000, {"a.b": b"1", "a.c": b"x" * 6000}),
        (b'{"a": [1, "y\\u00', {"a.0": b"1", "a.1": b"y"}),
        (b'{"a": "y\\', {"a": b"y"}),
        (b'{"a": {"b": 1}, "c": {"d": 2, "e', {"a.b": b"1", "c.d": b"2"}),
        (b'{"a": {"b": 1}', {"a.b": b"1"}),
        (b'{"a": 1, "b": 22', {"a": b"1"}),  # it may have been 223
        (b'{"a": 1, "b', {"a": b"1"}),
        (b'{"a": 1 nonsense "b": 2, "c": 3', None),
        (b'{"a"' + b": [" * 3000, None),
        (b"{" * 6000, None),
        (b"{", None),
        (b'{"a": 1}}}', {"a": b"1"}),
    ],
)
def test_json_that_was_cut_gives_what_is_there(log: bytes, fields: dict[str, bytes] | None) -> None:
    event = event_of(log)
    plugins.decode_json(event)
    assert event.fields == fields


@pytest.mark.parametrize(
    ("log", "fields"),
    [
        (
            b"id=firewall pri=6 c=64 m=36 src=2.2.2.2:36701:WAN dst=1.1.1.1:53:WAN proto=udp/53",
            {"type": "firewall", "action": b"drop", "srcip": b"2.2.2.2", "srcport": b"36701", "dstip": b"1.1.1.1",
             "dstport": b"53", "protocol": b"udp", "status": b"6", "id": b"36"},
        ),
        (b"id=firewall pri=1 c=32 m=30 src=2.2.2.2::WAN", {"type": "ids", "srcip": b"2.2.2.2", "srcport": None}),
        (
            b"id=firewall pri=6 c=1024 m=97 result=200 dstname=www.x.com arg=/index.html",
            {"type": "squid", "id": b"200", "url": b"www.x.com/index.html"},
        ),
        (b"id=firewall nothing", {"type": "syslog", "srcip": None}),
    ],
)  # fmt: skip
def test_sonicwall_is_taken_apart(log: bytes, fields: dict[str, object]) -> None:
    event = event_of(log)
    plugins.decode_sonicwall(event)
    assert {name: getattr(event, name) for name in fields} == fields


def test_the_quick_walk_agrees_with_the_full_one_on_random_lines(tmp_path: Path) -> None:
    words = ["failed", "login", "root", "deny", "error", "x", "accepted", "admin", "é", "\u212aernel", "from 1.1.1.1"]
    chooser = random.Random(5)
    rules = []
    for number in range(200):
        kind = chooser.choice(["match", "regex", "pcre2", "id", "program_name"])
        word = chooser.choice(words) + chooser.choice(["", " ", "|" + chooser.choice(words)])
        parent = chooser.choice([100_000 + n for n in range(number)] or [1])
        noalert = chooser.choice(("", 'noalert="1"'))
        rules.append(
            f'<rule id="{100_000 + number}" level="{chooser.randint(0, 12)}" {noalert}>'
            f"<if_sid>{parent}</if_sid><{kind}>{word}</{kind}><description>x</description></rule>"
        )
    rules.append('<rule id="200000" level="3"><description>x</description><match>x</match></rule>')
    quick, full = (make_engine(tmp_path, "\n".join(rules)) for _ in range(2))
    for _ in range(1000):
        log = " ".join(chooser.choices(words, k=chooser.randint(0, 6)))
        program = chooser.choice(["app", "root", "kernel", "failed"])
        line = f"Nov 14 22:13:20 h1 {program}: {log}".encode()
        event, twin = event_of(line), event_of(line)
        quick.process(event)
        full.decode(twin)
        full.judge_traced(twin, lambda step, rule, element: None)
        assert (event.rule and event.rule.id) == (twin.rule and twin.rule.id), line
