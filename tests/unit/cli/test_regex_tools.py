"""ossec-regex and ossec-regex-convert, as OSSEC's answered and what ours add."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ossec.cli import regex, regex_convert

FOUND = "+OSRegex_Execute: {0}\n+OS_Regex       : {0}\n+OSMatch_Compile: {0}\n+OS_Match2      : {0}\n"


@pytest.mark.parametrize(
    ("arguments", "lines", "status", "output"),
    [
        (["a"], "abc\nxyz\na\n", 0, FOUND.format("abc")),
        ([], "abc\n", 1, "\nOSSEC HIDS ossec-regex: ossec-regex pattern\n"),
        (["a", "b"], "abc\n", 1, "\nOSSEC HIDS ossec-regex: ossec-regex pattern\n"),
        (["b|x"], "abc\n\nxyz\nq\n1\n", 0, FOUND.format("abc") + FOUND.format("xyz")),
        (["a(b"], "abc\n", 255, "pattern does not compile with OSRegex_Compile\n"),
        (["^abc$"], "ABC\nabcd\n", 0, FOUND.format("ABC")),
        (["\\d+"], "a12\n", 0, "+OSRegex_Execute: a12\n+OS_Regex       : a12\n"),
        (["-x"], "a -x\n", 0, FOUND.format("a -x")),
        (["--", "-j"], "a -j\n", 0, FOUND.format("a -j")),
    ],
)
def test_ossec_regex_answers_as_recorded(arguments: list[str], lines: str, status: int, output: str) -> None:
    done = CliRunner().invoke(regex.command, arguments, input=lines)
    assert (done.exit_code, done.stdout, done.stderr) == (status, output, "")


def test_lines_come_back_byte_for_byte() -> None:
    done = CliRunner().invoke(regex.command, ["abc"], input=b"\xffabc\r\n")
    assert done.stdout_bytes.startswith(b"+OSRegex_Execute: \xffabc\r\n")


def test_a_refused_pattern_is_explained() -> None:
    done = CliRunner().invoke(regex.command, ["-j", "a\\/b"], input="")
    assert "unknown escape \\/" in json.loads(done.stdout.splitlines()[0])["message"]


def test_json_answers_for_every_engine() -> None:
    done = CliRunner().invoke(regex.command, ["-j", "(\\d+)"], input=b"a12\xff\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["engine"], one["matched"], one["end"], one["groups"]) for one in answers] == [
        ("regex", True, 3, ["12"]),
        ("match", False, None, []),
        ("pcre2", True, 3, ["12"]),
    ]
    assert answers[0]["line"] == "a12\\xff"


def test_json_says_which_engine_refuses() -> None:
    done = CliRunner().invoke(regex.command, ["-j", "(a"], input="(a\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["engine"], one.get("error"), one.get("matched")) for one in answers] == [
        ("regex", 6, None),
        ("pcre2", 6, None),
        ("match", None, True),
    ]


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_ends_well(flag: str) -> None:
    for command in (regex.command, regex_convert.command):
        done = CliRunner().invoke(command, [flag])
        assert done.exit_code == 0
        assert "PATTERN" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        (["\\d+ a.b"], 0, "pattern = \\d+ a.b\nregex   = [0-9]+? a\\.b\nmatch   = \\\\d\\+ a\\.b\n"),
        (["-r", "a$"], 0, "pattern = a$\nregex   = a(?!\\n)$\n"),
        (["-m", "a$", "b."], 0, "pattern = a$\nmatch   = a$\npattern = b.\nmatch   = b\\.\n"),
        (["-b", "prematch", "^\\s"], 0, "prematch_pcre2\n^[ ]\n"),
        (["-b", "url", "\\d"], 0, "url_pcre2\n\\\\d\n"),
        (["-b", "regex", "\\q"], 255, "pcre2\n"),
        (["-b", "nothing", "a"], 1, ""),
    ],
)
def test_conversions(arguments: list[str], status: int, output: str) -> None:
    done = CliRunner().invoke(regex_convert.command, arguments)
    assert (done.exit_code, done.stdout) == (status, output)


def test_every_element_has_a_new_name() -> None:
    done = CliRunner().invoke(regex_convert.command, ["-t"])
    assert "regex pcre2\n" in done.stdout
    assert len(done.stdout.splitlines()) == 14
