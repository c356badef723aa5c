"""The journal's lines and its file."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossec.execd import journal, store
from ossec.execd.journal import BadRecord, Boot, Entry, Gone, Key, Offender, Record
from ossec.execd.store import Store

ENTRY = Entry(7, b"fw600", b"/h/bin/fw.sh", (b"-", b"192.0.2.1", b"1.2", b"5712"), 1000.25, 1600.25, b"1.2")


def test_a_line_is_what_the_module_says() -> None:
    assert journal.encode(Gone(1)) == b'226e4e9f ["gone",1]\n'
    line = journal.encode(ENTRY)
    assert line[8:] == (
        b' ["block",7,"fw600","/h/bin/fw.sh",["-","192.0.2.1","1.2","5712"],1000.25,1600.25,"1.2",false,0]\n'
    )
    assert journal.decode(line) == ENTRY


WORD = st.binary(max_size=12)
TIME = st.floats(allow_nan=False, allow_infinity=False)
NUMBER = st.integers(0, journal.MAX_COUNT - 1)
RECORDS = st.one_of(
    st.builds(
        Entry, NUMBER, WORD, WORD, st.lists(WORD, max_size=5).map(tuple), TIME, TIME, WORD, st.booleans(), NUMBER
    ),
    st.builds(Gone, NUMBER),
    st.builds(Offender, st.builds(Key, WORD, WORD, WORD, st.just(0)), st.integers(-1, 100), TIME),
    st.builds(Boot, st.text(max_size=40).filter(lambda text: text.isprintable())),
)


@given(RECORDS)
def test_a_record_survives_its_line(record: Record) -> None:
    assert journal.decode(journal.encode(record)) == record


@given(st.lists(RECORDS, max_size=8))
def test_the_shortest_journal_says_the_same(records: list[Record]) -> None:
    state = journal.replay(b"".join(journal.encode(record) for record in records))
    again = journal.replay(b"".join(journal.encode(record) for record in state.records()))
    assert (again.boot, again.entries, again.offenders) == (state.boot, state.entries, state.offenders)
    assert state.damaged == 0


@given(st.lists(RECORDS, min_size=1, max_size=5), st.data())
def test_a_damaged_record_costs_only_itself(records: list[Record], data: st.DataObject) -> None:
    lines = [journal.encode(record) for record in records]
    victim = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[victim]) - 2))
    damaged = bytearray(lines[victim])
    damaged[place] ^= data.draw(st.integers(1, 255).filter(lambda bits: damaged[place] ^ bits != 10))
    expected = journal.replay(b"".join(lines[:victim] + lines[victim + 1 :]))
    state = journal.replay(b"".join([*lines[:victim], bytes(damaged), *lines[victim + 1 :]]))
    assert (state.entries, state.offenders, state.boot) == (expected.entries, expected.offenders, expected.boot)
    assert state.damaged == 1


@given(st.lists(RECORDS, min_size=1, max_size=4), st.integers(0, 400))
def test_a_cut_end_costs_only_the_last_record(records: list[Record], cut: int) -> None:
    whole = b"".join(journal.encode(record) for record in records)
    state = journal.replay(whole[: len(whole) - cut])
    kept = whole[: len(whole) - cut].rpartition(b"\n")[0]
    without = journal.replay(kept)
    assert state.damaged <= 1
    assert state.entries.keys() >= without.entries.keys() - {r.id for r in records if isinstance(r, Gone)}


@pytest.mark.parametrize(
    "payload",
    [b"[]", b"{}", b'["gone",-1]', b'["gone",1.5]', b'["gone",true]', b'["boot",1]', b'["block",1]', b'["gone",1e400]',
     b'["gone"', b"\xff", b'["offender","a","b","c",-2,1]', b"[" * 100_000],
)  # fmt: skip
def test_what_fits_its_checksum_but_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(BadRecord):
        journal.decode(b"%08x %b\n" % (zlib.crc32(payload), payload))


# --- the file ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ar-state"


def test_a_store_says_what_was_written(path: Path) -> None:
    first = Store(path, "boot-1")
    first.open()
    first.append([ENTRY, Offender(Key(b"s", b"-", b"a"), 2, 1.0)], sync=True)
    assert store.read(path).entries == {7: ENTRY}
    second = Store(path, "boot-1")
    assert not second.earlier_boot
    assert second.state.entries == {7: ENTRY}
    assert path.stat().st_mode & 0o777 == 0o640
    assert Store(path, "boot-2").earlier_boot


def test_without_a_boot_id_every_start_is_a_new_boot(path: Path) -> None:
    first = Store(path, "")
    first.open()
    assert Store(path, "").earlier_boot


def test_a_damaged_file_is_counted_and_made_whole(path: Path) -> None:
    first = Store(path, "boot")
    first.open()
    first.append([ENTRY], sync=True)
    with path.open("ab") as out:
        out.write(b'0badc0de ["gone",7')
    second = Store(path, "boot")
    assert second.damaged == 1
    second.open()
    second.append([Gone(7)], sync=False)
    third = Store(path, "boot")
    assert (third.damaged, third.state.entries) == (0, {})


def test_the_file_stays_short(path: Path) -> None:
    kept = Store(path, "boot")
    kept.open()
    for number in range(5000):
        kept.append([Entry(number, b"fw", b"/fw.sh", (b"-", b"192.0.2.1"), 0.0, 1.0, b""), Gone(number)], sync=False)
    assert path.stat().st_size <= store.COMPACT_FLOOR
    assert Store(path, "boot").state.entries == {}


def test_a_disk_that_was_full_gets_everything_later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Store(path, "boot")
    kept.open()
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        kept.append([ENTRY], sync=True)
    monkeypatch.setattr(os, "write", real)
    kept.append([Gone(99)], sync=True)
    assert Store(path, "boot").state.entries == {7: ENTRY}
