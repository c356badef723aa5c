"""The daily log files: links, day change, a disk that is full."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ossec.analysisd.outputs import DayFile
from ossec.analysisd.statistics import Hour

DAY, NEXT = (2023, 11, 14), (2023, 11, 15)


def day_file(directory: Path, room: int = 1000) -> DayFile:
    return DayFile(directory, "alerts", "ossec-alerts", ".log", room)


def test_the_plain_name_is_the_same_file_as_todays(tmp_path: Path) -> None:
    file = day_file(tmp_path)
    file.open(DAY)
    file.write(b"one\n")
    file.write(b"two\n")
    file.flush()
    today = tmp_path / "2023" / "Nov" / "ossec-alerts-14.log"
    assert today.read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "alerts.log").samefile(today)
    assert today.stat().st_nlink == 2


def test_a_new_day_moves_the_link_and_keeps_the_old_file(tmp_path: Path) -> None:
    file = day_file(tmp_path)
    file.open(DAY)
    file.write(b"old\n")
    file.flush()
    file.open(NEXT)
    file.write(b"new\n")
    file.flush()
    assert (tmp_path / "2023/Nov/ossec-alerts-14.log").read_bytes() == b"old\n"
    assert (tmp_path / "alerts.log").read_bytes() == b"new\n"


def test_an_old_file_that_stayed_empty_goes(tmp_path: Path) -> None:
    file = day_file(tmp_path)
    file.open(DAY)
    file.open(NEXT)
    assert not (tmp_path / "2023/Nov/ossec-alerts-14.log").exists()


def test_a_start_on_the_same_day_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for text in (b"before\n", b"after\n"):
        file = day_file(tmp_path)
        file.open(DAY)
        file.write(text)
        file.close()
    assert (tmp_path / "alerts.log").read_bytes() == b"before\nafter\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def full_disk(directory: Path) -> Path:
    """Today's file, on a device that is always full."""
    path = directory / "2023/Nov/ossec-alerts-14.log"
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    return path


def test_a_full_disk_is_told_once_and_nothing_is_lost_that_has_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = full_disk(tmp_path)
    file = day_file(tmp_path)
    file.open(DAY)
    for number in range(5):
        file.write(b"alert %d\n" % number)
        file.flush()
    assert len(caplog.records) == 1
    assert file.waiting == 5 * len(b"alert 0\n")
    path.unlink()
    file.open(DAY)  # there is room again
    file.write(b"alert 5\n")
    file.flush()
    assert path.read_bytes() == b"".join(b"alert %d\n" % number for number in range(6))
    assert (file.waiting, file.lost) == (0, 0)
    assert len(caplog.records) == 2


def test_what_finds_no_room_is_counted(tmp_path: Path) -> None:
    full_disk(tmp_path)
    file = day_file(tmp_path, room=20)
    file.open(DAY)
    for _ in range(5):
        file.write(b"0123456789")
        file.flush()
    assert (file.lost, file.waiting) == (3, 20)


def test_an_hour_begins_and_ends_where_the_calendar_says() -> None:
    now = 1700000000
    hour = Hour(now)
    assert hour.start <= now < hour.end == hour.start + 3600
    assert time.localtime(hour.start).tm_min == 0
    assert Hour(hour.end).hour == time.localtime(hour.end).tm_hour
