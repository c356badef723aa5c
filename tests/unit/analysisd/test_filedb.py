"""The databases of file events on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossec.analysisd.filedb import MAX_OPEN, DatabaseStore, RootcheckDatabase, SyscheckDatabase
from tests.fuzz.fuzz_filedb import fuzz_filedb

NAME = st.binary(min_size=1, max_size=30).map(lambda name: b"/" + name.translate(None, b"\n\0"))
SUM = st.sampled_from([b"-1", b"1:33188:0:0:a:b", b"2:33188:0:0:a:b:c", b"x"])
CHANGES = st.lists(st.tuples(NAME, SUM), max_size=20)
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(CHANGES)
def test_what_was_added_is_found_now_and_after_a_restart(tmp_path: Path, changes: list[tuple[bytes, bytes]]) -> None:
    path = tmp_path / "syscheck"
    path.unlink(missing_ok=True)
    database = SyscheckDatabase(path)
    last: dict[bytes, bytes] = {}
    for name, sums in changes:
        database.add(b"+++", sums, 1700000000, name, database.get(name))
        last[name] = sums
    for known in (database, SyscheckDatabase(path)):
        for name, sums in last.items():
            entry = known.get(name)
            assert entry is not None
            assert (entry.flags, entry.sum) == (b"+++", sums)
        known.close()
    superseded = sum(line.startswith(b"#") for line in path.read_bytes().split(b"\n"))
    assert superseded == len(changes) - len(last)


@QUICK
@given(
    st.lists(st.binary(min_size=1, max_size=20).map(lambda text: text.translate(None, b"\n\0!#") or b"x"), max_size=9)
)
def test_a_text_is_new_once(tmp_path: Path, texts: list[bytes]) -> None:
    path = tmp_path / "rootcheck"
    path.unlink(missing_ok=True)
    database = RootcheckDatabase(path)
    assert sum(database.see(text, 10) for text in texts) == len(set(texts))
    database.close()
    again = RootcheckDatabase(path)
    assert not any(again.see(text, 20) for text in texts)
    again.close()


@QUICK
@given(st.binary(max_size=300))
def test_any_file_is_read(data: bytes) -> None:
    fuzz_filedb(data)


def test_another_program_may_change_the_file_under_us(tmp_path: Path) -> None:
    path = tmp_path / "syscheck"
    database = SyscheckDatabase(path)
    database.add(b"+++", b"1", 1, b"/a")
    path.write_bytes(b"#" + path.read_bytes()[1:])
    assert database.get(b"/a") is None
    database.close()


@pytest.mark.parametrize("count", [MAX_OPEN + 5])
def test_only_so_many_are_open(tmp_path: Path, count: int) -> None:
    store = DatabaseStore(tmp_path, RootcheckDatabase)
    for number in range(count):
        store.get(b"agent%d" % number).see(b"x", 1)
    assert len(store._open) == MAX_OPEN
    assert not store.get(b"agent0").see(b"x", 2)
    store.close()
