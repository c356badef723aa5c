"""Any bytes as what syscheckd reads and sends: a file's message, a SUM, a table of mounts, two texts to compare."""

from __future__ import annotations

from ossec.agents import integrity
from ossec.daemon import inotify
from ossec.messages import syscheck
from ossec.messages.syscheck import BadFileMessage, FileMessage
from ossec.syscheckd import differences, sums, walk


def fuzz_syscheck_message(data: bytes) -> None:
    try:
        message = syscheck.decode(data)
    except BadFileMessage:
        return
    text = syscheck.encode(message)
    assert len(text) <= max(syscheck.MAX_TEXT, len(message.sums) + 300)
    assert b"\n" not in syscheck.encode(FileMessage(b"1", data)).partition(b" ")[2]


def fuzz_syscheck_sums(data: bytes) -> None:
    half = len(data) // 2
    assert sums.same(data, data)
    assert sums.same(data[:half], data[half:]) == sums.same(data[half:], data[:half])


def fuzz_syscheck_mounts(data: bytes) -> None:
    list(walk.parse_mounts(data.splitlines()))


def fuzz_syscheck_inotify(data: bytes) -> None:
    inotify.parse_events(data)


def fuzz_syscheck_database(data: bytes) -> None:
    for raw in data.split(b"\n"):
        line = integrity.parse(raw)
        if line is not None:
            integrity.Event(line, None).values()
            assert line.moment


def fuzz_syscheck_diff(data: bytes) -> None:
    old, _, new = data.partition(b"\0")
    text = differences.diff(old, new)
    assert bool(text) == (old != new)
    assert len(differences.shorten(text)) <= differences.MAX_DIFF + len(differences.CUT)
