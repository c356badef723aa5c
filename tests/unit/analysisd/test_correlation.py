"""Composite rules by windows, the default: what OSSEC's marks get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from ossec.analysisd.engine import Engine, EngineOptions, Verdict
from tests.unit.analysisd.engine_support import feed, make_engine, make_event

FAILED = (
    '<rule id="100" level="5"><decoded_as>app</decoded_as><match>^login</match><description>failed</description></rule>'
)
BRUTE = (
    '<rule id="110" level="10" frequency="{}" timeframe="{}"><if_matched_sid>100</if_matched_sid>{}'
    "<description>many</description></rule>"
)


def brute(folder: Path, frequency: int = 2, timeframe: int = 60, same: str = "<same_source_ip />") -> Engine:
    return make_engine(folder, FAILED + BRUTE.format(frequency, timeframe, same))


@pytest.mark.parametrize("frequency", [0, 1, 2, 6])
@pytest.mark.parametrize("compat", [False, True])
def test_frequency_n_fires_on_event_n_plus_2_and_again_after_as_many(
    tmp_path: Path, frequency: int, compat: bool
) -> None:
    rules = FAILED + BRUTE.format(frequency, 60, "")
    engine = make_engine(tmp_path, rules, options=EngineOptions(compat=compat))
    fired = [n for n in range(1, 3 * (frequency + 2) + 1) if feed(engine, f"login a from 1.1.1.1 {n}", n)[0] == 110]
    assert fired == [frequency + 2, 2 * (frequency + 2), 3 * (frequency + 2)]


def test_one_attackers_alert_does_not_hide_anothers(tmp_path: Path) -> None:
    engine = brute(tmp_path)
    for number in range(3):  # both are one event short of an alert
        feed(engine, f"login a from 1.1.1.1 {number}")
        feed(engine, f"login a from 2.2.2.2 {number}")
    assert feed(engine, "login a from 1.1.1.1 3")[0] == 110
    assert feed(engine, "login a from 2.2.2.2 3")[0] == 110


def test_events_that_made_an_alert_are_used_up_for_rules_of_the_same_level(tmp_path: Path) -> None:
    by_user = BRUTE.format(2, 60, "<same_user />").replace('id="110"', 'id="111"')
    engine = make_engine(tmp_path, FAILED + BRUTE.format(2, 60, "<same_source_ip />") + by_user)
    fired = [feed(engine, f"login joe from 1.1.1.1 {number}")[0] for number in range(8)]
    assert fired == [100, 100, 100, 110, 100, 100, 100, 110]


def test_a_rule_of_a_higher_level_still_counts_used_events(tmp_path: Path) -> None:
    higher = BRUTE.format(4, 60, "").replace('id="110" level="10"', 'id="112" level="12"')
    engine = make_engine(tmp_path, FAILED + BRUTE.format(1, 60, "") + higher)
    fired = [feed(engine, f"login joe from 1.1.1.1 {number}")[0] for number in range(8)]
    # 110 takes events 3 and 6 of those that 100 would have had; 112 counts what ended in 100 all the same
    assert fired == [100, 100, 110, 100, 100, 110, 100, 112]


def test_an_event_as_old_as_the_timeframe_counts_and_an_older_one_does_not(tmp_path: Path) -> None:
    engine = brute(tmp_path, frequency=0)
    assert [feed(engine, "login a from 1.1.1.1", time)[0] for time in (0, 60)] == [100, 110]
    assert [feed(engine, "login a from 1.1.1.1", time)[0] for time in (200, 260.5)] == [100, 100]


def test_a_missing_value_never_counts(tmp_path: Path) -> None:
    engine = brute(tmp_path, frequency=0)
    assert [feed(engine, "login")[0] for _ in range(4)] == [100] * 4


def test_context_shows_the_newest_first_and_no_more_than_eleven(tmp_path: Path) -> None:
    engine = brute(tmp_path, frequency=20)
    for number in range(21):
        feed(engine, f"login a from 1.1.1.1 {number}")
    event = make_event("login a from 1.1.1.1 last")
    engine.process(event)
    assert event.rule is not None
    assert event.rule.id == 110
    assert [line.rsplit(b" ", 1)[1] for line in event.context] == [b"%d" % n for n in range(20, 9, -1)]


def test_memory_is_bounded_and_says_when_it_forgot(tmp_path: Path) -> None:
    engine = make_engine(
        tmp_path, FAILED + BRUTE.format(2, 600, "<same_source_ip />"), options=EngineOptions(memory_size=2048)
    )
    for number in range(5000):
        feed(engine, f"login a from 10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert engine.forgotten == 5000 - 2048
    assert len(list(engine.memory.remembered())) == 2048
    for number in range(3):
        assert feed(engine, f"login a from 9.9.9.9 {number}")[0] == 100
    assert feed(engine, "login a from 9.9.9.9 3")[0] == 110


def test_what_is_too_old_to_count_is_not_kept(tmp_path: Path) -> None:
    engine = brute(tmp_path, timeframe=60)
    for second in range(500):
        feed(engine, f"login a from 1.1.1.{second % 250}", second)
    assert len(list(engine.memory.remembered())) == 61
    assert engine.forgotten == 0


def test_a_reload_keeps_counting_and_silence(tmp_path: Path) -> None:
    silent = '<rule id="120" level="7" ignore="60"><match>hush</match><description>x</description></rule>'
    rules = FAILED + BRUTE.format(2, 60, "<same_source_ip />") + silent
    old = make_engine(tmp_path, rules)
    for number in range(3):
        feed(old, f"login a from 1.1.1.1 {number}")
    assert feed(old, "hush") == (120, Verdict.ALERT)
    new = make_engine(
        tmp_path, rules + '<rule id="130" level="3"><match>new</match><description>n</description></rule>'
    )
    new.adopt(old)
    assert feed(new, "hush", 1) == (120, Verdict.IGNORED)
    assert feed(new, "login a from 1.1.1.1 3", 1) == (110, Verdict.ALERT)
    assert new.rules.by_id[100].firedtimes == 3


def test_ignored_and_silent_events_are_not_remembered(tmp_path: Path) -> None:
    quiet = FAILED.replace('level="5"', 'level="5" ignore="100"')
    engine = make_engine(tmp_path, quiet + BRUTE.format(0, 60, ""))
    assert [feed(engine, f"login a from 1.1.1.1 {n}")[0] for n in range(2)] == [100, 110]
    engine.start_afresh()
    assert feed(engine, "login a from 1.1.1.1")[1] is Verdict.ALERT
    assert len(list(engine.memory.remembered())) == 1
