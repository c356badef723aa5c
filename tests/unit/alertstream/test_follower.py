"""The follower over real files: nothing lost, nothing twice."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.alertstream import Entry, Follower, Position, PositionFile
from ossec.alertstream.position import BadPosition
from ossec.layout import Layout

DAY10, DAY11, DAY12 = date(2026, 11, 10), date(2026, 11, 11), date(2026, 11, 12)


def text(number: int) -> bytes:
    head = b"** Alert 1795319371.%d: mail  - g,\n2026 Nov 22 03:51:40 host->/var/log/x\n" % number
    return head + b"Rule: 1 (level 2) -> 'c'\nlog %d\n\n" % number


class Home:
    """Alert files, and a follower with a clock that the test sets."""

    def __init__(self, home: Path) -> None:
        self.layout = Layout(home)
        self.today = DAY10
        self.follower = self.start(None)

    def start(self, position: Position | None) -> Follower:
        self.follower = Follower(self.layout, position, lambda: self.today)
        return self.follower

    def write(self, day: date, *numbers: int) -> None:
        self.append(day, b"".join(text(number) for number in numbers))

    def append(self, day: date, data: bytes) -> None:
        path = self.layout.alerts_of(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as out:
            out.write(data)

    def read(self) -> list[int]:
        return [number for number, _ in self.entries()]

    def entries(self) -> list[tuple[int, Entry]]:
        found: list[Entry] = []
        while entries := self.follower.read():
            found += entries
        return [(int(entry.record.id.partition(b".")[2]), entry) for entry in found]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_the_first_start_begins_at_the_end_of_what_is_there(home: Home) -> None:
    home.write(DAY10, 1)
    home.start(None)
    assert home.read() == []
    home.write(DAY10, 2)
    assert home.read() == [2]


def test_a_file_that_comes_late_is_read_from_its_beginning(home: Home) -> None:
    """reader_losses.json, file_created_late_and_split_write: OSSEC delivers the last of three."""
    assert home.read() == []
    home.write(DAY10, 1)
    assert home.read() == [1]
    home.append(DAY10, text(2)[:70])
    assert home.read() == []
    home.append(DAY10, text(2)[70:])
    assert home.read() == [2]
    home.write(DAY10, 3)
    assert home.read() == [3]


def test_midnight_loses_nothing(home: Home) -> None:
    """reader_losses.json, midnight: OSSEC loses the third."""
    home.write(DAY10, 1)
    assert home.read() == [1]
    home.write(DAY10, 2)
    home.today = DAY11
    home.write(DAY11, 3)
    assert home.read() == [2, 3]
    home.write(DAY11, 4)
    assert home.read() == [4]


def test_what_is_unfinished_at_midnight_is_delivered_with_the_day(home: Home) -> None:
    home.append(DAY10, text(1)[:-1])
    assert home.read() == []
    home.write(DAY11, 2)
    home.today = DAY11
    found = home.entries()
    assert [number for number, _ in found] == [1, 2]
    home.start(found[0][1].position)
    assert home.read() == [2]


def test_a_restart_goes_on_behind_each_entry(home: Home) -> None:
    home.write(DAY10, 1, 2, 3)
    home.write(DAY11, 4, 5)
    home.today = DAY12
    home.start(Position(DAY10))
    entries = home.entries()
    assert [number for number, _ in entries] == [1, 2, 3, 4, 5]
    for number, entry in entries:
        home.start(Position.decode(entry.position.encode()))
        assert home.read() == list(range(number + 1, 6))


def test_a_compressed_day_is_read_on(home: Home) -> None:
    home.write(DAY10, 1, 2)
    home.start(Position(DAY10))
    first = home.entries()[0][1]
    plain = home.layout.alerts_of(DAY10)
    plain.with_name(plain.name + ".gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    home.write(DAY12, 3)
    home.today = DAY12
    home.start(first.position)
    assert home.read() == [2, 3]


def test_a_day_compressed_while_it_is_open_is_read_to_its_end(home: Home) -> None:
    home.write(DAY10, 1)
    home.start(Position(DAY10))
    assert home.read() == [1]
    home.write(DAY10, 2)
    home.layout.alerts_of(DAY10).unlink()
    home.write(DAY11, 3)
    home.today = DAY11
    assert home.read() == [2, 3]


@pytest.mark.parametrize("restart", [False, True])
def test_another_file_in_its_place_is_read_from_its_beginning(home: Home, restart: bool) -> None:
    home.write(DAY10, 1, 2)
    home.start(Position(DAY10))
    position = home.entries()[-1][1].position
    home.layout.alerts_of(DAY10).unlink()
    home.write(DAY10, 11, 12, 13)
    if restart:
        home.start(position)
    assert home.read() == [11, 12, 13]


def test_a_truncated_file_is_read_from_its_beginning(home: Home) -> None:
    home.write(DAY10, 1, 2)
    home.start(Position(DAY10))
    assert home.read() == [1, 2]
    home.layout.alerts_of(DAY10).write_bytes(text(3))
    assert home.read() == [3]


def test_a_clock_that_is_set_back_over_midnight_and_comes_again(home: Home) -> None:
    home.write(DAY10, 1)
    home.start(Position(DAY10))
    home.write(DAY11, 2)
    home.today = DAY11
    assert home.read() == [1, 2]
    home.today = DAY10
    home.write(DAY10, 3)
    assert home.read() == [3]
    home.today = DAY11
    home.write(DAY11, 4)
    assert home.read() == [4]


def test_going_back_to_a_position_reads_again_from_there(home: Home) -> None:
    home.write(DAY10, 1, 2, 3)
    home.start(Position(DAY10))
    entries = home.entries()
    home.follower.seek(entries[0][1].position)
    assert home.read() == [2, 3]


def test_a_position_is_kept_on_disk(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "reader")
    assert file.load() is None
    file.save(Position(DAY10, 5, 7))
    assert PositionFile(tmp_path / "reader").load() == Position(DAY10, 5, 7)
    (tmp_path / "reader").write_bytes(b"torn")
    with pytest.raises(BadPosition):
        PositionFile(tmp_path / "reader").load()


@given(
    st.builds(
        Position,
        st.dates(),
        st.integers(0, 10**18 - 1),
        st.integers(0, 2**32 - 1),
        st.lists(st.tuples(st.dates(), st.integers(0, 10**18 - 1)), max_size=3).map(tuple),
    )
)
def test_positions_come_back(position: Position) -> None:
    assert Position.decode(position.encode()) == position
