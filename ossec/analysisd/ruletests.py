"""Examples of what decoders and rules must say, as a rule author writes them down: files to `Example` values.

Two forms.  A folder: `events.log`, one line each, and `expect.json`, a list with one entry for each line:

    {"rule": 5716, "level": 5, "decoder": "sshd", "fields": {"srcip": "192.0.2.7"}, "groups": ["syslog", "sshd"]}

What an entry leaves out is not looked at; `null` instead of an entry: no decoder and no rule.  `before`, `given`,
`place`, `at`, `benign` are told in the docstring of `Example`.  And an .ini file as OSSEC's own rule tests have it:

    [title]
    log 1 pass = LINE      must come out so
    log 2 fail = LINE      must not
    rule = 5716
    alert = 5              the level
    decoder = sshd

In an .ini file `%%` stands for `%`.  Mistakes raise `BadRuleTest` with file and line.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ossec.errors import ConfigError

EVENTS, EXPECT = "events.log", "expect.json"
PLACE = "/var/log/syslog"
MAX_FILE = 64 * 1024 * 1024  # bytes of one file of examples: some 300,000 lines
MAX_BEFORE = 10_000  # lines that come before one example; more than any rule can count

NOTHING: dict[str, Any] = {"rule": None, "level": None, "decoder": None, "fields": {}}
COMPARED: dict[str, tuple[type, ...]] = {
    "rule": (int, type(None)),
    "level": (int, type(None)),
    "decoder": (str, type(None)),
    "fields": (dict,),
    "groups": (list,),
}
CIRCUMSTANCES: dict[str, tuple[type, ...]] = {
    "before": (list,),
    "given": (str,),
    "place": (str,),
    "at": (str,),
    "benign": (bool,),
    "why": (str,),
}
KEYS = {**COMPARED, **CIRCUMSTANCES}
INI_KEYS = ("rule", "alert", "decoder")

_BETWEEN = re.compile(r"[\s,]*")
_SECTION = re.compile(r"\[(.*)\]\s*\Z")
_LOG = re.compile(r"log\s+(\S.*?)\s+(pass|fail)\Z")


class BadRuleTest(ConfigError):
    """A file of examples that cannot be read."""


@dataclass(frozen=True, slots=True)
class Example:
    """One line and what must become of it.

    `expected`: the keys of `COMPARED` that count (None: nothing may be found), and of the circumstances `benign` and
    `why`, which only people and the house's own tests read.  `before`: the lines that came before, one second apart,
    from the same place, as (line, given).  `given`: the decoder that a database (of files, of rootcheck) names.
    """

    family: str  # the folder's or the file's name
    number: int  # the line of events.log, or of the .ini file; from 1, as an editor counts
    line: bytes
    expected: dict[str, Any] | None
    before: tuple[tuple[bytes, str | None], ...] = ()
    path: Path = field(default=Path(), compare=False)
    title: str = ""  # the section of an .ini file
    holds: bool = True  # False: it must NOT come out so

    @property
    def given(self) -> str | None:
        """The decoder that is already known."""
        return None if self.expected is None else self.expected.get("given")

    @property
    def place(self) -> str:
        """Where the line was read."""
        return PLACE if self.expected is None else self.expected.get("place", PLACE)

    @property
    def at(self) -> float | None:
        """When it came, if that matters: seconds since the epoch."""
        text = None if self.expected is None else self.expected.get("at")
        return None if text is None else parse_time(text)

    @property
    def compared(self) -> dict[str, Any]:
        """What must be found, by key."""
        wanted = NOTHING if self.expected is None else self.expected
        return {key: wanted[key] for key in COMPARED if key in wanted}

    def __str__(self) -> str:
        name = self.path.name or EVENTS
        return f"{self.family}/{name}:{self.number}" if name == EVENTS else f"{name}:{self.number}"


def parse_time(text: str) -> float:
    """`2024-01-06 03:00` in local time; ValueError."""
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M"))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise BadRuleTest(f"it is larger than {MAX_FILE} bytes", path)
        return path.read_bytes()
    except OSError as error:
        raise BadRuleTest(f"cannot be read: {error.strerror}", path) from None


# --- folders ---


def read_folder(folder: Path) -> list[Example]:
    """The examples of a folder; BadRuleTest."""
    events, expect = folder / EVENTS, folder / EXPECT
    lines = _read(events).split(b"\n")
    if not lines[-1]:
        lines.pop()
    entries, text = _entries(expect)
    for number, entry in enumerate(entries, 1):
        try:
            if entry is not None:
                _check_entry(entry)
        except _BadEntry as error:
            raise BadRuleTest(f"entry {number}: {error}", expect, _line_of(text, number)) from None
    if len(lines) != len(entries):
        raise BadRuleTest(f"{len(entries)} entries for the {len(lines)} lines of {EVENTS}: one each", expect)
    examples = []
    for number, (line, entry) in enumerate(zip(lines, entries, strict=True), 1):
        try:
            before = tuple(_before(entry, lines, entries)) if entry else ()
        except _BadEntry as error:
            raise BadRuleTest(f"entry {number}: {error}", expect, _line_of(text, number)) from None
        examples.append(Example(folder.name, number, line, entry, before, events))
    return examples


class _BadEntry(Exception):
    """What is wrong with one entry."""


def _entries(path: Path) -> tuple[list[dict[str, Any] | None], str]:
    """The entries and their text."""
    try:
        text = _read(path).decode("utf-8")
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadRuleTest(f"no JSON: {error.msg} (column {error.colno})", path, error.lineno) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadRuleTest(f"no JSON: {error}", path) from None
    if not isinstance(entries, list):
        raise BadRuleTest("a list is wanted, with one entry for each line", path)
    return entries, text


def _line_of(text: str, number: int) -> int:
    """The line on which entry `number` of a JSON list begins."""
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    for left in range(number - 1, -1, -1):
        at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if left:
            _, at = decoder.raw_decode(text, at)
    return text.count("\n", 0, at) + 1


def _check_entry(entry: Any) -> None:
    if not isinstance(entry, dict):
        raise _BadEntry(f"an object or null is wanted, not {json.dumps(entry)[:40]}")
    for key, value in entry.items():
        kinds = KEYS.get(key)
        if kinds is None:
            raise _BadEntry(f"unknown key '{key}'{_near(key, KEYS)}")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise _BadEntry(f"'{key}' cannot be {json.dumps(value)[:40]}")
    if not entry.keys() & COMPARED.keys():
        raise _BadEntry(f"it expects nothing: give one of {' '.join(COMPARED)}")
    if "at" in entry:
        try:
            parse_time(entry["at"])
        except (ValueError, OverflowError):
            raise _BadEntry(f"'at' wants '2024-01-06 03:00', not '{entry['at']}'") from None


def _before(
    entry: dict[str, Any], lines: list[bytes], entries: list[dict[str, Any] | None]
) -> Iterator[tuple[bytes, str | None]]:
    total = 0
    for pair in entry.get("before", ()):
        match pair:
            case [int(which), int(times)] if 1 <= which <= len(lines) and times >= 1:
                total += times
            case _:
                raise _BadEntry(f"'before' wants [line, times], not {json.dumps(pair)[:40]}")
        if total > MAX_BEFORE:
            raise _BadEntry(f"more than {MAX_BEFORE} lines come before it")
        earlier = entries[which - 1] or {}
        for _ in range(times):
            yield lines[which - 1], earlier.get("given")


# --- .ini files ---


@dataclass(slots=True)
class _Section:
    title: str
    line: int
    values: dict[str, str] = field(default_factory=dict)
    logs: list[tuple[int, str, bool]] = field(default_factory=list)  # (line, log, holds)


def read_ini(path: Path, warnings: list[str] | None = None) -> list[Example]:
    """The examples of an .ini file; BadRuleTest.  `warnings` receives what was passed over, with file and line."""
    text = _read(path).decode("utf-8", "surrogateescape")
    sections: list[_Section] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip("\r")
        if not line.strip() or line.startswith(("#", ";")):
            continue
        header = _SECTION.match(line)
        if header:
            sections.append(_Section(header[1], number))
            continue
        if not sections:
            raise BadRuleTest("a [title] must come first", path, number)
        _ini_line(sections[-1], line, path, number, warnings)
    for section in sections:
        if not section.logs and warnings is not None:
            warnings.append(f"{path}:{section.line}: [{section.title}] tries nothing: it has no 'log 1 pass = LINE'")
    return [example for section in sections for example in _ini_examples(section, path)]


def _ini_line(section: _Section, line: str, path: Path, number: int, warnings: list[str] | None) -> None:
    name, equals, value = line.partition("=")
    name = " ".join(name.lower().split())
    value = value.strip().replace("%%", "%")
    found = _LOG.match(name) if equals else None
    if found:
        section.logs.append((number, value, found[2] == "pass"))
    elif equals and name in INI_KEYS:
        if name in section.values:
            raise BadRuleTest(f"[{section.title}]: '{name}' is given twice", path, number)
        if name != "decoder" and not (value.isascii() and value.isdigit()):
            raise BadRuleTest(f"[{section.title}]: '{name}' wants a number, not '{value}'", path, number)
        section.values[name] = value
    elif warnings is not None:
        near = _near(name.split(" ")[0], (*INI_KEYS, "log"))
        warnings.append(f"{path}:{number}: neither 'log N pass', 'log N fail', rule, alert nor decoder{near}")


def _ini_examples(section: _Section, path: Path) -> Iterator[Example]:
    values = section.values
    if not values:
        raise BadRuleTest(f"[{section.title}]: it expects nothing: give rule, alert, decoder", path, section.line)
    expected: dict[str, Any] = {}
    for name, key in (("rule", "rule"), ("alert", "level")):
        if name in values:
            expected[key] = int(values[name])
    if "decoder" in values:
        expected["decoder"] = values["decoder"]
    for number, log, holds in section.logs:
        line = log.encode("utf-8", "surrogateescape")
        yield Example(path.stem, number, line, expected, path=path, title=section.title, holds=holds)


def _near(word: str, known: Iterable[str]) -> str:
    found = get_close_matches(word, list(known), 1)
    return f", did you mean '{found[0]}'?" if found else ""


# --- both ---


def find(path: Path) -> list[Path]:
    """The .ini files and example folders at or below `path`, in order; BadRuleTest when there is none."""
    if path.is_file():
        if path.suffix == ".ini":
            return [path]
        if path.name in (EVENTS, EXPECT):
            return [path.parent]
        raise BadRuleTest(f"neither an .ini file nor a folder with {EVENTS} and {EXPECT}", path)
    if not path.is_dir():
        raise BadRuleTest("there is no such file or folder", path)
    found = {one for one in path.rglob("*.ini") if one.is_file()}
    found |= {one.parent for name in (EVENTS, EXPECT) for one in path.rglob(name)}
    if not found:
        raise BadRuleTest(f"no .ini file and no folder with {EVENTS} and {EXPECT} in it", path)
    return sorted(found)


def read(path: Path, warnings: list[str] | None = None) -> list[Example]:
    """The examples of an .ini file or of one folder; BadRuleTest."""
    return read_folder(path) if path.is_dir() else read_ini(path, warnings)
