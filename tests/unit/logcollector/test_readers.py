"""The readers that ours adds, on the worked examples of the specification, and their bounds."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ossec.logcollector.lines import LineSplitter
from ossec.logcollector.readers import BadFormat, Complaints, Reader, Target, prepare
from ossec.logcollector.readers.base import MAX_HELD, MAX_OPEN, Holding
from ossec.logcollector.sources import Source
from tests.unit.logcollector.host import LogLines

LOCATION = b"/var/log/app/x.log"
ROOM = 6122
PASS = None  # a pass ends
A = "type=X msg=audit(1.1:1): "


def make(log_format: str, **attributes: str) -> Reader:
    source = Source(log_format, LOCATION, tuple(attributes.items()))
    return prepare(source)(Target(LOCATION, lambda: b"Nov 14 22:13:20 host1 ", Complaints()))


def feed(reader: Reader, *lines: str | None) -> list[str]:
    """The texts of lines, cut as the line splitter cuts them; PASS ends a pass and shows as `|`."""
    splitter = LineSplitter(reader.line_limit)
    texts: list[str] = []
    at = 0
    for line in lines:
        if line is None:
            found = reader.tick()
            texts += [text.decode("latin-1") for text in found] + ["|"]
            continue
        data = line.encode("latin-1") + b"\n"
        complete, starts = splitter.feed_with_starts(data, at)
        at += len(data)
        texts += [text.decode("latin-1") for text in reader.read(complete, starts)]
    return texts


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    handler = LogLines()
    logger = logging.getLogger("ossec.logcollector")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


JAVA = ["Oct 10 10:00:00 h app: java.lang.X: y", "\tat a.b.C(C.java:1)", "\t... 3 more"]
CASES = [
    # format, attributes, lines, texts
    ("multiline", {"lines": "2"}, ["A" * 7000, "b", "c", "d"], ["A" * 5887 + " b", "c d"]),
    ("multiline", {"lines": "2"}, ["A" * 4000, "B" * 4000, "c", "d"], ["A" * 4000 + " " + "B" * 2121, "c d"]),
    ("multiline", {"lines": "3"}, ["a", PASS, "b", PASS, "c"], ["|", "|", "a b c"]),
    ("multiline", {"lines": "2"}, ["a\r", "b\r"], ["a b"]),
    ("multiline:2", {}, ["a", "", "c", "d"], ["a ", "c d"]),
    ("modsec_audit", {}, ["noise", "", "--x1-A--", "h", "", "--x1-Z--", ""], ["--x1-A-- h  --x1-Z--"]),
    (
        "modsec_audit",
        {},
        ["--x1-A--", "a", "--y2-A--", "b", "--x1-Z--", "--y2-Z--"],
        ["--x1-A-- a --x1-Z--", "--y2-A-- b --y2-Z--"],
    ),
    ("modsec_audit", {}, ["--x1-A--", "a", "--zz-B--", "--x1-Z--"], ["--x1-A-- a --zz-B-- --x1-Z--"]),
    ("modsec_audit", {}, ["--x1-A--", *["l"] * 200, "--x1-Z--"], ["--x1-A-- " + "l " * 200 + "--x1-Z--"]),
    (
        "modsec_audit",
        {},
        ["---Ab3dEf9h---A--", "q", "------=_Part_1", "---Ab3dEf9h---Z--"],
        ["---Ab3dEf9h---A-- q ------=_Part_1 ---Ab3dEf9h---Z--"],
    ),
    (
        "modsec_audit",
        {"interleave": "no"},
        ["--x1-A--", "--y2-A--", "b", "--y2-Z--", "--x1-Z--"],
        ["--x1-A-- --y2-A-- b --y2-Z-- --x1-Z--"],
    ),
    ("modsec_audit", {"timeout": "2"}, ["--x1-A--", PASS, "a", PASS, PASS, PASS], ["|", "|", "|", "--x1-A-- a", "|"]),
    ("modsec_audit", {}, ["--x1-A--", "--x1-A--", "--x1-Z--"], ["--x1-A-- --x1-A-- --x1-Z--"]),
    (
        "regex",
        {"start_regex": r"^\d\d\d\d-"},
        ["x", "2024-01 a", "\tb", "2024-02 c", *[PASS] * 6],
        ["2024-01 a \tb", "|", "|", "|", "|", "|", "2024-02 c", "|"],
    ),
    (
        "regex",
        {"start_regex": "^start", "end_regex": "^stop"},
        ["start 1", "a", "start 2", "stop", "z"],
        ["start 1 a", "start 2 stop"],
    ),
    (
        "regex",
        {"start_regex": "^Start", "flags": "c"},
        ["start", "Start", "x", *[PASS] * 6],
        [*"|||||", "Start x", "|"],
    ),
    ("regex", {"start_regex": "^START"}, ["start", "x", *[PASS] * 6], [*"|||||", "start x", "|"]),
    (
        "regex",
        {"start_regex": r"^BEGIN (\w+)", "end_regex": r"^END \1"},
        ["BEGIN a", "x", "END b", "END a", "y"],
        ["BEGIN a x END b END a"],
    ),
    (
        "regex",
        {"start_regex": r"^BEGIN (\S+)", "end_regex": r"^END \1$"},
        ["BEGIN a.c", "END abc", "END a.c", "BEGIN x", "BEGIN y", "END x"],
        ["BEGIN a.c END abc END a.c", "BEGIN x BEGIN y END x"],
    ),
    (
        "regex",
        {"start_regex": r"^--(\w+)-A--$", "end_regex": r"^--\1-Z--$"},
        ["--x1-A--", "h", "--x2-Z--", "--x1-Z--"],
        ["--x1-A-- h --x2-Z-- --x1-Z--"],
    ),
    ("regex", {"start_regex": "^a", "end_regex": "b$", "timeout": "1"}, ["ab", "a", PASS, PASS], ["ab", "|", "a", "|"]),
    ("regex", {"start_regex": "^[ab]{2}$", "flags": "cp"}, ["AB", "ab", "x", "ba"], ["ab x"]),
    (
        "linux_auditd",
        {"window": "1"},
        [
            "type=AVC msg=audit(1.1:12): a",
            "type=AVC msg=audit(1.1:1): b",
            "type=SYSCALL msg=audit(1.1:12): c",
            PASS,
            PASS,
        ],
        ["|", "type=AVC msg=audit(1.1:12): a type=SYSCALL msg=audit(1.1:12): c", "type=AVC msg=audit(1.1:1): b", "|"],
    ),
    ("linux_auditd", {"timeout": "2"}, [A + "X1", PASS, A + "X2", PASS, PASS, PASS], [*"|||", f"{A}X1 {A}X2", "|"]),
    (
        "regex_id",
        {"id_regex": r"id=(\w+)", "window": "1"},
        ["id=a 1", "id=b 1", "none", "id=a 2", PASS, PASS],
        ["none", "|", "id=a 1 id=a 2", "id=b 1", "|"],
    ),
    (
        "regex_id",
        {"id_regex": r"msg=audit\((\d+.\d+:\d+)", "window": "1"},
        ["type=A msg=audit(1.1:7): a", "type=B msg=audit(1.1:7): b", PASS, PASS],
        ["|", "type=A msg=audit(1.1:7): a type=B msg=audit(1.1:7): b", "|"],
    ),
    ("syslog", {"join_indented": "yes"}, ["e", "  f", "\tg", "h", PASS, PASS], ["e f g", "|", "h", "|"]),
    (
        "syslog",
        {"join_indented": "yes"},
        [*JAVA, PASS, PASS],
        ["|", "Oct 10 10:00:00 h app: java.lang.X: y at a.b.C(C.java:1) ... 3 more", "|"],
    ),
    (
        "syslog",
        {"join_indented": "yes", "continuation_regex": r"^Caused by:|^... "},
        ["x", "Caused by: y", "\tat z", "... 3 more", "n"],
        ["x Caused by: y at z ... 3 more"],
    ),
    ("json", {}, ['{"a": 1}'], ['{"a": 1}']),
    ("docker", {}, ['{"log":"a\\n","stream":"stdout"}', '{"log":"b"}', '{"log":"c\\n"}', "no"], ["a", "bc", "no"]),
]


@pytest.mark.parametrize(("log_format", "attributes", "lines", "texts"), CASES)
def test_a_worked_example(
    log_format: str, attributes: dict[str, str], lines: list[str | None], texts: list[str]
) -> None:
    assert feed(make(log_format, **attributes), *lines) == texts


@pytest.mark.parametrize(
    ("attributes", "passes"),
    [
        ({"timeout": "1"}, [[], [f"{A}B1"], [], [f"{A}A1 {A}A2 {A}A3", f"{A}B2"]]),
        ({"window": "1"}, [[], [f"{A}A1 {A}A2", f"{A}B1"], [], [f"{A}A3", f"{A}B2"]]),
    ],
)
def test_the_timers_of_auditd(attributes: dict[str, str], passes: list[list[str]]) -> None:
    """Section 7.4's table: A and B are two records."""

    def named(text: str) -> str:
        return text.replace("(1.1:1)", "(1.1:2)") if "B" in text else text

    reader = make("linux_auditd", **attributes)
    sent = []
    for lines in (["A1", "B1"], ["A2"], ["A3", "B2"], []):
        texts = feed(reader, *[named(A + line) for line in lines], PASS)
        sent.append(texts[:-1])
    assert sent == [[named(text) for text in texts] for texts in passes]


def test_an_over_long_record_keeps_the_reader_in_step(log_lines: list[str]) -> None:
    reader = make("linux_auditd", window="1")
    lines = [f"{A}{number:02d}" + "x" * 975 for number in range(40)]
    texts = feed(reader, *lines, "type=Y msg=audit(1.1:2): b", PASS, PASS)
    assert texts[1] == " ".join(lines)[:ROOM]
    assert texts[2] == "type=Y msg=audit(1.1:2): b"
    whole = len(" ".join(lines))
    shown = " ".join(lines)[:4096]
    assert log_lines == [f"ossec-logcollector: Large message size(length={whole}): '{shown}...'"]


def test_what_is_held_is_bounded() -> None:
    reader = make("linux_auditd", window="3600")
    assert isinstance(reader, Holding)
    sent = feed(reader, *[f"type=X msg=audit(1.1:{number}): a" for number in range(MAX_OPEN + 5)])
    assert sent == [f"type=X msg=audit(1.1:{number}): a" for number in range(5)], "the oldest go first"
    feed(reader, *[f"type=X msg=audit(2.2:{number}): " + "x" * 6000 for number in range(400)])
    assert sum(record.kept for record in reader.records.values()) <= MAX_HELD
    assert len(reader.records) > 100, "and no more than need be"


def test_held_records_say_from_where_to_read_again() -> None:
    reader = make("modsec_audit")
    assert reader.oldest() is None
    feed(reader, "noise", "--x1-A--", "a")
    assert reader.oldest() == len("noise\n")
    assert reader.flush() == [b"--x1-A-- a"]
    assert reader.oldest() is None


def test_formats_of_others_are_refused() -> None:
    with pytest.raises(BadFormat):
        make("nonesuch")


def test_too_long_lines_and_nuls() -> None:
    splitter = LineSplitter(5)
    assert splitter.feed(b"\0\0abcdefg\na\0\0b\n\0") == [b"abcde", b"a b"]
    assert [(line.length, line.text) for line in splitter.too_long] == [(7, b"abcde")]
    assert splitter.pending_raw == 1
    assert splitter.feed(b"x\n") == [b"x"]
    assert splitter.feed(b"unfinished") == []
    assert splitter.finish() == [b"unfin"]
