"""Any bytes in a log file, a position file or the journal's export end in messages, values or a refusal."""

from __future__ import annotations

import logging
from contextlib import suppress

from ossec.daemon.inotify import parse_events
from ossec.logcollector.commands import Command
from ossec.logcollector.follower import Follower, Seen
from ossec.logcollector.journal import BadEntry, ExportParser, Journal
from ossec.logcollector.positions import BadPosition, Position, decode_table, encode_table
from ossec.logcollector.readers import FORMATS, Complaints, Target, prepare
from ossec.logcollector.sources import Source

ATTRIBUTES = {
    "multiline": {"lines": "2"},
    "linux_auditd": {"window": "1"},
    "regex": {"start_regex": r"(\w)", "end_regex": r"\1$"},
    "regex_id": {"id_regex": r"(\d+)", "timeout": "1"},
}
PATH = b"/d/p/current"
log = logging.getLogger("ossec.logcollector")


def fuzz_readers(data: bytes) -> None:
    """The first byte chooses the format; every datagram fits and has one NUL, at its end."""
    names = sorted(FORMATS)
    name = names[data[0] % len(names)] if data else "syslog"
    log.disabled = True  # it would show bytes that a test report cannot hold
    try:
        _read(data, name)
    finally:
        log.disabled = False


def _read(data: bytes, name: str) -> None:
    source = Source(name, PATH, tuple(ATTRIBUTES.get(name, {}).items()))
    follower = Follower(PATH, prepare(source)(Target(PATH, lambda: b"Nov 14 22:13:20 host1 ", Complaints())))
    follower.opened(Seen(1, 1, 0, 0), b"", 0)
    datagrams = (follower.take(data) or []) + follower.tick() + follower.tick() + follower.finish()
    assert all(len(datagram) <= 6144 and datagram.index(b"\0") == len(datagram) - 1 for datagram in datagrams)


def fuzz_command_output(data: bytes) -> None:
    for name in ("command", "full_command"):
        output = Command(Source(name, command=data[:300]), 0.0).begin(0.0)
        datagrams = output.feed(data) + output.finish()
        assert all(len(datagram) <= 6144 for datagram in datagrams)


def fuzz_positions(data: bytes) -> None:
    """What is read can be written again; BadPosition only."""
    entries = decode_table(data)
    assert decode_table(encode_table(entries)) == entries
    with suppress(BadPosition):
        assert Position.decode(Position.decode(data).encode()) == Position.decode(data)


def fuzz_journal_export(data: bytes) -> None:
    """BadEntry only."""
    with suppress(BadEntry):
        for entry in ExportParser().feed(data):
            Journal([b"all"]).datagrams(entry)


def fuzz_inotify_events(data: bytes) -> None:
    parse_events(data)
