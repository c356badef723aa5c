"""Our own decoders and rules against lines of real daemons, hostile text, and what OSSEC's rules said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.decoders import Decoder
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.event import Event
from ossec.analysisd.predecode import clean
from ossec.analysisd.rehearsal import differences
from ossec.analysisd.rule_loader import load_rules
from ossec.analysisd.ruletests import read_ini
from ossec.config import dialect
from tests.rules import hostile
from tests.rules.hostile import FORGED, REAL, REAL_V6, TEMPLATES, Template, render
from tests.rules.runner import ETC, Example, Judgement, Runner, families, load_engine, read_family, rule_files

UPSTREAM = Path(__file__).resolve().parents[2].parent / "shared" / "upstream"
EXAMPLES = [example for folder in families() for example in read_family(folder)]
OWN_IDS = range(200000, 1000000)  # rules that OSSEC does not have
PARITY = 0.98  # of the recorded lines; the rest are the deliberate differences of etc/


@pytest.fixture(scope="module")
def runner() -> Runner:
    engine, report = load_engine()
    assert not report.failed
    return Runner(engine)


@pytest.fixture(scope="module")
def judged(runner: Runner) -> list[tuple[Example, Judgement]]:
    return [(example, runner.run(example)) for example in EXAMPLES]


def test_decoders_and_rules_load_without_a_word() -> None:
    _, report = load_engine()
    assert report.lines == []
    assert report.notes == []


def test_the_list_names_every_rule_file_roots_first_local_rules_last() -> None:
    listed = rule_files()
    assert sorted(listed) == sorted(path.name for path in (ETC / "rules").glob("*.xml"))
    assert (listed[0], listed[-1]) == ("rules_config.xml", "local_rules.xml")


@pytest.mark.parametrize("family", [folder.name for folder in families()])
def test_each_example_is_judged_as_expected(family: str, judged: list[tuple[Example, Judgement]]) -> None:
    wrong = []
    for example, found in judged:
        if example.family != family:
            continue
        differing = differences(example, found)
        if differing or not example.compared.keys() >= {"rule", "level", "decoder", "fields"}:
            wrong.append(f"{example}: {example.line!r}\n  {differing}")
    assert not wrong, "\n".join(wrong)


def test_each_rule_has_an_example_where_it_decides(runner: Runner) -> None:
    shown = {example.expected["rule"] for example in EXAMPLES if example.expected is not None}
    assert [rule.id for rule in runner.engine.rules if not rule.noalert and rule.id not in shown] == []


def test_each_decoder_has_an_example_or_a_template(runner: Runner) -> None:
    report = Report()
    decoders = load_decoders([Source(ETC / "decoder.xml", "decoder.xml")], report)
    used = set()
    for line in [example.line for example in EXAMPLES if example.given is None] + [render(t) for t in TEMPLATES]:
        used |= _decoders_of(runner, line)
    every = {child.own_name for top in decoders.top for child in (top, *top.children)}
    assert sorted(every - used) == []


def _decoders_of(runner: Runner, line: bytes) -> set[str]:
    event = Event(b"1", b"/var/log/syslog", clean(line), 0.0)
    runner.engine.decode(event)
    return (
        set()
        if event.decoder is None
        else {event.decoder.name, event.decoder.own_name} | _children(event, event.decoder)
    )


def _children(event: Event, decoder: Decoder) -> set[str]:
    return {
        child.own_name for child in decoder.children if child.prematch is not None and child.prematch.test(event.log)
    }


def test_everyday_lines_stay_quiet(judged: list[tuple[Example, Judgement]]) -> None:
    benign = [(e, found) for e, found in judged if e.expected is not None and e.expected.get("benign")]
    benign += [(e, found) for e, found in judged if e.expected is None]
    assert {e.family for e, _ in benign} == {folder.name for folder in families()}
    assert [str(e) for e, found in benign if (found.level or 0) >= 5] == []


# --- what strangers write ---------------------------------------------------------------------------------------


def _check(runner: Runner, template: Template, line: bytes, address: str) -> str | None:
    """What is wrong about the address, if anything."""
    srcip = runner.judge(line).fields.get("srcip")
    if srcip == address or (srcip is None and not template.told):
        return None
    return f"{template.decoder}: {srcip!r} instead of {address!r} in {line!r}"


def test_no_text_of_a_stranger_changes_the_reported_address(runner: Runner) -> None:
    tried = 0
    wrong = []
    for template in TEMPLATES:
        address = REAL if "{address}" in template.text else ""
        for value in hostile.values(template):
            lines = [render(template, value, value)]
            if "{other}" in template.text:
                lines += [render(template, value), render(template, other=value)]
            for line in lines:
                tried += 1
                fault = _check(runner, template, line, address)
                if fault is not None:
                    wrong.append(fault)
        if address:
            line = render(template, f"x from {FORGED} port 22 ssh2", address=REAL_V6)
            fault = _check(runner, template, line, REAL_V6)
            if fault is not None and template.blanks:
                wrong.append(fault)
    print(f"\nhostile lines: {tried}, wrong addresses: {len(wrong)}")
    assert tried > 20_000
    assert not wrong, f"{len(wrong)} of {tried}\n" + "\n".join(wrong[:20])


def test_every_decoder_with_an_address_is_under_attack() -> None:
    attacked = {template.decoder for template in TEMPLATES if template.decoder is not None}
    reporting: set[str] = set()
    for node in dialect.read(ETC / "decoder.xml", variables=True):
        if any(child.name == "order" and "ip" in child.text for child in node.children):
            reporting.add(node.get("name") or "")
    assert sorted(reporting - attacked) == []


def test_no_text_of_a_stranger_hides_or_changes_what_happened(runner: Runner) -> None:
    wrong = []
    for template in TEMPLATES:
        if not template.strict:
            continue
        expected = runner.judge(render(template)).rule
        for value in hostile.values(template):
            found = runner.judge(render(template, value, value)).rule
            # a line over 1024 bytes is rule 1003 (level 13) wherever no rule of level 0 explains it; a login by a
            # name that was never seen is 10100
            if found not in (expected, 1003):
                wrong.append(f"{expected} became {found}: {render(template, value, value)!r}")
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:20])


_TOKENS = st.sampled_from(
    "from port ssh2 ssh2: user invalid [preauth] rhost= user=root ruser= for FOR failed by : ' \" ( ) [ ] , ; - via ID"
    f" {FORGED} [{FORGED}] ({FORGED}) rhost={FORGED} '{FORGED}' {FORGED}: 22 11: x Accepted Failed password".split(" ")
)


@settings(max_examples=400, deadline=None)
@given(template=st.sampled_from(TEMPLATES), words=st.lists(_TOKENS, max_size=14), glue=st.sampled_from([" ", ""]))
def test_no_mixture_of_words_changes_the_reported_address(template: Template, words: list[str], glue: str) -> None:
    runner = _shared_runner()
    value = glue.join(words)
    if not template.blanks:
        value = "".join(c for c in value if c.isalnum() or c in "._-@?") or "-"
    address = REAL if "{address}" in template.text else ""
    assert _check(runner, template, render(template, value, value, address=REAL), address) is None


_RUNNER: list[Runner] = []


def _shared_runner() -> Runner:
    if not _RUNNER:
        _RUNNER.append(Runner(load_engine()[0]))
    return _RUNNER[0]


# --- OSSEC's own rules on recorded lines ------------------------------------------------------------------------

needs_upstream = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="the recordings of OSSEC's own rules are not here")
DELIBERATE = {  # (OSSEC's rule, ours): why
    (None, 2830): "all of cron's lines belong to its group, silent; a job named 'failed' is no failure",
    (None, 5757): "the message also in its older spelling; silent",
    (None, 5555): "root changed somebody's password: shadow's words, level 3",
    (1002, 2103): "rpc.mountd as the program name, as it logs today",
    (1002, 40102): "found although the line is not valid UTF-8",
    (1002, None): "a word in somebody's prose, not a failure",
}


def _recorded() -> list[dict[str, Any]]:
    with (UPSTREAM / "logtest-samples.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@needs_upstream
def test_recorded_lines_get_the_same_rule_level_and_fields(runner: Runner) -> None:
    ours = {rule.id for rule in runner.engine.rules}
    total = same = 0
    differences = []
    for row in _recorded():
        rule = None if row["rule"] is None else int(row["rule"])
        if rule is not None and rule not in ours:
            continue  # a family that we do not have yet
        total += 1
        found = runner.judge(row["log"].encode("utf-8", "surrogateescape"))
        given = {name: row["fields"][name] for name in ("srcip", "dstuser") if rule and name in row["fields"]}
        fields = {name: found.fields.get(name) for name in given}
        if (found.rule, found.level, fields) == (rule, row["level"] if rule else None, given):
            same += 1
        else:
            differences.append((rule, found.rule, row["log"]))
    print(f"\nparity with OSSEC's rules on recorded lines: {same} of {total} ({100 * same / total:.2f} %)")
    for before, after, log in differences:
        print(f"  {before} -> {after}: {DELIBERATE.get((before, after), '?')}: {log[:100]}")
    assert same / total >= PARITY


FAMILIES = ("sshd", "pam", "su", "sudo", "syslog", "ossec", "systemd")


@needs_upstream
def test_ossecs_own_rule_tests_hold(runner: Runner) -> None:
    ours = {rule.id for rule in runner.engine.rules}
    total = 0
    wrong = []
    for name in FAMILIES:
        for example in read_ini(UPSTREAM / "ossec-testing" / f"{name}.ini"):
            if example.compared["rule"] not in ours:
                continue
            total += 1
            differing = differences(example, runner.run(example))
            if differing:
                wrong.append(f"{example} [{example.title}]: {differing}: {example.line!r}")
    print(f"\nOSSEC's own rule tests of these families: {total - len(wrong)} of {total}")
    assert not wrong, "\n".join(wrong)


@needs_upstream
def test_no_description_is_ossecs(runner: Runner) -> None:
    theirs = set()
    for path in (UPSTREAM / "etc" / "rules").glob("*.xml"):
        theirs |= {
            _words(text) for text in re.findall(r"<description>(.*?)</description>", path.read_text("latin-1"), re.S)
        }
    assert [rule.id for rule in runner.engine.rules if _words(rule.description or "") in theirs] == []


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


FACTS = (
    "level",
    "frequency",
    "timeframe",
    "ignore_time",
    "noalert",
    "maxsize",
    "if_sid",
    "if_group",
    "if_matched_sid",
    "same",
    "options",
    "category",
    "if_fts",
    "check_diff",
    "mail",
)
OTHERWISE = {  # (rule, fact): why ours differs
    (2932, "if_sid"): "2931 reads a Windows-like host name; our yum lines come by program",
    (2933, "if_sid"): "as 2932",
    (2934, "if_sid"): "as 2932",
    (40111, "same"): "without it a response hits whoever came last; many addresses are 200502",
    (2945, "groups"): "a message of rsyslog is not one of yum",
    (100001, "if_sid"): "the example of local_rules.xml is our own",
}


@needs_upstream
def test_rules_of_the_same_id_have_the_same_level_groups_and_numbers(runner: Runner) -> None:
    report = Report()
    etc = UPSTREAM / "etc"
    decoders = load_decoders([Source(etc / "decoder.xml", "decoder.xml")], report)
    names = re.findall(r"<include>(.*?)</include>", (etc / "ossec-server.conf").read_text("utf-8"))
    theirs = load_rules([Source(etc / "rules" / name, name) for name in names], report, decoders.keys())
    differences = []
    compared = 0
    for rule in runner.engine.rules:
        other = theirs.by_id.get(rule.id)
        if other is None:
            continue
        compared += 1
        facts = {name: (getattr(rule, name), getattr(other, name)) for name in FACTS}
        facts["groups"] = (set(rule.groups), set(other.groups))
        differences += [
            f"{rule.id} {name}: {ours!r} instead of {known!r}"
            for name, (ours, known) in facts.items()
            if ours != known and (rule.id, name) not in OTHERWISE
        ]
    print(f"\nrules of OSSEC's ids: {compared}")
    assert not differences, "\n".join(differences)


def test_ids_that_ossec_does_not_have_start_at_200000(runner: Runner) -> None:
    if UPSTREAM.is_dir():
        known = set()
        for path in (UPSTREAM / "etc" / "rules").glob("*.xml"):
            known |= {int(found) for found in re.findall(r'<rule id="(\d+)"', path.read_text("latin-1"))}
        assert [rule.id for rule in runner.engine.rules if rule.id not in known and rule.id not in OWN_IDS] == []
    assert all(rule.id < 10**6 for rule in runner.engine.rules)  # OSSEC reads six digits
