"""What `make run` shows on the terminal."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ossec.layout import Layout
from ossec.suite.demo import EXAMPLE, Follower, hint, show

ALERT = {
    "rule": {"level": 10, "sidid": 5712, "comment": "Brute force"},
    "TimeStamp": 1795320577000,
    "srcip": "192.0.2.7",
    "dstuser": "eve",
    "location": "/var/log/auth.log",
    "full_log": "Failed password",
}


def test_an_alert_is_one_line_and_its_log() -> None:
    text = show(ALERT, colour=False)
    assert text.splitlines()[0].endswith(
        "rule 5712 (level 10) Brute force · from 192.0.2.7 · user eve · /var/log/auth.log"
    )
    assert text.splitlines()[1].strip() == "Failed password"


def test_an_attackers_escape_sequences_do_not_reach_the_terminal() -> None:
    text = show({**ALERT, "full_log": "a\x1b[2Jb\x9b1m\u202e", "dstuser": "x\ny"}, colour=False)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.count("\n") == 1


def test_the_hint_writes_a_line_that_looks_like_sshd(tmp_path: Path) -> None:
    log = Layout(tmp_path).demo_log
    log.parent.mkdir()
    subprocess.run(["sh", "-c", hint(tmp_path)], check=True)
    assert log.read_text().endswith(f" sshd[1]: {EXAMPLE}\n")


def test_a_follower_sees_what_comes_after_it_and_a_new_days_file(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    path.write_bytes(b"old\n")
    follower = Follower(path)
    with path.open("ab") as out:
        out.write(b"one\ntw")
    assert list(follower.lines()) == [b"one"]
    with path.open("ab") as out:
        out.write(b"o\n")
    assert list(follower.lines()) == [b"two"]
    path.rename(tmp_path / "yesterday")
    assert list(follower.lines()) == []
    path.write_bytes(b"three\n")
    assert list(follower.lines()) == [b"three"]


def test_a_follower_waits_for_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "alerts.json")
    assert list(follower.lines()) == []
    follower.path.write_bytes(b"first\n")
    assert list(follower.lines()) == [b"first"]
