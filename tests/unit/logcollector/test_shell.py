"""The shell's parts by themselves: what wakes us, what is saved, what is handed over; and the journal's texts."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossec.daemon import Loop
from ossec.daemon.inotify import Inotify
from ossec.logcollector import journal
from ossec.logcollector.collector import Collector
from ossec.logcollector.disk import LocalDisk
from ossec.logcollector.handover import HandOver
from ossec.logcollector.journal import BadEntry, ExportParser, Journal, iso_time
from ossec.logcollector.sources import Source
from ossec.logcollector.store import PositionStore
from ossec.logcollector.watches import Watches
from ossec.queues import Inbox, Outbox
from tests.support import wait_until


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", b"2023-11-14T22:13:20+00:00"),
        ("Asia/Kolkata", b"2023-11-15T03:43:20+05:30"),
        ("America/St_Johns", b"2023-11-14T18:43:20-03:30"),
    ],
)
def test_half_hour_offsets_are_right(zone: str, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    posix = {"UTC": "UTC0", "Asia/Kolkata": "IST-5:30", "America/St_Johns": "NST3:30"}  # needs no zone files
    monkeypatch.setenv("TZ", posix[zone])
    time.tzset()
    try:
        assert iso_time(1_700_000_000) == text
    finally:
        monkeypatch.undo()
        time.tzset()


def entry(**fields: bytes) -> dict[bytes, bytes]:
    whole = {"SYSLOG_IDENTIFIER": b"sshd", "_HOSTNAME": b"h", "MESSAGE": b"m", "__REALTIME_TIMESTAMP": b"0"} | fields
    return {name.encode(): value for name, value in whole.items()}


def test_which_entries_of_the_journal_are_sent() -> None:
    assert Journal([b"sshd", b"cron"]).identifiers == [b"cron", b"sshd"]
    assert Journal([b"sshd", b"all"]).identifiers == []
    assert Journal([b"/var/log/journal"]).identifiers == []
    one = Journal([b"sshd"]).datagrams(entry())
    assert [datagram[-len(b" h sshd: m\n\0") :] for datagram in one] == [b" h sshd: m\n\0"]
    assert len(Journal([b"sshd", b"all"]).datagrams(entry())) == 2, "each source by itself"
    assert Journal([b"sshd"]).datagrams(entry(SYSLOG_IDENTIFIER=b"sshdx")) == []
    for name in ("SYSLOG_IDENTIFIER", "_HOSTNAME", "MESSAGE"):
        lacking = {key: value for key, value in entry().items() if key != name.encode()}
        assert Journal([b"all"]).datagrams(lacking) == []
    long = Journal([b"all"]).datagrams(entry(MESSAGE=b"x" * 7000, SYSLOG_IDENTIFIER=b"i" * 200))[0]
    assert len(long) == 6144
    assert b" " + b"i" * 127 + b": x" in long


def test_the_journal_is_asked_for_what_is_wanted() -> None:
    command = journal.follow_command("/j", [b"my app"], b"s=1;i=2", narrow=True)
    assert command[:2] == ["journalctl", "--directory=/j"]
    assert b"--after-cursor=s=1;i=2" in command
    assert b"--identifier=my app" in command
    assert "--lines=all" in journal.follow_command(None, [], None, narrow=False)


def test_what_is_no_export_is_refused() -> None:
    with pytest.raises(BadEntry):
        ExportParser().feed(b"NAME\n" + (1).to_bytes(8, "little") + b"xy")
    with pytest.raises(BadEntry):
        ExportParser().feed(b"NAME\n" + b"\xff" * 8)


def make_collector(directory: Path, number: int) -> Collector:
    for name in range(number):
        (directory / f"{name}.log").touch()
    collector = Collector([Source("syslog", os.fsencode(directory / "*.log"))], LocalDisk())
    collector.start(0.0, 0.0, {})
    return collector


def test_growth_and_new_names_wake_us(loop: Loop, tmp_path: Path) -> None:
    changed: set[bytes] = set()
    collector = make_collector(tmp_path, 2)
    watches = Watches(loop, lambda paths: changed.update(paths or set()))
    assert watches.follow(collector) == {os.fsencode(tmp_path / "0.log"), os.fsencode(tmp_path / "1.log")}
    assert watches.follow(collector) == set()
    (tmp_path / "0.log").rename(tmp_path / "gone")
    (tmp_path / "gone").write_text("x")  # the open file, whatever its name
    (tmp_path / "2.log").touch()
    wait_until(lambda: loop.turn(0.01) or len(changed) == 3, "three names")
    assert changed == {os.fsencode(tmp_path / name) for name in ("0.log", "gone", "2.log")}
    watches.close()
    collector.close()


def test_a_kernel_without_watches_left_is_reported_once(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Inotify, _: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Inotify, "watch_open_file", refuse)
    collector = make_collector(tmp_path, 3)
    watches = Watches(loop, lambda paths: None)
    with caplog.at_level(logging.WARNING, "ossec.logcollector"):
        assert watches.follow(collector) == set()
    assert sum("max_user_watches" in record.getMessage() for record in caplog.records) == 1
    watches.close()
    collector.close()


def test_the_position_file_is_renewed_in_place_and_survives_damage(tmp_path: Path) -> None:
    path = tmp_path / "positions"
    store = PositionStore(path)
    assert store.load() == {}
    store.replace({b"/a": b"known", b"/b\nc": b"known"})
    inode = path.stat().st_ino
    store.put(b"/a", b"x 1")
    store.put(b"/new", b"y 2")
    assert path.stat().st_ino == inode
    assert path.stat().st_mode & 0o777 == 0o600
    assert PositionStore(path).load() == {b"/a": b"x 1", b"/b\nc": b"known", b"/new": b"y 2"}
    content = path.read_bytes()
    path.write_bytes(content[:-3])  # the last write was torn
    assert PositionStore(path).load() == {b"/a": b"x 1", b"/b\nc": b"known"}
    path.write_bytes(b"something else")
    assert PositionStore(path).load() == {}
    store.close()


def test_links_in_the_place_of_the_position_file_are_not_followed(tmp_path: Path) -> None:
    """The directory belongs to a user whom root must not obey."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "positions"
    path.symlink_to(victim)
    (tmp_path / f"positions.{os.getpid()}.new").symlink_to(victim)
    store = PositionStore(path)
    assert store.load() == {}
    store.replace({b"/a": b"known"})
    store.put(b"/a", b"x")
    store.close()
    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert PositionStore(path).load() == {b"/a": b"x"}


def test_a_disk_that_refuses_positions_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = PositionStore(tmp_path / "missing" / "positions")
    with caplog.at_level(logging.WARNING, "ossec.logcollector"):
        assert store.load() == {}
        store.replace({b"/a": b"known"})
        store.put(b"/a", b"x")
        store.replace({b"/a": b"known"})
    assert len(caplog.records) == 1


def test_work_is_handed_over_in_order_and_waits_for_room(loop: Loop, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "queue")
    blocked: list[bool] = []
    handover = HandOver(loop, Outbox(tmp_path / "queue"), tmp_path / "wait", blocked.append)
    handover.connect()
    done: list[int] = []
    sent = [[b"%d.%d\0" % (parcel, number) for number in range(1000)] for parcel in range(3)]
    for number, datagrams in enumerate(sent):
        handover.add_parcel(datagrams, lambda number=number: done.append(number))  # type: ignore[misc]
    wait_until(lambda: loop.turn(0.01) or blocked == [True], "a full queue")
    assert done == []
    got: list[bytes] = []

    def receive() -> bool:
        loop.turn(0.01)
        got.extend(inbox.receive(100))
        return len(got) == 3000 and handover.idle

    wait_until(receive, "all of it")
    assert got == [datagram for datagrams in sent for datagram in datagrams]
    assert done == [0, 1, 2]
    assert not blocked[-1]
    assert handover.messages == 3000
    handover.close()
    inbox.close()
