"""ossec-regex: which of the lines on standard input a pattern finds.  spec/regex.md §10."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import click

from ossec import __version__
from ossec.regex import Matcher, PatternError, compile_match, compile_pcre2, compile_regex

USAGE = "\nOSSEC HIDS ossec-regex: ossec-regex pattern\n"
MIN_LINE = 2  # bytes; shorter lines are skipped
REFUSED = 255

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "ignore_unknown_options": True}


@click.command(context_settings=CONTEXT)
@click.option("-j", "--json", "as_json", is_flag=True, help="One JSON object for each line and engine.")
@click.version_option(__version__, "--version", message="ossec-regex (OSSEC in Python) %(version)s")
@click.argument("patterns", nargs=-1, metavar="PATTERN", type=click.UNPROCESSED)
def command(patterns: tuple[str, ...], as_json: bool) -> None:
    """Read lines from standard input and print those that PATTERN finds, once as a regex and once as a match.

    With -j a refused pattern is explained and every line is answered, by the engines regex (OS_Regex), match (OS_Match)
    and pcre2: whether it matched, the byte after the match and what its groups captured.  Put -- before a pattern that
    begins with -j or -h.
    """
    if len(patterns) != 1:
        click.echo(USAGE, nl=False)
        sys.exit(1)
    lines = sys.stdin.buffer
    out = sys.stdout.buffer
    try:
        if as_json:
            _answer_json(patterns[0], lines, out)
        else:
            sys.exit(_answer(patterns[0], lines, out))
    except BrokenPipeError:
        sys.exit(1)


def _answer(pattern: str, lines: BinaryIO, out: BinaryIO) -> int:
    """OSSEC's output: two lines for each engine that found something."""
    try:
        regex = compile_regex(pattern)
    except PatternError:
        return _refuse("OSRegex_Compile")
    try:
        match = compile_match(pattern)
    except PatternError:
        return _refuse("OSMatch_Compile")
    for line in _read(lines):
        if regex.test(line):
            out.write(b"+OSRegex_Execute: %b\n+OS_Regex       : %b\n" % (line, line))
        if match.test(line):
            out.write(b"+OSMatch_Compile: %b\n+OS_Match2      : %b\n" % (line, line))
        out.flush()
    return 0


def _refuse(engine: str) -> int:
    click.echo(f"pattern does not compile with {engine}")
    return REFUSED


def _answer_json(pattern: str, lines: BinaryIO, out: BinaryIO) -> None:
    """Every line, every engine; a pattern that an engine refuses is answered once, with `error`."""
    matchers: list[Matcher] = []
    for kind, compile_one in (("regex", compile_regex), ("match", compile_match), ("pcre2", compile_pcre2)):
        try:
            matchers.append(compile_one(pattern))
        except PatternError as error:
            _write(out, {"engine": kind, "error": error.code, "message": str(error)})
    for line in _read(lines):
        for matcher in matchers:
            found = matcher.search(line)
            _write(
                out,
                {
                    "line": _text(line),
                    "engine": matcher.kind,
                    "matched": found is not None,
                    "end": None if found is None else found.end,
                    "groups": [] if found is None else [_text(group) for group in found.groups],
                },
            )
        out.flush()
    if not matchers:
        sys.exit(REFUSED)


def _read(lines: BinaryIO) -> Iterator[bytes]:
    for line in lines:
        text = line.rstrip(b"\n")
        if len(text) >= MIN_LINE:
            yield text


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


def _write(out: BinaryIO, answer: dict[str, object]) -> None:
    out.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")


def main() -> None:
    """Run the tool."""
    command(prog_name="ossec-regex")


if __name__ == "__main__":
    main()
