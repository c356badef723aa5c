"""No line of 6 KB stalls a pattern, whatever the pattern: the classic bombs, in a process that can be killed."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ossec.regex import PatternError, compile_match, compile_pcre2, compile_regex, given_up

SIZE = 6144  # the longest message
SECONDS = 2.0  # for one call: ten times what the worst one takes here
MINUTES = 120  # seconds for all of them, and then the process is killed

REGEX = [
    r"(\.+)*x",
    r"\.+a\.+b\.+c\.+d!",
    r"(\.+)(\.+)(\.+)(\.+)(\.+)!",
    r"\w+\w+\w+\w+\w+!",
    r"(\S+)(\S+)(\S+)(\S+)(\S+) !",
    r"\d+.\d+.\d+.\d+.\d+!",
    r"\.*\.*\.*\.*\.*\.*!$",
    r"(\w+|\S+|\.+)x(\w+|\S+|\.+)y!",
    r"^(\.+) (\.+) (\.+)$!",
    r"(\.+)\p(\.+)\p(\.+)\p(\.+)%%",
]
PCRE2 = [
    r"(a|a)*$!",
    r"(a+)+!",
    r"^(a+)+$",
    r"(.*a){12}!",
    r"(a*)*!",
    r"((a|b)*|(c|d)*)*!",
    r"(?=(a+)+!)a",
    r"(\w+)\s+\1\s+\1!",
    r"(?=.*a.*b.*c.*d.*!)x?",
    r"(?=.*a.*b.*c.*d.*)x?(?<!a)(?<=!)",
    r"(?:.|\n)*(?=!)",
    r"(a|aa)+(?!a)$!",
    r"(?>a+)+!",
    r"(?>(?:.*a)*)(?!a)(?<=!)",
    r"(.*)(.*)(.*)(.*)(?=!)",
    r"^(?:(?:a|a)|(?:a|a))*(?<!a)$",
    r"(x+x+)+y(?=!)",
    r"(\S+)(\S+)(\S+)(\S+)\1!",
    "a?" * 25 + "a" * 25 + "!",
    "|".join("a" * count + "!" for count in range(1, 60)),
    r"(?:a?b?c?d?){8}!",
    r".*.*.*!",
    r"\s+$!",
    r"[ab]+[bc]+[cd]+[da]+!",
    r"(?:\d{1,3}\.){3}\d{1,3}!",
    r'([^"]*")*(?=!)',
    r"(?s)(.*?,){11}P",
    r"(*COMMIT)(a+)+(?=!)",
    r"(?x)(a+)+(?=!) # a comment",
]
LINES = [
    b"a" * SIZE,
    b"a" * (SIZE - 1) + b"!",
    b"abcd" * (SIZE // 4),
    b"a " * (SIZE // 2),
    b"1." * (SIZE // 2),
    b" " * SIZE,
    b'x="' * (SIZE // 3),
    b"a\n" * (SIZE // 2),
    "é".encode() * (SIZE // 2),
    b"\xff" * SIZE,
    b'foo bar 1.2.3.4 a=b "c" [d] (e): ' * 186,
]
CUTS = [60, 100, 300, 700, SIZE]  # the engines change with the length


def explode() -> None:
    """Run every pattern on every line; exit with the first that takes too long."""
    logging.disable()
    matchers = [compile_regex(pattern) for pattern in REGEX] + [compile_pcre2(pattern) for pattern in PCRE2]
    matchers.append(compile_match("|".join("a" * count + "!" for count in range(40, 0, -1))))
    for matcher in matchers:
        for line in LINES:
            for cut in CUTS:
                begin = time.process_time()
                found = matcher.search(line[:cut])
                spent = time.process_time() - begin
                if spent > SECONDS:
                    sys.exit(f"{matcher} took {spent:.1f} s on {cut} bytes of {line[:20]!r}")
                if matcher.bounded is None:
                    assert matcher.test(line[:cut]) == (found is not None)


def test_no_line_stalls_a_pattern() -> None:
    command = [sys.executable, "-c", "from tests.unit.regex.test_bombs import explode; explode()"]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], timeout=MINUTES, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_a_run_that_stops_ossec_is_matched() -> None:
    found = compile_regex(r"^(\.+) end (\.*)$").search(b"x" * 6000 + b" end of it")
    assert found is not None
    assert [len(group) for group in found.groups] == [6000, 5]


def test_a_match_that_gives_up_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    matcher = compile_pcre2(r"(a+)+(?=[!?])(?<!a)")
    assert matcher.bounded is not None
    before = given_up()
    with caplog.at_level(logging.WARNING, "ossec.regex"):
        for _ in range(3):
            assert not matcher.test(b"a" * 2000 + b"!")
    assert matcher.bounded.exceeded == 3
    assert given_up() == before + 3
    assert len(caplog.records) == 1
    assert "(a+)+" in caplog.text


def test_a_wrong_pattern_stays_wrong_inside_the_bound() -> None:
    for pattern in ("(?=a)b)(c", "(?=a", "(?<=a+)b", r"(a)\2", "(?<!", r"(?=a)\x{100}", r"(?=a)\u0061", r"(?=a)\x{}"):
        with pytest.raises(PatternError) as caught:
            compile_pcre2(pattern)
        assert caught.value.code == 6


@pytest.mark.parametrize(
    ("pattern", "line", "end"),
    [
        (r"(?=A)\x{41}b", b"..ab", 4),
        (r"(?=A)\x41\x{062}", b"..ab", 4),
        (r"(?=a)a{,2}", b"aa a{,2}", 8),
        (r"(?=.)\Q\x{41}\E", rb"a \x{41}", 8),
        (r"(?=\\)\\x\{41}", rb"\x{41}", 6),
    ],
)
def test_bounded_patterns_are_read_as_by_the_pcre2_of_ossec(pattern: str, line: bytes, end: int) -> None:
    matcher = compile_pcre2(pattern)
    assert matcher.bounded is not None
    found = matcher.search(line)
    assert found is not None
    assert found.end == end
