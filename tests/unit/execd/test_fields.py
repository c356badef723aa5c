"""What a script is told besides its arguments."""

from __future__ import annotations

import json

import pytest

from ossec.execd import fields
from ossec.execd.effects import Run
from ossec.execd.journal import Key


def run_of(message: bytes, timeout: int = 600) -> Run:
    words = tuple(message.split(b" "))
    return Run(3, Key(b"/h/bin/fw.sh", words[0], words[1]), b"fw600", b"add", words, timeout, 1000.5, 7)


@pytest.mark.parametrize(
    ("words", "location", "filename"),
    [
        (b"/var/log/auth.log -", "/var/log/auth.log", ""),
        (b"(web 1) 10.0.0.1->/var/log/auth.log (null)", "(web 1) 10.0.0.1->/var/log/auth.log", ""),
        (b"df -P -", "df -P", ""),
        (rb"syscheck /tmp/a\ b\ \(c\)\\", "syscheck", "/tmp/a b (c)\\"),
        (rb"syscheck /tmp/ends\\ x", "syscheck /tmp/ends\\\\", "x"),
        (b"only", "only", ""),
        (b"syscheck /tmp/\xff", "syscheck", "/tmp/\udcff"),
    ],
)
def test_location_and_file_name_are_told_apart(words: bytes, location: str, filename: str) -> None:
    found = fields.fields_of(run_of(b"- 192.0.2.1 1.2 5712 " + words), b"/h")
    assert (found["location"], found["filename"]) == (location, filename)


def test_json_has_what_is_there() -> None:
    run = run_of(b"- 192.0.2.1 1795320577.1 5712 /var/log/auth.log -")
    line = fields.encode(fields.fields_of(run, b"/h"), run.argv)
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "version": 1,
        "home": "/h",
        "name": "fw600",
        "action": "add",
        "ip": "192.0.2.1",
        "alert_id": "1795320577.1",
        "rule_id": "5712",
        "location": "/var/log/auth.log",
        "timeout": 600,
        "expires": 1000.5,
        "block": 7,
        "arguments": ["add", "-", "192.0.2.1", "1795320577.1", "5712", "/var/log/auth.log", "-"],
    }


def test_a_message_by_hand_has_little() -> None:
    run = run_of(b"bob -", timeout=0)
    found = fields.fields_of(run, b"/h")
    assert {key for key, value in found.items() if value} == {
        "version",
        "home",
        "name",
        "action",
        "user",
        "timeout",
        "block",
    }
    assert fields.environment(found)[b"OSSEC_AR_USER"] == b"bob"
    assert fields.environment(found)[b"OSSEC_AR_IP"] == b""
