"""Decoders, rules and correlation against what OSSEC's logtest said in 312 recorded cases."""

import re
from pathlib import Path
from typing import Any

import pytest

from ossec.analysisd.event import Event
from tests.vectors.analysis.support import cases, load, raw, run, shown

CASES = {case["name"]: case for case in cases()}

# What we do differently on purpose, whatever the switch; each is a line of docs/differences.
DIFFERENT = {
    "dec-load-only-pname-decoders": "decoded_as works although no decoder is without program name",
    "dec-too-many-groups": "captures beyond decoder_order_size do not end the program",
    "invalid-utf8": "a byte that is not UTF-8 does not switch matching off",
    "regex-long-log": "a long run does not switch matching off",
    "weekday-syntax-01": "! before days works",
    "weekday-syntax-02": "! before days works",
    "weekday-syntax-03": "any beginning of a day's name from three letters on is the day",
}
# What only analysisd.ossec_compat=1 brings back.
COMPAT_ONLY = {
    "composite-group-multi-parent": "an event counts once, wherever its rule stands",
    "composite-max-list": "a frequency above sid_prev_matched_max works",
    "time": "12 am is midnight",
    "time-syntax-15": "a range over midnight can be negated",
    "list-three": "all lists of a rule are tested",
    "list-uncompiled": "a text list works without its .cdb; a missing list matches nothing",
    **dict.fromkeys(
        ("same-group-search", "same_id", "same_location", "same_source_ip", "same_src_port", "same_user"),
        "firing for one value leaves the others' windows as they are",
    ),
}
# OSSEC's time and day messages quote what was left to read when it gave up; ours quote the whole value.
QUOTING = re.compile(r"^ossec-testrule\((1240|1241)\)")


def check(case: dict[str, Any], home: Path, *, compat: bool) -> None:
    loaded = run(case, home, compat=compat)
    expected = [
        line for line in case["load_messages"] if "Reading local decoder" not in line and not QUOTING.match(line)
    ]
    assert [line for line in loaded.report.lines if not QUOTING.match(line)] == expected
    assert (loaded.error is None) == (case["exit_code"] == 0)
    for recorded, result in zip(case["events"], loaded.results, strict=False):
        if recorded["hostname"] is None:
            continue  # a line of one byte, which logtest passes over
        got = shown(*result)
        assert got == {key: recorded[key] for key in got}, f"event {recorded['n']}"


@pytest.mark.parametrize("name", [name for name in CASES if name not in DIFFERENT])
def test_the_case_goes_as_recorded_under_ossec_compat(name: str, tmp_path: Path) -> None:
    check(CASES[name], tmp_path, compat=True)


@pytest.mark.parametrize("name", [name for name in CASES if name not in {**DIFFERENT, **COMPAT_ONLY}])
def test_the_case_goes_as_recorded_by_default(name: str, tmp_path: Path) -> None:
    check(CASES[name], tmp_path, compat=False)


@pytest.mark.parametrize(("name", "compat"), [(n, True) for n in DIFFERENT] + [(n, False) for n in COMPAT_ONLY])
def test_a_listed_difference_is_one(name: str, compat: bool, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(CASES[name], tmp_path, compat=compat)


def test_every_refused_file_is_told_with_its_line(tmp_path: Path) -> None:
    for name, case in CASES.items():
        loaded = load(case, tmp_path / name, compat=False)
        if loaded.error is not None:
            assert loaded.error.path, name
            assert loaded.error.line or name in ("xml-empty-file", "xml-only-var"), name


def test_the_quick_walk_and_the_full_walk_agree(tmp_path: Path) -> None:
    for name, case in CASES.items():
        quick, full = (load(case, tmp_path / kind / name, compat=True).engine for kind in ("quick", "full"))
        if quick is None or full is None:
            continue
        for recorded in case["events"]:
            event, twin = (Event(b"1", b"stdin", raw(recorded["input"]), float(recorded["time"])) for _ in range(2))
            quick.process(event)
            full.decode(twin)
            full.accumulate(twin)
            full.judge_traced(twin, lambda step, rule, element: None)
            assert (event.rule and event.rule.id) == (twin.rule and twin.rule.id), f"{name} {recorded['input']!r}"
