"""File changes against their database."""

from __future__ import annotations

from pathlib import Path

import pytest

from ossec.analysisd.event import Event
from ossec.analysisd.filedb import BadLocation, DatabaseStore, RootcheckDatabase, SyscheckDatabase
from ossec.analysisd.hostinfo import Hostinfo
from ossec.analysisd.maintenance import MaintenanceFiles
from ossec.analysisd.rootcheck import Rootcheck, keyed_values
from ossec.analysisd.syscheck import CHANGED, DELETED, NEW, Syscheck, mode_text

MD5, SHA1 = b"a" * 32, b"1" * 40


class Home:
    """A syscheck core on a directory of its own."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.directory = directory
        self.store = DatabaseStore(directory, SyscheckDatabase)
        self.core = Syscheck(self.store.get, MaintenanceFiles(directory, directory / "log"), **options)  # type: ignore[arg-type]

    def send(self, text: bytes, location: bytes = b"syscheck", now: int = 1700000000) -> tuple[str | None, Event]:
        event = Event(b"8", location, text, now)
        return self.core.decode(event), event

    def change(self, size: int, name: bytes = b"/etc/a", diff: bytes = b"") -> tuple[str | None, Event]:
        return self.send(b"%d:33188:0:0:%b:%b %b%b" % (size, MD5, SHA1, name, diff))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_every_change_is_told_by_default(home: Home) -> None:
    assert home.change(1)[0] is None
    assert [home.change(size)[0] for size in range(2, 7)] == [*CHANGED, CHANGED[0], CHANGED[0]]


def test_auto_ignore_falls_silent_after_three(tmp_path: Path) -> None:
    home = Home(tmp_path, auto_ignore=True)
    home.change(1)
    assert [home.change(size)[0] for size in range(2, 7)] == [*CHANGED, None, None]
    assert home.send(b"-1 /etc/a")[0] is None


def test_a_diff_reaches_the_text_and_cannot_forge_fields(home: Home) -> None:
    home.change(1)
    found, event = home.change(2, diff=b"\n1c1\n< old\n---\n> new\n\nUser: root\n** Alert 1.1: - x\n")
    assert found == CHANGED[0]
    assert event.filename == b"/etc/a"
    assert event.full_log == (
        b"Integrity checksum changed for: '/etc/a'\nSize changed from '1' to '2'\n"
        b"What changed:\n1c1\n< old\n---\n> new\n\n User: root\n ** Alert 1.1: - x\n"
    )


def test_a_newline_in_a_name_is_shown_as_a_number(home: Home) -> None:
    home.change(1, name=b"/etc/a\tb")
    event = home.change(2, name=b"/etc/a\tb")[1]
    assert event.filename == b"/etc/a\\011b"


@pytest.mark.parametrize(("first_scan", "told"), [(False, [None, NEW]), (True, [NEW, NEW])])
def test_a_first_scan_is_no_news(tmp_path: Path, first_scan: bool, told: list[str | None]) -> None:
    home = Home(tmp_path, alert_new_files=True, alert_first_scan=first_scan)
    before = home.change(1, name=b"/etc/old")[0]
    home.send(b"syscheck-db-completed")
    assert [before, home.change(1, name=b"/etc/new")[0]] == told


def test_deletion_and_return(home: Home) -> None:
    home.change(1)
    assert home.send(b"-1 /etc/a")[0] == DELETED
    assert home.send(b"-1 /etc/a")[0] is None
    found, event = home.change(2)
    assert (found, event.full_log) == (NEW, b"File '/etc/a' was re-added.")


def test_the_state_outlives_a_restart(home: Home, tmp_path: Path) -> None:
    home.change(1)
    home.change(2)
    home.store.close()
    again = Home(tmp_path)
    assert again.change(2)[0] is None
    assert again.change(3)[0] == CHANGED[1]


def test_a_line_that_a_crash_cut_does_not_swallow_the_next(tmp_path: Path) -> None:
    (tmp_path / "syscheck").write_bytes(b"+++1:33188:0:0:x")
    home = Home(tmp_path)
    home.change(1)
    assert (tmp_path / "syscheck").read_bytes().splitlines()[0] == b"+++1:33188:0:0:x"
    home.store.close()
    assert Home(tmp_path).change(2)[0] == CHANGED[0]


@pytest.mark.parametrize("location", [b"", b"a/b", b".syscheck.cpt", b"a\nb"])
def test_a_location_that_is_no_file_name_is_refused(home: Home, location: bytes) -> None:
    assert home.send(b"1:1:0:0 /x", location=location)[0] is None
    with pytest.raises(BadLocation):
        home.store.get(location)


def test_maintenance_ends_with_the_scan(tmp_path: Path) -> None:
    home = Home(tmp_path)
    marker = tmp_path / ".syscheck.maint"
    home.change(1)
    marker.write_text("#!maint\nenabled_at=1700000000\npending_end=1\nsilent_updates=0\n")
    assert home.change(2)[0] is None
    assert "silent_updates=1\n" in marker.read_text()
    home.send(b"syscheck-db-completed")
    assert not marker.exists()
    assert (tmp_path / ".syscheck.cpt").read_bytes() == b"#!X"
    assert home.change(3)[0] == CHANGED[0]


@pytest.mark.parametrize(
    ("mode", "text"), [(b"33188", b"rw-r--r--"), (b"35309", b"rwsr-xr-x"), (b"17407", b"rwxrwxrwt"), (b"0", b"-" * 9)]
)
def test_modes_are_shown_as_ossec_shows_them(mode: bytes, text: bytes) -> None:
    assert mode_text(mode) == text


def test_rootcheck_tells_a_text_once(tmp_path: Path) -> None:
    core = Rootcheck(DatabaseStore(tmp_path, RootcheckDatabase).get)
    events = [Event(b"9", b"rootcheck", b"a file '/bin/ls' MD5=" + MD5, now) for now in (10, 20)]
    assert [core.decode(event) for event in events] == ["rootcheck", "rootcheck"]
    assert [event.first_seen for event in events] == [True, False]
    assert (events[0].filename, events[0].file_change and events[0].file_change.after) == (b"/bin/ls", {"md5": MD5})
    assert (tmp_path / "rootcheck").read_bytes().startswith(b"!0000000020!0000000010 a file")


def test_keys_of_an_audit() -> None:
    assert keyed_values("x {CIS: 1.2 Debian} {PCI_DSS: 2.2.4, 8.1}.") == {
        "CIS": ["1.2 Debian"],
        "PCI_DSS": ["2.2.4", "8.1"],
    }


def test_hostinfo_knows_hosts(tmp_path: Path) -> None:
    def send(core: Hostinfo, text: bytes) -> str | None:
        return core.decode(Event(b"3", b"hostinfo", text, 1))

    core = Hostinfo(tmp_path / "hostinfo")
    assert send(core, b"Host: 10.0.0.1, open ports: 22") == "hostinfo_new"
    assert send(core, b"Host: 10.0.0.1, open ports: 22") is None
    assert send(core, b"Host: 10.0.0.1 (name), open ports: 80") == "hostinfo_modified"
    assert send(Hostinfo(tmp_path / "hostinfo"), b"Host: 10.0.0.1, open ports: 80") is None
    assert send(core, b"Host: nocomma") is None
