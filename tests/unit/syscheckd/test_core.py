"""The parts of syscheckd that need no file: when, what, and how it is said."""

from __future__ import annotations

import calendar
import itertools
import time
from collections.abc import Iterator

import pytest

from ossec.config import times
from ossec.config.model import Check, Directory, Exclusion, Syscheck
from ossec.messages import syscheck
from ossec.messages.syscheck import BadFileMessage, FileMessage
from ossec.syscheckd import differences, sums, walk
from ossec.syscheckd.entries import Policy
from ossec.syscheckd.examine import Finding, Outcome, Request
from ossec.syscheckd.ledger import Item, Ledger, Marks
from ossec.syscheckd.realtime import LONGEST, MAX_PATHS, QUIET, Pending
from ossec.syscheckd.schedule import WEEK, Schedule

NOW = float(calendar.timegm((2026, 11, 22, 6, 0, 0)))  # a Sunday


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# when


def test_a_scan_is_due_after_the_frequency_and_when_asked_for() -> None:
    schedule = Schedule(600, None, None, NOW)
    assert not schedule.due(NOW + 600)
    assert schedule.due(NOW + 601)
    schedule.ended(NOW + 700)
    assert not schedule.due(NOW + 1300)
    schedule.ask()
    assert schedule.due(NOW + 1300)
    assert not schedule.due(NOW + 1300)


@pytest.mark.parametrize(
    "scan_time, scan_day, due_after",
    [
        ("9:30", None, 3.5),  # today
        ("5:00", None, 23),  # passed at the start: tomorrow
        (None, "monday", 18),
        ("9pm", "tue,thu", 2 * 24 + 15),
        ("5:30", "sunday", None),  # next week the frequency is up first: a week after the last scan
    ],
)
def test_a_scan_is_due_at_its_time_on_its_day(
    scan_time: str | None, scan_day: str | None, due_after: float | None
) -> None:
    schedule = Schedule(
        600,
        times.parse_time(scan_time) if scan_time else None,
        times.parse_days(scan_day) if scan_day else None,
        NOW,
    )
    assert schedule.frequency == WEEK
    due = [half / 2 for half in range(1, 6 * 48) if schedule.due(NOW + half * 1800)]
    assert due[:1] == ([due_after] if due_after is not None else [])
    if scan_day is None:
        assert due == [due_after + 24 * day for day in range(len(due))]  # type: ignore[operator]


# what


def make_policy(*directories: Directory, ignore: tuple[Exclusion, ...] = ()) -> Policy:
    return Policy.make(Syscheck(directories=directories, ignore=ignore), lambda pattern: [f"{pattern[:-1]}1"])


def test_a_file_belongs_to_the_first_entry_that_covers_it() -> None:
    policy = make_policy(
        Directory(path="/etc/ssh", checks=Check.ALL, restrict="_config$"),
        Directory(path="/etc/", checks=Check.SIZE, recurse=False),
        Directory(path="/etc/ssl*", checks=Check.MD5),
        Directory(path="/opt/tool.conf", checks=Check.ALL),
        ignore=(Exclusion("/ETC/mtab"), Exclusion(""), Exclusion(".swp$", True)),
    )
    owners = {
        b"/etc/ssh/sshd_config": 0,
        b"/etc/ssh/moduli": None,  # not what the first is restricted to, and the second does not go down
        b"/etc/passwd": 1,
        b"/etc/ssl1/cert": 2,
        b"/opt/tool.conf": 3,
        b"/opt/tool.conf2": None,
        b"/etc/mtab": None,
        b"/etc/mtab.old": None,
        b"/etc/.passwd.swp": None,
    }
    for path, number in owners.items():
        owner = policy.owner(path)
        assert (owner and owner.number) == number, path


class Table:
    """Memory as a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[int, bytes]] = {}

    def look(self, paths: list[bytes]) -> dict[bytes, tuple[int, bytes]]:
        return {path: self.rows[path] for path in paths if path in self.rows}

    def add(self, path: bytes, text: bytes) -> int:
        self.rows[path] = len(self.rows) + 1, text
        return len(self.rows)

    def update(self, row: int, text: bytes) -> None:
        (path,) = (one for one, (number, _) in self.rows.items() if number == row)
        self.rows[path] = row, text

    def remove(self, path: bytes) -> None:
        del self.rows[path]


def test_the_ledger_tells_what_is_new_changed_and_gone() -> None:
    policy = make_policy(Directory(path="/etc", checks=Check.ALL, report_changes=True))
    table = Table()
    sent: list[bytes] = []
    again: list[bytes] = []
    forgotten: list[bytes] = []
    ledger = Ledger(policy, table, sent.extend, again.append, forgotten.append)  # type: ignore[arg-type]
    item = Item(b"/etc/a", policy.entries[0])

    def look(finding: Finding, final: bool = True) -> list[bytes]:
        (request,), (row,) = ledger.ask([item], False)
        ledger.hear(request, row, finding, final)
        ledger.end_batch()
        said = list(sent)
        sent.clear()
        return said

    one, two = b"1:33188:0:0:m:s:a", b"2:33188:0:0:m:s:b"
    assert look(Finding(Outcome.TOLD, one)) == [b"8:syscheck:" + one + b" /etc/a\0"]
    assert ledger.ask([item], True) == ([Request(b"/etc/a", one, 127, 5)], [1])
    assert look(Finding(Outcome.SAME)) == []
    assert look(Finding(Outcome.TOLD, two, b"1c1\n")) == [b"8:syscheck:" + two + b" /etc/a\n1c1\n\0"]
    assert look(Finding(Outcome.UNREADABLE, b"", b"Permission denied")) == []
    assert look(Finding(Outcome.GONE), final=False) == []  # a scan asks once more at its end
    assert look(Finding(Outcome.OTHER)) == [b"8:syscheck:-1 /etc/a\0"]
    assert forgotten == [b"/etc/a"] and not table.rows
    assert look(Finding(Outcome.GONE)) == []

    look(Finding(Outcome.TOLD, one))
    ledger.shared = True
    (request,), (row,) = ledger.ask([item], False)
    look(Finding(Outcome.TOLD, two))  # the other lane was faster
    ledger.hear(request, row, Finding(Outcome.TOLD, one), True)
    ledger.end_batch()
    assert (sent, again) == ([], [b"/etc/a"])


def test_marks_hold_any_rows() -> None:
    marks = Marks()
    rows = [1, 7, 8, 9, 1000, 4096 * 8, 10_000_000]
    for row in rows:
        marks.add(row)
    assert [row for row in range(1, 5000) if row in marks] == rows[:5]
    assert 10_000_000 in marks and 10_000_001 not in marks and 10**9 not in marks


@pytest.mark.parametrize(
    "old, new, same",
    [
        (b"1:2:3:4:a:b:c", b"1:2:3:4:a:b:c", True),
        (b"1:2:3:4:a:b:c", b"1:2:3:4:xxx:b:c", True),
        (b"1:2:3:4:a:b", b"1:2:3:4:a:b:c", True),  # an older text, without sha256
        (b"1:2:3:4:a:b:c", b"1:2:3:4:a:b:d", False),
        (b"1:2:3:4:xxx:xxx:xxx", b"1:2:3:5:xxx:xxx:xxx", False),
        (b"", b"0:0:0:0:a:b:c", False),
    ],
)
def test_unknown_hashes_are_no_difference(old: bytes, new: bytes, same: bool) -> None:
    assert sums.same(old, new) is same
    assert sums.Parts.parse(new).format() == new


# real time


def test_events_of_one_path_are_taken_together() -> None:
    pending = Pending()
    pending.add(b"/a", 0.0)
    pending.add(b"/a", 0.2)
    pending.add(b"/b", 0.1)
    assert pending.take(0.25, 9) == []
    assert pending.take(0.1 + QUIET, 9) == [b"/b"]
    assert pending.take(0.2 + QUIET, 9) == [b"/a"]
    assert pending.next_time() is None and len(pending) == 0


def test_a_path_that_never_rests_is_looked_at_all_the_same() -> None:
    pending = Pending()
    seen = []
    for tick in range(100):
        now = tick * 0.1
        pending.add(b"/busy", now)
        seen += [now for _ in pending.take(now, 9)]
    gaps = [after - before for before, after in itertools.pairwise(seen)]
    assert max(gaps) <= LONGEST + 0.2 and min(gaps) >= LONGEST - 0.2


def test_too_many_paths_are_said_to_be_lost() -> None:
    pending = Pending()
    for number in range(MAX_PATHS):
        pending.add(b"%d" % number, 0.0)
    assert not pending.lost
    pending.add(b"one more", 0.0)
    assert pending.lost and len(pending) == MAX_PATHS
    assert len(pending.take(1.0, 64)) == 64


# how it is said


def test_a_name_cannot_forge_a_diff() -> None:
    text = syscheck.encode(FileMessage(b"1:2", b"/a\n1c1\x07\\n\xff", b"2c2"))
    assert text == b"1:2 /a\\0121c1\\007\\n\xff\n2c2"
    assert syscheck.decode(text) == FileMessage(b"1:2", b"/a\\0121c1\\007\\n\xff", b"2c2")
    with pytest.raises(BadFileMessage):
        syscheck.decode(b"syscheck-db-completed")


def test_a_name_that_does_not_fit_is_told_by_its_beginning_and_hash() -> None:
    long = b"/" + b"\x01" * 4000
    text = syscheck.encode(FileMessage(b"1:2", long, b"diff"))
    assert len(text) < 1000 and text.endswith(b"\ndiff") and b"..." in text
    assert text != syscheck.encode(FileMessage(b"1:2", long + b"\x01", b"diff"))
    fitting = syscheck.encode(FileMessage(b"1:2", b"/" + b"n" * 4000, b"d" * 4000))
    assert len(fitting) == syscheck.MAX_TEXT and fitting.startswith(b"1:2 /" + b"n" * 4000 + b"\nd")


@pytest.mark.parametrize(
    "old, new, text",
    [
        (b"one\ntwo\nthree\n", b"one\n2\nthree\nfour\n", b"2c2\n< two\n---\n> 2\n3a4\n> four\n"),
        (b"one\n2\nthree\nfour\n", b"one\n", b"2,4d1\n< 2\n< three\n< four\n"),
        (b"", b"a\n", b"0a1\n> a\n"),
        (b"a\n", b"", b"1d0\n< a\n"),
        (b"a\nb", b"a\nb\n", b"2c2\n< b\n\\ No newline at end of file\n---\n> b\n"),
        (b"a\n", b"a\n", b""),
        (b"a\n}\n", b"a\n}\nb\n}\n", b"2a3,4\n> b\n> }\n"),  # as far down as it can be said
    ],
)
def test_a_diff_reads_as_that_of_diff(old: bytes, new: bytes, text: bytes) -> None:
    assert differences.diff(old, new) == text


def test_a_diff_is_bounded() -> None:
    old = b"".join(b"%d\n" % number for number in range(0, 40_000, 2))
    new = b"".join(b"%d\n" % number for number in range(1, 40_000, 2))
    began = time.monotonic()
    assert differences.diff(old, new).startswith(b"1,20000c1,20000\n< 0\n")
    assert time.monotonic() - began < 10
    assert differences.shorten(b"1a2\n" + b"w" * 5000) == b"1a2" + differences.CUT
    assert differences.shorten(b"x\n" * 20) == b"x\n" * 19 + b"x" + differences.CUT
    assert differences.shorten(b"x\n" * 19) == b"x\n" * 19


def test_mounts_over_the_network_are_found() -> None:
    lines = [
        b"36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw",
        b"40 35 0:52 / /home rw shared:2 - nfs4 server:/home rw",
        b"41 35 0:53 / /win rw - cifs //s/w rw",
        b"garbage",
        b"42 35 x:y / /b rw - nfs s rw",
    ]
    assert list(walk.parse_mounts(lines)) == [52, 53]
