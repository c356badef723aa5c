"""Events per hour and what is learned from them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ossec.analysisd.statistics import Averages, Learned, Limits, Statistics, learn, totals_path

TUESDAY = 1700000000  # 2023-11-14 22:13:20 UTC
LIMITS = Limits(maxdiff=1000, mindiff=10, percent_diff=5)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def learned(days: int, average: int) -> Learned:
    hours = [0] * 24
    hours[22] = average
    return Learned(hourly=Averages(hours, days))


def run(statistics: Statistics, events: int) -> list[str]:
    return [statistics.tell() for _ in range(events) if statistics.count()]


def test_the_21st_event_is_too_many_where_10_are_usual() -> None:
    told = run(Statistics(learned(3, 10), LIMITS, TUESDAY), 40)
    assert told == ["The average number of logs between 22:00 and 23:00 is 10. We reached 21."]


def test_a_weekday_has_an_average_of_its_own() -> None:
    known = learned(3, 5000)
    known.weekly[2] = Averages([0] * 22 + [10, 0], 3)
    told = run(Statistics(known, LIMITS, TUESDAY), 40)
    assert told == ["The average number of logs between 22:00 and 23:00 on Tuesday is 10. We reached 21."]


@pytest.mark.parametrize(("days", "enabled"), [(2, True), (3, False)])
def test_nothing_is_told_before_enough_is_known_or_when_off(days: int, enabled: bool) -> None:
    assert run(Statistics(learned(days, 10), LIMITS, TUESDAY, enabled=enabled), 100) == []


def test_an_hour_leaves_its_totals() -> None:
    statistics = Statistics(Learned(), LIMITS, TUESDAY)
    run(statistics, 2)
    statistics.syscheck += 1
    where = totals_path(statistics.hour)
    files = statistics.roll(TUESDAY + 3600, [(100201, 5, 1)])
    assert where == ("totals", "2023", "Nov", "ossec-totals-14.log")
    assert files == {where: "22-100201-5-1\n22--1--2--1--0\n\n"}


def test_a_day_is_learned_also_after_a_silence_of_24_hours() -> None:
    statistics = Statistics(Learned(), LIMITS, TUESDAY)
    run(statistics, 2)
    files = statistics.roll(TUESDAY + 86400, [])
    assert files["hourly-average", "22"] == "22"
    assert files["hourly-average", "24"] == "1"
    assert files["weekly-average", "2", "22"] == "22"
    assert files["totals", "2023", "Nov", "ossec-totals-14.log"].endswith(
        "Hour totals - 23:0\nTotal events for day:2\n"
    )


def test_what_was_written_is_what_is_read() -> None:
    statistics = Statistics(Learned(), LIMITS, TUESDAY)
    run(statistics, 2)
    files = statistics.roll(TUESDAY + 86400, [])
    known = learn(files)
    assert (known.hourly.hours[22], known.hourly.days, known.weekly[2].days) == (22, 1, 1)


def test_garbage_in_the_files_counts_as_nothing() -> None:
    known = learn({("hourly-average", "22"): "many", ("hourly-average", "x"): "1", ("weekly-average", "9", "1"): "1"})
    assert known == Learned()
