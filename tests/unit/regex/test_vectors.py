"""Every pattern case recorded from OSSEC 4.3, and its translations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.regex import PatternError, compile_match, compile_pcre2, compile_regex, to_pcre2, word_match

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "regex"
COMPILE = {"osregex": compile_regex, "osmatch": compile_match, "pcre2": compile_pcre2}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / name).read_text(encoding="utf-8").split("\n") if line]


def text_of(row: dict[str, Any], key: str) -> bytes:
    text = row[key]
    return bytes.fromhex(row[key + "_hex"]) if text is None else text.encode("utf-8")


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """What ours says, in the form of the recorded row."""
    pattern, subject = text_of(row, "pattern"), text_of(row, "subject")
    if row["engine"] == "wordmatch":
        return {"matched": word_match(pattern, subject)}
    try:
        matcher = COMPILE[row["engine"]](pattern)
    except PatternError as error:
        return {"compile_error": error.code}
    if row["engine"] == "osmatch":
        return {"matched": matcher.test(subject)}
    found = matcher.search(subject)
    assert matcher.test(subject) == (found is not None)
    return {
        "matched": found is not None,
        "end": None if found is None else found.end,
        "groups": [] if found is None else list(found.groups),
    }


def recorded(row: dict[str, Any]) -> dict[str, Any]:
    if "compile_error" in row:
        return {"compile_error": row["compile_error"]}
    if row["engine"] in ("osmatch", "wordmatch"):
        return {"matched": row["matched"]}
    if "groups_hex" in row:
        groups = [bytes.fromhex(group) for group in row["groups_hex"]]
    else:
        groups = [group.encode() for group in row["groups"]]
    return {"matched": row["matched"], "end": row["end"], "groups": groups}


ROWS = rows("regex.jsonl")

DELIBERATE = {"invalid-utf8": 46, "jit-limit": 7, "utf8": 1}
"""Rows by section where OSSEC never matches and ours does: one bad byte in the line or the pattern, a long run."""


@pytest.mark.parametrize("section", sorted({row["section"] for row in ROWS}))
def test_patterns_answer_as_recorded(section: str) -> None:
    wrong = []
    better = 0
    for row in ROWS:
        if row["section"] != section:
            continue
        ours, theirs = answer(row), recorded(row)
        if ours == theirs:
            continue
        if section in DELIBERATE and theirs["matched"] is False and ours["matched"] is True:
            better += 1
            continue
        wrong.append((row["n"], row["engine"], text_of(row, "pattern"), text_of(row, "subject")[:60], ours))
    assert not wrong, (len(wrong), wrong[:20])
    assert better == DELIBERATE.get(section, 0)


def test_translations_are_those_of_ossec() -> None:
    wrong = [row for row in rows("convert.jsonl") if to_pcre2(row["map"], row["pattern"]) != row["pcre2"]]
    assert not wrong, wrong[:20]
