"""Internal options, against what OSSEC's daemons said to the same files."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from ossec.config.internal import OPTIONS, SECTIONS, InternalOptions, InvalidOption, parse
from ossec.layout import Layout

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "tests" / "vectors" / "config" / "internal_options.jsonl"
ROWS = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
SHIPPED = (ROOT / "etc" / "internal_options.conf").read_text(encoding="utf-8")

QUIET = {"crlf", "long-line"}  # a blank line that ends in CR LF is blank, a long comment is a comment


def home(tmp_path: Path, row: dict[str, Any]) -> Layout:
    layout = Layout(tmp_path)
    layout.internal_options.parent.mkdir(parents=True)
    for path, content in (
        (layout.internal_options, row["internal_options"]),
        (layout.local_internal_options, row["local_internal_options"]),
    ):
        if content is None:
            continue
        if content == "SHIPPED":
            content = SHIPPED
        elif isinstance(content, dict):
            lines = [line for line in SHIPPED.splitlines() if line not in content["removed"]]
            added = [re.sub(r"\.\.\.\((\d+) chars\)", "x" * 3000, line) for line in content["added_lines"]]
            lines = added + lines if content["added_first"] else lines + added
            content = "".join(line + ("\r\n" if content["crlf"] else "\n") for line in lines)
            if row["name"] == "no-newline-at-end":
                content = content.removesuffix("\n")
        path.write_bytes(content.encode())
    return layout


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_a_daemon_stops_where_ossec_stops(row: dict[str, Any], tmp_path: Path) -> None:
    layout = home(tmp_path, row)
    program = row["binary"]
    options = InternalOptions.load(layout, program, quiet=True)
    lines: list[str] = []
    try:
        for name in OPTIONS:
            if name.partition(".")[0] in SECTIONS.get(program, ()):
                options.get(name)
    except InvalidOption as error:
        lines = [error.lines[0]]
    wanted = [line for line in row["stderr"] if "(2302)" in line]
    missing = any("(2301)" in line for line in row["stderr"])
    assert lines == wanted
    assert row["exit"] == (1 if wanted or missing else 0)
    notices = [notice for notice in options.notices if notice.level == logging.INFO]
    assert len(notices) == (
        1 if missing or row["name"] == "maild-missing" else 0
    )  # OSSEC's maild was not enabled there
    codes = {notice.code for notice in options.notices if notice.code}
    assert codes == ({1119} if any("(1119)" in line for line in row["stderr"]) and row["name"] not in QUIET else set())


def test_the_shipped_file_holds_every_option_with_its_default() -> None:
    definitions, notices = parse(SHIPPED.encode(), Path("internal_options.conf"))
    assert notices == []
    assert {name: definition.value for name, definition in definitions.items()} == {
        option.name: str(option.default) for option in OPTIONS.values()
    }


def test_without_files_the_defaults_hold_and_one_line_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ossec.config"):
        options = InternalOptions.load(Layout(tmp_path), "ossec-logcollector")
    assert options.get("logcollector.loop_timeout") == 2
    assert options.get("logcollector.resume") == 1
    names = ", ".join(f"logcollector.{name}" for name in ("loop_timeout", "open_attempts", "remote_commands", "debug"))
    assert [record.getMessage() for record in caplog.records] == [
        f"4 option(s) not set in internal_options.conf, built-in defaults used: {names}"
    ]


def test_a_check_finds_what_nobody_asks_for(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.internal_options.parent.mkdir()
    layout.local_internal_options.write_text("analysisd.ossec_compat=2\nlogcolector.resume=0\n", encoding="utf-8")
    found = [str(problem) for problem in InternalOptions.load(layout, quiet=True).check()]
    path = layout.local_internal_options
    assert found == [
        f"{path}:1: analysisd.ossec_compat wants a number from 0 to 1, got '2'",
        f"{path}:2: no option is called 'logcolector.resume'; did you mean logcollector.resume?",
    ]


def test_the_wrong_name_is_our_own_mistake() -> None:
    with pytest.raises(KeyError):
        InternalOptions().get("analysisd.nosuch")
