"""syscheckd on real files: what it must not lose, forget or invent."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from ossec.daemon import inotify
from ossec.syscheckd import live, realtime, workers
from ossec.syscheckd.baseline import Baseline
from tests.support import wait_until
from tests.unit.syscheckd.host import Host

REALTIME = 'check_all="yes" realtime="yes"'


def make(folder: Path, attributes: str = 'check_all="yes"', more: str = "", **options: int) -> Host:
    conf = (
        f"<ossec_config><syscheck><directories {attributes}>{folder}/r</directories>{more}</syscheck>"
        "<rootcheck><disabled>yes</disabled></rootcheck></ossec_config>"
    )
    return Host(folder, conf, **options)


def told(host: Host) -> list[str]:
    """The files that were told since the last look: `-1` in front of those that are gone."""
    names = []
    for message in host.take():
        if message.startswith(b"8:syscheck:") and b" " in message:
            text, _, path = message.removeprefix(b"8:syscheck:").partition(b" ")
            name = os.fsdecode(path).partition("\n")[0].removeprefix(f"{host.root}/")
            names.append(f"-1 {name}" if text == b"-1" else name)
    return names


def test_what_changed_and_went_while_it_was_away_is_told_at_the_start(tmp_path: Path) -> None:
    with make(tmp_path) as host:
        for name in ("kept", "gone", "changed"):
            (host.root / name).write_text(name)
        host.start()
        host.wait_for_scan(1)
        host.stop()
        (host.root / "gone").unlink()
        (host.root / "changed").write_text("other")
        host.take()
        host.start()
        host.wait_for_scan(2)
        assert sorted(told(host)) == ["-1 gone", "changed", "kept"]  # all is told anew, for a manager that forgot
        host.wait_for_scan(3)
        assert told(host) == []


def test_a_crash_tells_again_and_forgets_nothing(tmp_path: Path) -> None:
    with make(tmp_path) as host:
        (host.root / "a").write_text("1")
        host.start()
        host.wait_for_scan(1)
        host.stop()
        host.start()
        (host.root / "b").write_text("1")
        host.wait_for_scan(2)
        (host.root / "a").unlink()
        host.kill()
        host.take()
        host.start()
        host.wait_for_scan(3)
        assert sorted(told(host)) == ["-1 a", "b"]


def test_an_entry_that_is_not_there_deletes_nothing(tmp_path: Path) -> None:
    """A disk that is not mounted."""
    with make(tmp_path) as host:
        (host.root / "a").write_text("1")
        host.start()
        host.wait_for_scan(1)
        host.root.rename(tmp_path / "elsewhere")
        host.take()
        host.wait_for_scan(2)
        assert told(host) == []
        (tmp_path / "elsewhere").rename(host.root)
        host.wait_for_scan(3)
        assert told(host) == []


def test_what_is_no_longer_asked_for_is_forgotten_in_silence(tmp_path: Path) -> None:
    with make(tmp_path) as host:
        for name in ("a.conf", "b.txt"):
            (host.root / name).write_text("1")
        host.start()
        host.wait_for_scan(1)
        assert host.daemon is not None and host.daemon.baseline.count == 2
        host.take()
        text = host.layout.ossec_conf.read_text()
        host.layout.ossec_conf.write_text(text.replace('check_all="yes"', 'check_all="yes" restrict=".conf$"'))
        host.daemon.reload()
        host.wait_for_scan(2)
        assert told(host) == ["a.conf"]
        assert host.daemon.baseline.count == 1


def test_files_in_a_folder_made_a_moment_ago_are_not_lost(tmp_path: Path) -> None:
    with make(tmp_path, REALTIME) as host:
        host.start()
        host.wait_for_scan(1)
        deep = host.root
        for level in range(20):  # faster than any watch can follow
            deep = deep / f"d{level}"
            deep.mkdir()
            (deep / "f").write_text("1")
        host.wait_for(b"/d19/f")
        host.settle()
        assert len(told(host)) == 20
        (deep / "later").write_text("1")
        host.wait_for(b"/d19/later")


def test_a_folder_that_leaves_takes_its_files_and_one_that_moves_keeps_being_watched(tmp_path: Path) -> None:
    with make(tmp_path, REALTIME) as host:
        (host.root / "d" / "e").mkdir(parents=True)
        (host.root / "d" / "e" / "f").write_text("1")
        host.start()
        host.wait_for_scan(1)
        host.take()
        (host.root / "d").rename(host.root / "n")
        host.wait_for(b"/n/e/f")
        host.wait_for(b"-1 ")
        assert sorted(told(host)) == ["-1 d/e/f", "n/e/f"]
        (host.root / "n" / "e" / "f").write_text("22")
        host.turn_until(lambda: told(host) == ["n/e/f"], "a change under the new name")
        (host.root / "n").rename(tmp_path / "outside")
        host.turn_until(lambda: told(host) == ["-1 n/e/f"], "its leaving")
        (tmp_path / "outside" / "e" / "f").write_text("333")
        (host.root / "mark").write_text("1")
        host.turn_until(lambda: b"/mark" in b"".join(host.messages), "the mark")
        assert told(host) == ["mark"]


def test_a_watched_folder_that_comes_back_is_watched_again(tmp_path: Path) -> None:
    with make(tmp_path, REALTIME) as host:
        (host.root / "a").write_text("1")
        host.start()
        host.wait_for_scan(1)
        host.take()
        (host.root / "a").unlink()
        host.root.rmdir()
        host.turn_until(lambda: told(host) == ["-1 a"], "its end")
        host.root.mkdir()
        (host.root / "b").write_text("1")
        host.turn_until(lambda: told(host) == ["b"], "what came with it")
        (host.root / "b").write_text("22")
        host.turn_until(lambda: told(host) == ["b"], "a change")


def test_lost_events_start_a_look_at_everything(tmp_path: Path) -> None:
    with make(tmp_path, REALTIME) as host:
        (host.root / "old").write_text("1")
        host.start()
        host.wait_for_scan(1)
        host.take()
        assert host.daemon is not None and host.daemon.live is not None
        watches = host.daemon.live.watches
        host.daemon.loop.forget(watches._inotify.fileno())  # nobody reads: the kernel's queue fills
        for number in range(20_000):
            os.utime(host.root / "old", (number, number))  # equal events in a row count as one,
            (host.root / "new").touch()  # so two files take turns
        (host.root / "new").write_text("22")
        (host.root / "old").unlink()
        limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        if limit > 40_000:
            pytest.skip(f"the kernel holds {limit} events")
        host.daemon.loop.on_readable(watches._inotify.fileno(), watches._read)
        host.turn_until(lambda: any("events were lost" in line for line in host.log.lines), "the loss")
        host.wait_for(b"-1 ")
        host.wait_for(b"/new")
        assert sorted(set(told(host))) == ["-1 old", "new"]


def test_more_events_than_can_wait_are_as_good_as_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "MAX_PATHS", 5)
    monkeypatch.setattr(live, "MAX_TREES", 2)
    with make(tmp_path, REALTIME) as host:
        host.start()
        host.wait_for_scan(1)
        for number in range(50):
            (host.root / f"d{number}").mkdir()
            (host.root / f"d{number}" / "f").write_text("1")
        host.turn_until(lambda: sum(b"/f" in one for one in host.messages) >= 50, "all of them")
        assert sorted(set(told(host))) == sorted(f"d{number}/f" for number in range(50))


def test_real_time_is_served_while_a_scan_runs(tmp_path: Path) -> None:
    with make(tmp_path, REALTIME, syscheck__sleep=60, syscheck__sleep_after=1) as host:
        for number in range(10):
            (host.root / f"f{number}").write_text("1")
        host.start()
        host.turn_until(lambda: sum(b"/f" in one for one in host.messages) == 2, "the first two, then a pause")
        host.take()
        (host.root / "f9").write_text("22")
        host.turn_until(lambda: told(host) == ["f9"], "its message")
        assert host.scans() == 0


def test_a_worker_that_dies_is_replaced_and_its_files_are_looked_at(tmp_path: Path) -> None:
    with make(tmp_path) as host:
        for number in range(500):
            (host.root / f"f{number}").write_text("1")
        daemon = host.start()
        host.turn_until(lambda: len(host.messages) > 100, "some messages")
        os.kill(daemon.workers[0].pid, signal.SIGKILL)
        host.wait_for_scan(1)
        assert sorted(set(told(host))) == sorted(f"f{number}" for number in range(500))
        assert any("another one takes over" in line for line in host.log.lines)


def test_a_file_that_ends_workers_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = workers.Examiner.examine

    def examine(self: workers.Examiner, request: workers.Request) -> workers.Finding:
        if request.path.endswith(b"/deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, request)

    monkeypatch.setattr(workers.Examiner, "examine", examine)
    with make(tmp_path) as host:
        for number in range(200):
            (host.root / f"f{number}").write_text("1")
        (host.root / "deadly").write_text("1")
        host.start()
        host.wait_for_scan(1)
        assert len(told(host)) >= 200 - 64  # the batch that it was in goes with it
        assert any("are skipped" in line for line in host.log.lines)


def test_a_device_or_pipe_is_never_opened(tmp_path: Path) -> None:
    """Also where it took the place of a file after the folder was read: nothing waits for a writer."""
    with make(tmp_path) as host:
        (host.root / "f").write_text("1")
        host.start()
        host.wait_for_scan(1)
        (host.root / "f").unlink()
        os.mkfifo(host.root / "f")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(host.root / "s"))
        host.take()
        host.wait_for_scan(2)
        assert told(host) == ["-1 f"]


def test_a_full_queue_makes_it_wait(tmp_path: Path) -> None:
    """Nobody reads for a while: what is held stays small, and all arrives."""
    with make(tmp_path) as host:
        for number in range(3000):
            (host.root / f"f{number}").write_text("")
        daemon = host.start()
        for _ in range(100):
            daemon.loop.turn(0.01)
        assert len(daemon.sender._held) <= 4 * 64
        host.wait_for_scan(1)
        assert len(set(told(host))) == 3000


def test_the_lock_of_an_agent_without_a_server_is_kept(tmp_path: Path) -> None:
    with make(tmp_path) as host:
        host.layout.wait_file.write_text("")
        host.start()
        for _ in range(5):
            host.turn()
        assert host.messages == []
        host.layout.wait_file.unlink()
        host.wait_for_scan(1)
        assert [line for line in host.log.lines if "lock" in line.lower() and "Monitoring" not in line][:2] == [
            "ossec-syscheckd: WARN: Process locked. Waiting for permission...",
            "ossec-syscheckd: INFO: Lock free. Continuing...",
        ]


def test_copies_go_with_their_file_and_stay_below_their_quota(tmp_path: Path) -> None:
    attributes = REALTIME + ' report_changes="yes"'
    with make(tmp_path, attributes, syscheck__diff_quota=1) as host:
        (host.root / "sub").mkdir()
        big, small = host.root / "sub" / "big", host.root / "small"
        small.write_text("1\n")
        host.start()
        host.wait_for_scan(1)
        for number in range(6):
            big.write_text(f"{number:0500000d}\n")
            host.turn_until(lambda number=number: len(told(host)) == 1, f"version {number}")  # type: ignore[misc]
        kept = host.layout.diff_dir / "local" / str(host.root)[1:]
        assert sum(path.stat().st_size for path in kept.rglob("*") if path.is_file()) > 2 << 20
        host.wait_for_scan(2)

        def size() -> int:
            return sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())

        host.turn_until(lambda: size() <= 1 << 20, "the quota")
        assert (kept / "sub" / "big" / "last-entry").exists()
        big.unlink()
        host.turn_until(lambda: not (kept / "sub").exists(), "the end of its copies")
        assert (kept / "small" / "last-entry").read_text() == "1\n"


def test_a_broken_baseline_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "baseline.db"
    path.write_bytes(b"no database" * 1000)
    baseline = Baseline(path)
    assert baseline.count == 0
    assert baseline.add(b"/a", b"1") == 1
    baseline.commit()
    baseline.close()
    assert path.with_name("baseline.db.broken").exists()
    again = Baseline(path)
    assert again.look([b"/a", b"/b"]) == {b"/a": (1, b"1")}
    again.close()


def test_a_full_disk_is_said_once_and_forgets_nothing(tmp_path: Path) -> None:
    """What could not be kept is told again, until it can be."""
    with make(tmp_path) as host:
        for number in range(300):
            (host.root / f"{number}{'x' * 200}").write_text("1")
        daemon = host.start()
        daemon.baseline._connection.execute("PRAGMA max_page_count=10")
        host.wait_for_scan(1)
        assert len(told(host)) == 300
        host.wait_for_scan(2)
        again = told(host)
        assert len(again) > 200 and not any(name.startswith("-1") for name in again)
        said = [line for line in host.log.lines if "cannot be written" in line]
        assert len(said) == 1 and "database or disk is full" in said[0]
        daemon.baseline._connection.execute("PRAGMA max_page_count=1000000")
        host.wait_for_scan(3)
        told(host)
        host.wait_for_scan(4)
        assert told(host) == []
        assert daemon.baseline.count == 300


def test_pauses_count_files_not_batches(tmp_path: Path) -> None:
    with make(tmp_path, syscheck__sleep=60, syscheck__sleep_after=150) as host:
        for number in range(200):
            (host.root / f"f{number}").write_text("1")
        daemon = host.start()
        host.turn_until(lambda: daemon._scan is not None and daemon._scan._paused, "the pause")
        assert daemon._lane.files == 151
        host.turn_until(lambda: daemon.sender.free, "what was told")
        assert len(told(host)) == 151


def test_inotify_is_told_apart() -> None:
    head = inotify.HEADER.pack(3, inotify.IN_CREATE, 0, 16)
    events = inotify.parse_events(
        head + b"name".ljust(16, b"\0") + inotify.HEADER.pack(-1, inotify.IN_Q_OVERFLOW, 0, 0)
    )
    assert events == [(3, inotify.IN_CREATE, b"name"), (-1, inotify.IN_Q_OVERFLOW, b"")]
    assert inotify.parse_events(b"short") == []


def test_workers_end_with_their_daemon(tmp_path: Path) -> None:
    with make(tmp_path, REALTIME) as host:
        daemon = host.start()
        pids = [worker.pid for worker in daemon.workers]
        assert len(pids) == 2
        host.wait_for_scan(1)
        host.stop()

    def ended(pid: int) -> bool:
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return True

    wait_until(lambda: all(ended(pid) for pid in pids), "their end")


@pytest.mark.parametrize("text, start", [("12am", 0), ("12:30 AM", 30), ("12pm", 1200), ("1am", 100), ("9pm", 2100)])
def test_the_hour_after_midnight_is_not_noon(tmp_path: Path, text: str, start: int) -> None:
    with make(tmp_path, more=f"<scan_time>{text}</scan_time>") as host:
        daemon = host.start()
        assert daemon._settings.scan_time is not None and daemon._settings.scan_time.start == start


def test_an_agent_also_watches_what_its_server_says(tmp_path: Path) -> None:
    """agent.conf; but a command from there is run only where that is allowed."""
    with make(tmp_path) as host:
        (host.root / "own").write_text("1")
        other = tmp_path / "other"
        other.mkdir()
        (other / "theirs").write_text("1")
        host.layout.init_conf.write_text('TYPE="agent"\n')
        host.layout.agent_conf.write_text(
            f'<agent_config><syscheck><directories check_md5sum="yes">{other}</directories>'
            f"<prefilter_cmd>/usr/bin/touch {tmp_path}/run</prefilter_cmd></syscheck></agent_config>"
        )
        host.start()
        host.wait_for_scan(1)
        assert sorted(told(host)) == [f"{other}/theirs", "own"]
        assert not (tmp_path / "run").exists()
        assert any("logcollector.remote_commands=1" in line for line in host.log.lines)

        host.stop()
        with host.layout.local_internal_options.open("a") as out:
            out.write("logcollector.remote_commands=1\n")
        host.start()
        host.wait_for_scan(2)
        assert (tmp_path / "run").exists()
