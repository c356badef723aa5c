"""Files of examples: read, or refused with file and line."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossec.analysisd.ruletests import BadRuleTest, find, parse_time, read, read_folder, read_ini

INI = """; a comment
[first title]
log 1 pass = Nov 14 22:13:20 h1 app[7]: 100%% a = b
log 2 fail = nothing
rule = 100
alert = 5
decoder = app

[second]
log 1 pass = x
rule = 7
Alert=0
"""


def folder(path: Path, lines: bytes, entries: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "events.log").write_bytes(lines)
    (path / "expect.json").write_text(entries if isinstance(entries, str) else json.dumps(entries))
    return path


def test_an_ini_file_gives_its_examples(tmp_path: Path) -> None:
    path = tmp_path / "app.ini"
    path.write_text(INI)
    first, second, third = read_ini(path)
    assert first.line == b"Nov 14 22:13:20 h1 app[7]: 100% a = b"
    assert first.compared == {"rule": 100, "level": 5, "decoder": "app"}
    assert (first.holds, second.holds) == (True, False)
    assert [str(one) for one in (first, second, third)] == ["app.ini:3", "app.ini:4", "app.ini:10"]
    assert (third.title, third.compared) == ("second", {"rule": 7, "level": 0})


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("log 1 pass = x\n", 1, "a [title] must come first"),
        ("[a]\nlog 1 pass = x\n", 1, "it expects nothing"),
        ("[a]\nlog 1 pass = x\nrule = five\n", 3, "'rule' wants a number, not 'five'"),
        ("[a]\nlog 1 pass = x\nrule = 5\nrule = 6\n", 4, "'rule' is given twice"),
    ],
)
def test_a_wrong_ini_file_is_told_by_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "app.ini"
    path.write_text(text)
    with pytest.raises(BadRuleTest) as caught:
        read_ini(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


def test_what_is_passed_over_is_told(tmp_path: Path) -> None:
    path = tmp_path / "app.ini"
    path.write_text("[a]\nlog 1 pass = x\nrules = 3\nrule = 3\n[b]\nrule = 4\n")
    warnings: list[str] = []
    assert len(read_ini(path, warnings)) == 1
    assert [line.partition(": ")[0] for line in warnings] == [f"{path}:3", f"{path}:5"]
    assert "did you mean 'rule'?" in warnings[0]


def test_a_folder_gives_its_examples(tmp_path: Path) -> None:
    entries = [
        {"rule": 5, "level": 3, "decoder": None, "fields": {}, "groups": ["a"]},
        None,
        {"rule": 9, "before": [[1, 3]], "place": "/x", "given": "rootcheck", "at": "2024-01-06 03:00", "why": "night"},
    ]
    first, second, third = read_folder(folder(tmp_path / "app", b"one\n\xfftwo\nthree\n", entries))
    assert first.compared == {"rule": 5, "level": 3, "decoder": None, "fields": {}, "groups": ["a"]}
    assert second.line == b"\xfftwo"
    assert second.compared == {"rule": None, "level": None, "decoder": None, "fields": {}}
    assert third.before == ((b"one", None),) * 3
    assert (third.place, third.given, third.at) == ("/x", "rootcheck", parse_time("2024-01-06 03:00"))
    assert str(third) == "app/events.log:3"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("[\n{,\n]", "expect.json:2: no JSON"),
        ({}, "a list is wanted"),
        ([], "0 entries for the 1 lines of events.log"),
        ([5], "entry 1: an object or null is wanted, not 5"),
        ([{"rulle": 5}], "entry 1: unknown key 'rulle', did you mean 'rule'?"),
        ([{"rule": "5"}], "entry 1: 'rule' cannot be \"5\""),
        ([{"rule": True}], "entry 1: 'rule' cannot be true"),
        ([{"benign": True}], "entry 1: it expects nothing"),
        ([{"rule": 5, "before": [[2, 1]]}], "entry 1: 'before' wants [line, times], not [2, 1]"),
        ([{"rule": 5, "before": [[1, 99999]]}], "more than 10000 lines"),
        ([{"rule": 5, "at": "noon"}], "'at' wants '2024-01-06 03:00', not 'noon'"),
    ],
)
def test_a_wrong_folder_is_told(tmp_path: Path, entries: Any, said: str) -> None:
    with pytest.raises(BadRuleTest) as caught:
        read_folder(folder(tmp_path / "app", b"line\n", entries))
    assert said in str(caught.value)


def test_a_wrong_entry_is_told_by_line(tmp_path: Path) -> None:
    entries = '[\n {"rule": 1},\n null,\n\n {"rule": 2,\n  "levle": 3}\n]\n'
    path = folder(tmp_path / "app", b"one\ntwo\nthree\n", entries)
    with pytest.raises(BadRuleTest) as caught:
        read_folder(path)
    said = f"{path}/expect.json:5: entry 3: unknown key 'levle', did you mean 'level'?"
    assert str(caught.value) == said


def test_a_folder_is_searched_for_both_forms(tmp_path: Path) -> None:
    one = folder(tmp_path / "a", b"", [])
    (tmp_path / "b").mkdir()
    ini = tmp_path / "b" / "x.ini"
    ini.write_text("")
    assert find(tmp_path) == [one, ini]
    assert find(one / "events.log") == [one]
    assert find(ini) == [ini]
    for nothing in (tmp_path / "none", tmp_path / "b" / "y"):
        with pytest.raises(BadRuleTest):
            find(nothing)


def test_half_a_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "events.log").write_text("x\n")
    with pytest.raises(BadRuleTest, match=r"expect\.json: cannot be read"):
        read(find(tmp_path)[0])


@settings(max_examples=200)
@given(data=st.binary(max_size=200) | st.text(alphabet='[]{}",:0129 \nabefnlortu', max_size=80).map(str.encode))
def test_any_bytes_are_examples_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.mkdir(exist_ok=True)
    (path / "x.ini").write_bytes(data)
    (path / "events.log").write_bytes(data)
    (path / "expect.json").write_bytes(data)
    with suppress(BadRuleTest):
        read_ini(path / "x.ini", [])
    with suppress(BadRuleTest):
        read_folder(path)
