"""The spool: what goes in comes out in order, also after a death at any byte."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.agentd.spool import HEAD, Spool

events = st.lists(st.binary(max_size=50), max_size=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture(autouse=True)
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of what is read comes from disk."""
    monkeypatch.setattr("ossec.agentd.spool.MAX_RECENT", 3)


def test_events_come_out_in_order_and_are_forgotten_when_acknowledged(folder: Path) -> None:
    spool = Spool(folder, segment_bytes=100)
    sent = [b"event %d" % number for number in range(100)]
    spool.append(sent[:60])
    spool.append(sent[60:])
    assert spool.read(0, 30) + spool.read(30, 1000) == sent
    assert spool.read(97, 10) == sent[97:]
    spool.acknowledge(97)
    assert len(spool) == 3
    before = spool.size
    spool.acknowledge(100)
    assert len(spool) == 0
    assert spool.size == 0 < before
    assert spool.read(100, 1) == []


def test_a_new_process_takes_up_where_the_old_one_died(folder: Path) -> None:
    spool = Spool(folder)
    spool.append([b"a", b"b", b"c"])
    spool.acknowledge(1)
    again = Spool(folder)
    assert (again.acked, again.end) == (1, 3)
    assert again.read(again.acked, 10) == [b"b", b"c"]
    again.append([b"d"])
    assert again.read(1, 10) == [b"b", b"c", b"d"]


def test_numbers_go_on_when_everything_was_acknowledged(folder: Path) -> None:
    spool = Spool(folder)
    spool.append([b"a", b"b"])
    spool.acknowledge(2)
    again = Spool(folder)
    assert (again.acked, again.end) == (2, 2)
    again.append([b"c"])
    assert again.read(2, 10) == [b"c"]


def test_a_full_spool_says_so(folder: Path) -> None:
    spool = Spool(folder, max_bytes=100, segment_bytes=50)
    spool.append([b"x" * 40, b"x" * 40, b"x" * 40])
    assert spool.full
    spool.acknowledge(3)
    assert not spool.full


@given(sent=events, cut=st.integers(0, 2000), noise=st.binary(max_size=20))
def test_a_damaged_tail_costs_only_itself(sent: list[bytes], cut: int, noise: bytes) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        spool = Spool(folder / "spool")
        spool.append(sent)
        spool.close()
        segment = next(path for path in (folder / "spool").iterdir() if path.name.isdigit())
        whole = segment.read_bytes()
        cut = min(cut, len(whole))
        segment.write_bytes(whole[:cut] + noise)
        again = Spool(folder / "spool")
        kept = again.read(0, 1000)
        position, intact = 0, 0
        for event in sent:
            position += HEAD.size + len(event)
            intact += position <= cut
        assert kept[:intact] == sent[:intact]
        again.append([b"new"])
        assert again.read(again.end - 1, 10) == [b"new"]
        again.close()
    finally:
        shutil.rmtree(folder)


@given(batches=st.lists(events, max_size=6), acked=st.lists(st.integers(0, 60), max_size=6))
def test_any_order_of_use_loses_nothing(batches: list[list[bytes]], acked: list[int]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        spool = Spool(folder / "spool", segment_bytes=64)
        model: list[bytes] = []
        for number, batch in enumerate(batches):
            if batch:
                spool.append(batch)
            model += batch
            if number < len(acked):
                spool.acknowledge(acked[number])
            assert spool.end == len(model)
            assert spool.read(spool.acked, 10_000) == model[spool.acked :]
        spool.close()
        again = Spool(folder / "spool", segment_bytes=64)
        assert again.read(again.acked, 10_000) == model[again.acked :]
        again.close()
    finally:
        shutil.rmtree(folder)


def test_a_segment_that_cannot_be_opened_neither_loses_nor_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk with room for bytes and none for files, as when its inodes are used up."""
    spool = Spool(tmp_path / "spool", segment_bytes=64)
    real = os.open

    def full(path: Path, flags: int, *rest: int) -> int:
        if flags & os.O_CREAT and not Path(path).exists():
            raise OSError(28, "No space left on device")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", full)
    sent = [b"event %d" % number for number in range(30)]
    for event in sent:
        spool.append([event])
    assert spool.read(0, 100) == sent
    spool.acknowledge(10)
    assert spool.read(10, 100) == sent[10:]
    spool.acknowledge(30)
    monkeypatch.undo()
    spool.append([b"after"])
    assert spool.read(spool.acked, 100) == [b"after"]
    spool.close()
    again = Spool(tmp_path / "spool", segment_bytes=64)
    assert again.read(again.acked, 100) == [b"after"]
    again.close()
