"""ossec-ruletest: whether decoders and rules say what their examples want (decisions.md, "Rule tests")."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ossec import __version__
from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.diagnostics import LoadError, Report
from ossec.analysisd.engine import Engine, EngineOptions
from ossec.analysisd.geoip import open_database
from ossec.analysisd.lists import FileLists
from ossec.analysisd.loading import load_engine
from ossec.analysisd.rehearsal import Difference, Judgement, Rehearsal, differences
from ossec.analysisd.rule_loader import LoadOptions, load_rules
from ossec.analysisd.ruletests import BadRuleTest, Example, find, read
from ossec.analysisd.stores import Stores
from ossec.config import ConfigurationError, dialect
from ossec.config import load as load_configuration
from ossec.config.dialect import DialectError
from ossec.config.internal import InternalOptions, InvalidOption
from ossec.config.kind import home_kind
from ossec.layout import Layout, find_home

PROGRAM = "ossec-ruletest"
OWN_NAME = b"localhost"  # what a line without a host name is said to come from, on every machine
AS_EXPECTED, OTHERWISE, NOT_TRIED = 0, 1, 2  # exit status
PROGRESS_AFTER, PROGRESS_EVERY = 1.0, 0.2  # seconds
CONFIGURATIONS = ("ossec.conf", "ossec-server.conf", "ossec-local.conf")  # of --rules DIR: the first names the rules
FIRST, LAST = "rules_config.xml", "local_rules.xml"

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class NotTried(Exception):
    """Nothing can be tried; `lines` say why."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Result:
    """One example, tried."""

    example: Example
    found: Judgement
    wrong: list[Difference]
    reason: str = ""


@click.command(context_settings=CONTEXT)
@click.argument("paths", nargs=-1, metavar="[FILE.ini|FOLDER]...", type=click.Path(path_type=Path))
@click.option("-r", "--rules", metavar="DIR", type=click.Path(path_type=Path),
              help="Try decoder.xml and rules/ of DIR instead of the home's.")  # fmt: skip
@click.option("-c", "config", metavar="FILE", help="Read this file instead of etc/ossec.conf.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("-x", "stop", is_flag=True, help="Stop at the first example that comes out otherwise.")
@click.option("-v", "verbose", is_flag=True, help="Tell of the examples that are as expected, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each example, then one for all.")
@click.version_option(__version__, "--version", message="ossec-ruletest (OSSEC in Python) %(version)s")
def command(paths: tuple[Path, ...], rules: Path | None, config: str | None, home: str | None, stop: bool,
            verbose: bool, as_json: bool) -> None:  # fmt: skip
    """Try decoders and rules on examples, and show what comes out otherwise.

    Examples are .ini files (`log 1 pass = LINE`, `rule = ID`, `alert = LEVEL`, `decoder = NAME`) and folders with
    events.log and expect.json; a folder is searched for both.  Without any: rules/tests of the home, or tests of DIR.

    Exit status: 0 all as expected, 1 some came out otherwise, 2 nothing could be tried.
    """
    layout = find_home(home)
    try:
        examples = _examples(paths or (rules / "tests" if rules else layout.rule_tests_dir,))
        rehearsal = _load_folder(rules) if rules else _load_home(layout, Path(config) if config else None)
    except NotTried as error:
        for line in error.lines:
            click.echo(line.encode("utf-8", "surrogateescape"), err=True)
        sys.exit(NOT_TRIED)
    try:
        good = _run(rehearsal, examples, _Json() if as_json else _Text(verbose), stop)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that closing it cannot fail again
        good = False
    sys.exit(AS_EXPECTED if good else OTHERWISE)


# --- what is tried ---


def _examples(paths: tuple[Path, ...]) -> list[Example]:
    """All examples; every file that cannot be read is told before anything is tried."""
    warnings: list[str] = []
    mistakes: list[str] = []
    examples: list[Example] = []
    for path in paths:
        try:
            places = find(path)
        except BadRuleTest as error:
            mistakes.append(str(error))
            continue
        for place in places:
            try:
                examples += read(place, warnings)
            except BadRuleTest as error:
                mistakes.append(str(error))
    for line in warnings:
        click.echo(f"{PROGRAM}: WARN: {line}".encode("utf-8", "surrogateescape"), err=True)
    if mistakes:
        raise NotTried(*[f"{PROGRAM}: ERROR: {line}" for line in mistakes])
    if not examples:
        raise NotTried(f"{PROGRAM}: ERROR: there is no example in {', '.join(map(str, paths))}")
    return examples


def _refusal(report: Report) -> NotTried:
    return NotTried(*report.lines, *[f"{PROGRAM}: ERROR: {note}" for note in report.notes if note.fatal])


def _load_home(layout: Layout, path: Path | None) -> Rehearsal:
    report = Report()
    try:
        configuration = load_configuration(layout, path, "ossec-logtest", home_kind(layout))
        internal = InternalOptions.load(layout, "ossec-logtest", quiet=True)
        engine = load_engine(layout, configuration, internal, OWN_NAME, report, write=False, fresh=True)
    except (ConfigurationError, InvalidOption) as error:
        raise NotTried(*error.lines) from None
    except LoadError:
        raise _refusal(report) from None
    database = configuration.global_.geoipdb
    return Rehearsal(engine, open_database(layout.under(database) if database else None))


def _load_folder(folder: Path) -> Rehearsal:
    """decoder.xml, local_decoder.xml, rules/ and lists/ of a folder as etc/ of this project."""
    if not (folder / "decoder.xml").is_file() and (folder / "etc" / "ossec.conf").is_file():
        return _load_home(Layout(folder.absolute()), None)
    report = Report()
    decoders = [folder / name for name in ("decoder.xml", "local_decoder.xml") if (folder / name).is_file()]
    if not decoders:
        raise NotTried(f"{PROGRAM}: ERROR: {folder}: there is no decoder.xml in it, nor is it a home")
    names = _rule_names(folder)
    lists = frozenset(
        str(one.relative_to(folder).with_suffix("")) for one in (folder / "lists").rglob("*") if one.is_file()
    )
    try:
        found = load_decoders([Source(path, str(path)) for path in decoders], report)
        sources = [Source(folder / "rules" / name, f"{folder}/rules/{name}") for name in names]
        rules = load_rules(sources, report, found.keys(), LoadOptions(lists=lists))
    except LoadError:
        raise _refusal(report) from None
    stores = Stores(lists=FileLists(Layout(folder.absolute()), lists))
    return Rehearsal(Engine(found, rules, EngineOptions(own_name=OWN_NAME), stores))


def _rule_names(folder: Path) -> list[str]:
    """The rule files of a folder in order: rules.list, the <include> lines of a configuration, or by name."""
    if (folder / "rules.list").is_file():
        return (folder / "rules.list").read_text("utf-8").split()
    for name in CONFIGURATIONS:
        if (folder / name).is_file():
            try:
                roots = dialect.read(folder / name)
            except DialectError as error:
                raise NotTried(f"{PROGRAM}: ERROR: {error}") from None
            sections = [section for root in roots for section in root.children if section.name.lower() == "rules"]
            return [node.text for section in sections for node in section.children if node.name.lower() == "include"]
    names = [path.name for path in (folder / "rules").glob("*.xml")]
    return sorted(names, key=lambda name: (name == LAST, name != FIRST, name))


# --- what comes out ---


def _run(rehearsal: Rehearsal, examples: list[Example], out: _Json | _Text, stop: bool) -> bool:
    progress = _Progress(len(examples))
    failed = done = 0
    for done, example in enumerate(examples, 1):
        found = rehearsal.run(example)
        wrong = differences(example, found)
        progress.show(done, failed, clear=bool(wrong))
        out.show(Result(example, found, wrong, rehearsal.explain(example) if wrong else ""))
        failed += bool(wrong)
        if wrong and stop:
            break
    progress.end()
    out.end(done, failed, len(examples) - done, len({(one.path, one.family) for one in examples}))
    return not failed


class _Progress:
    """`1200 of 3400`, on a terminal, when it takes longer."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._next = time.monotonic() + PROGRESS_AFTER
        self._on = sys.stderr.isatty()
        self._shown = False

    def show(self, done: int, failed: int, *, clear: bool) -> None:
        if clear and self._shown:
            self.end()
        if not self._on or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PROGRESS_EVERY
        self._shown = True
        click.echo(f"\r{done} of {self._total}, {failed} otherwise", nl=False, err=True)

    def end(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._shown = False


class _Text:
    """For people: what was expected and what was found, one under the other."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._color = "NO_COLOR" not in os.environ and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    def _paint(self, text: str, color: str, *, bold: bool = False) -> str:
        return click.style(text, fg=color, bold=bold or None) if self._color else text

    def _say(self, text: str) -> None:
        click.echo(text.encode("utf-8", "surrogateescape"), color=self._color)

    def show(self, result: Result) -> None:
        example = result.example
        title = f" [{example.title}]" if example.title else ""
        if not result.wrong:
            if self._verbose:
                self._say(f"{self._paint('ok', 'green')}   {example}{title}")
            return
        self._say(f"{self._paint('FAIL', 'red', bold=True)} {example}{title}")
        self._say(f"     {_printable(example.line)}")
        width = max(len(one.key) for one in result.wrong)
        for one in result.wrong:
            self._say(self._paint(f"   - {one.key:{width}}  {_shown(one.expected)}", "red"))
            self._say(self._paint(f"   + {one.key:{width}}  {_shown(one.found)}", "green"))
        if result.reason:
            self._say(f"     {result.reason}")
        self._say("")

    def end(self, done: int, failed: int, left: int, files: int) -> None:
        places = f"{files} file{'s' * (files != 1)}"
        text = f"{done} example{'s' * (done != 1)} of {places}: {done - failed} as expected, {failed} otherwise"
        if left:
            text += f", {left} not tried"
        self._say(self._paint(text, "red" if failed else "green", bold=True))


class _Json:
    """For programs."""

    @staticmethod
    def _say(value: dict[str, Any]) -> None:
        click.echo(json.dumps(value))

    def show(self, result: Result) -> None:
        example, found = result.example, result.found
        self._say(
            {
                "file": str(example.path),
                "line": example.number,
                "title": example.title or example.family,
                "log": example.line.decode("utf-8", "replace"),
                "passed": not result.wrong,
                "must_match": example.holds,
                "expected": example.compared,
                "found": {
                    "rule": found.rule,
                    "level": found.level,
                    "decoder": found.decoder,
                    "fields": {key: value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                               for key, value in found.fields.items()},
                    "groups": list(found.groups),
                },
                "different": [one.key for one in result.wrong],
                "reason": result.reason,
            }
        )  # fmt: skip

    def end(self, done: int, failed: int, left: int, files: int) -> None:
        self._say({"examples": done, "files": files, "passed": done - failed, "failed": failed, "not_tried": left})


def _printable(line: bytes) -> str:
    """A log line that cannot move the cursor of whoever reads it."""
    return "".join(char if char >= " " and char != "\x7f" else repr(char)[1:-1]
                   for char in line.decode("utf-8", "backslashreplace"))  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, str) or value is None:
        return "none" if value is None else _printable(value.encode("utf-8", "surrogateescape"))
    return json.dumps(value, ensure_ascii=True)


def main() -> None:
    """The console script."""
    try:
        command.main(prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(NOT_TRIED)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.Abort:
        sys.exit(NOT_TRIED)
