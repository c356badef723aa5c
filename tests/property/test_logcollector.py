"""The collector's readers under any split of their input, and its byte formats in both directions."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.logcollector.follower import Follower, Seen
from ossec.logcollector.journal import ExportParser
from ossec.logcollector.positions import (
    HEADER,
    VALUE_WIDTH,
    BadPosition,
    Position,
    Table,
    decode_line,
    decode_table,
    encode_line,
    encode_table,
)
from ossec.logcollector.readers import Complaints, Target, prepare
from ossec.logcollector.sources import Source
from tests.unit.logcollector.host import Host

PATH = b"/var/log/app/x.log"
FORMATS = {
    "syslog": {},
    "multiline": {"lines": "3"},
    "multi-line_indented": {},
    "mysql_log": {},
    "mssql_log": {},
    "postgresql_log": {},
    "nmapg": {},
    "snort-full": {},
    "ossecalert": {},
    "audit": {},
    "modsec_audit": {},
    "docker": {},
    "regex": {"start_regex": r"^--(\w+)-A--$", "end_regex": r"^--\1-Z--$"},
    "regex_id": {"id_regex": r"msg=audit\((\d+)", "timeout": "2"},
}
LINES = [
    *(b"", b"x", b"\r", b"  indented", b"\tcontinued", b"\0nul\0inside", b"\0" * 300, b"A" * 6145, b"B" * 13000),
    *(b"--x1-A--", b"--x1-B--", b"--x1-Z--", b"---y2---A--", b"---y2---Z--", b"type=A msg=audit(1.1:1): a"),
    *(b"type=B msg=audit(1.1:2): b", b"node=n type=A msg=audit(1.1:1): c", b"070823 21:00:32  1 Query x"),
    *(b"\t\t      2 Quit", b"2009-03-25 04:47:30.01 Server x", b"[2007-08-31 19:17:32.186 ADT] 1.2.3.4:db x"),
    *(b"** Alert 1.1: - a,", b"2023 Nov 14 22:13:20 h->x", b"Rule: 1 (level 3) -> 'c'", b"[**] [1:1:1] x [**]"),
    *(b"[Priority: 3]", b"10/10-12:30:01.1 a -> b", b"Host: 10.0.0.1 ()\tPorts: 22/open/tcp//s///", b"# c"),
    *(b'{"log":"a\\n"}', b'{"log":"b"}', b"\xff\xfe"),
]
inputs = st.lists(st.sampled_from(LINES) | st.binary(max_size=40), max_size=40).map(b"\n".join)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """What is logged holds bytes that are no text, which a report to another process cannot hold."""
    logger = logging.getLogger("ossec.logcollector")
    logger.disabled = True
    yield
    logger.disabled = False


def follower(log_format: str) -> Follower:
    source = Source(log_format, PATH, tuple(FORMATS[log_format].items()))
    made = Follower(PATH, prepare(source)(Target(PATH, lambda: b"Nov 14 22:13:20 host1 ", Complaints())))
    made.opened(Seen(1, 1, 0, 0), b"", 0)
    return made


def take(made: Follower, data: bytes, until: int) -> list[bytes]:
    """Read on as the collector does, from a file that has grown to `until`."""
    datagrams = made.take(data[made.read_from : until])
    assert datagrams is not None, "taken for another file"
    return datagrams


@pytest.mark.parametrize("log_format", sorted(FORMATS))
@given(data=inputs, cuts=st.lists(st.integers(0, 40_000), max_size=8))
@settings(max_examples=60)
def test_any_split_of_the_input_gives_the_same_messages(log_format: str, data: bytes, cuts: list[int]) -> None:
    whole = follower(log_format)
    expected = take(whole, data, len(data)) + whole.finish()
    parts = follower(log_format)
    got = [
        datagram
        for until in sorted({*(cut % (len(data) + 1) for cut in cuts), len(data)})
        for datagram in take(parts, data, until)
    ]
    assert got + parts.finish() == expected
    assert all(datagram.endswith(b"\0") and len(datagram) <= 6144 for datagram in expected)
    assert all(b"\0" not in datagram[:-1] for datagram in expected)


@pytest.mark.parametrize("log_format", sorted(FORMATS))
@given(data=inputs, cut=st.integers(0, 40_000))
@settings(max_examples=60)
def test_a_reader_that_was_killed_reads_on_without_a_gap(log_format: str, data: bytes, cut: int) -> None:
    """What was sent before, and what a new process sends from the saved position, has every message."""
    data += b"\n"
    cut %= len(data) + 1
    whole = follower(log_format)
    expected = take(whole, data, len(data)) + whole.flush()
    first = follower(log_format)
    sent = take(first, data, cut)
    position = first.position()
    assert position is not None
    assert position.offset <= cut
    second = follower(log_format)
    second.reader.recall(Position.decode(position.encode()).memory)
    second.opened(Seen(1, 1, len(data), 0), data[:256], position.offset)
    again = take(second, data, len(data)) + second.flush()
    if log_format == "multiline":
        assert sent + again == expected, "its records are whole, so none is repeated"
    if log_format in ("syslog", "mysql_log"):
        assert sent + again == expected
    if log_format != "modsec_audit":  # lines of a transaction that was sent may appear in one that overlapped it
        assert set(expected) <= set(sent + again)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    """What befalls a log file: growth, rotation, truncation, absence, restarts, passes."""
    steps = st.one_of(
        st.tuples(st.just("append"), st.sampled_from([b"a", b"bb\n", b"\n", b"c\n", b"e" * 300 + b"\n"])),
        st.tuples(st.sampled_from(["rotate", "copy", "remove", "pass", "restart", "kill"]), st.just(b"")),
    )
    return draw(st.lists(steps, max_size=25))


@given(history=histories())
@settings(max_examples=60, deadline=None)
def test_every_line_arrives_once_and_in_order(history: list[tuple[str, bytes]]) -> None:
    """Through rotations and restarts, as long as the last bytes were read before the file went away for good."""
    with tempfile.TemporaryDirectory() as directory:
        sources = [Source("syslog", PATH)]
        host = Host(Path(directory), sources)
        path = host.path(PATH.decode())
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        host.start()
        number = 0
        written = b""
        parts: list[bytes] = []

        clock = itertools.count(int(time.time()) - 1000)

        def touch(changed: Path) -> None:
            """No two changes within the same tick of the file system's clock, however fast this test is."""
            os.utime(changed, (next(clock),) * 2)

        touch(path)

        def ended() -> None:
            nonlocal written
            parts.append(written)
            written = b""

        for action, data in history:
            if action == "append":
                stamp = b"%04d:" % number if not written or written.endswith(b"\n") else b""
                number += 1
                host.append(PATH.decode(), stamp + data)
                touch(path)
                written += stamp + data
            elif action == "rotate" and path.exists():
                path.rename(path.with_name(f"x.log.{number}.{len(parts)}"))
                ended()
            elif action == "copy" and path.exists() and written:
                reading = next(host.collector.all_tracked()).follower
                found = path.stat()
                if not reading.offset or reading.identity != (found.st_dev, found.st_ino):
                    host.run_pass()  # a file of which nothing was read leaves no trace to find its copy by
                copy = path.with_name(f"x.log.{number}.{len(parts)}")
                shutil.copyfile(path, copy)
                touch(copy)
                path.write_bytes(b"")
                touch(path)
                ended()
                host.run_pass()
            elif action == "remove" and path.exists():
                host.run_pass()
                path.unlink()
                ended()
                host.run_pass()
            elif action == "pass":
                host.run_pass()
            elif action in ("restart", "kill") and path.exists():
                host.run_pass()
                host.restart(sources, clean=action == "restart")
        if not path.exists():
            host.append(PATH.decode(), b"")
        for _ in range(40):  # late files are read for a while, then their unfinished lines are sent
            host.run_pass()
        ended()
        host.collector.close()
        head = b"1:" + PATH + b":"
        got = [text.removeprefix(head) for text in host.texts() if text.startswith(head)]
        complete = [line for part in parts for line in part.split(b"\n")[:-1]]
        assert [text for text in got if text in set(complete)] == complete


positions = st.builds(
    Position,
    device=st.integers(0, 2**64 - 1),
    inode=st.integers(0, 2**64 - 1),
    offset=st.integers(0, 2**63),
    head_length=st.integers(0, 256),
    head=st.text("0123456789abcdef", min_size=32, max_size=32),
    tail_end=st.integers(0, 2**63),
    tail_length=st.integers(0, 64),
    tail=st.text("0123456789abcdef", min_size=32, max_size=32),
    memory=st.binary(max_size=16),
)
names = st.binary(min_size=1, max_size=80)


@given(position=positions)
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    value = position.encode()
    assert len(value) <= VALUE_WIDTH
    assert Position.decode(value) == position


@given(entries=st.dictionaries(names, positions.map(Position.encode), max_size=5))
def test_a_table_is_read_as_it_was_written(entries: dict[bytes, bytes]) -> None:
    assert decode_table(encode_table(entries)) == entries


@given(entries=st.dictionaries(names, positions.map(Position.encode), min_size=1, max_size=5), value=positions)
def test_a_value_is_renewed_in_place(entries: dict[bytes, bytes], value: Position) -> None:
    table = Table(entries.items())
    content = bytearray(table.whole())
    assert bytes(content) == encode_table(entries)
    for name in entries:
        place, line = table.put(name, value.encode())
        content[place : place + len(line)] = line
    place, line = table.put(b"a name longer than any of the others" * 3, b"x")
    assert place == len(content), "a new name goes to the end"
    assert decode_table(bytes(content) + line) == table.values
    assert table.whole() == bytes(content) + line


@given(
    entries=st.dictionaries(names, positions.map(Position.encode), min_size=1, max_size=3),
    at=st.integers(0, 10_000),
    byte=st.integers(0, 255),
)
def test_a_damaged_line_is_left_out_and_the_others_stay(entries: dict[bytes, bytes], at: int, byte: int) -> None:
    content = bytearray(encode_table(entries))
    at = len(HEADER) + at % (len(content) - len(HEADER))
    if content[at] == byte:
        return
    content[at] = byte
    found = decode_table(bytes(content))
    assert found.items() <= entries.items()
    assert len(found) >= len(entries) - 2  # a lost newline joins two


@given(line=st.binary(max_size=400))
def test_any_line_is_a_position_or_refused(line: bytes) -> None:
    try:
        name, value = decode_line(line)
    except BadPosition:
        return
    assert encode_line(name, value) == line + b"\n"


values = st.binary(max_size=30)
entry = st.dictionaries(st.sampled_from([b"MESSAGE", b"_HOSTNAME", b"__CURSOR", b"X"]), values, min_size=1)


@given(entries=st.lists(entry, max_size=4), size=st.integers(1, 50))
def test_the_export_format_is_read_however_it_is_split(entries: list[dict[bytes, bytes]], size: int) -> None:
    data = b""
    for fields in entries:
        for name, value in fields.items():
            if b"\n" in value:
                data += name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
            else:
                data += name + b"=" + value + b"\n"
        data += b"\n"
    parser = ExportParser()
    got = [found for at in range(0, len(data), size) for found in parser.feed(data[at : at + size])]
    assert got == entries
