"""ossec-logtest: what the engine makes of the lines on standard input (spec/analysis.md, section 13).

Everything goes to standard error as OSSEC has it, but alerts (`-a`), the `0` of `-U` and `--json`, which go to standard
output.  The home is read and never written.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ossec import COMPATIBLE_VERSION, __version__
from ossec.analysisd.alerts import Renderer
from ossec.analysisd.assembly import own_name
from ossec.analysisd.decoders import LABELS, Captured
from ossec.analysisd.diagnostics import LoadError, Report
from ossec.analysisd.engine import Engine, Verdict
from ossec.analysisd.event import Event
from ossec.analysisd.geoip import GeoIP, open_database
from ossec.analysisd.loading import load_engine
from ossec.analysisd.predecode import read_line
from ossec.analysisd.rules import Rule
from ossec.config import Configuration, ConfigurationError
from ossec.config import load as load_configuration
from ossec.config.internal import InternalOptions, InvalidOption
from ossec.config.kind import home_kind
from ossec.layout import Layout, find_home

NAME = "ossec-testrule"  # what OSSEC's tool signs with
PROGRAM = "ossec-logtest"
LOCATION = b"stdin"
MIN_LINE = 2  # bytes; shorter lines are passed over
MAX_LINE = 65536  # bytes; what is longer is cut, the rest of the line passed over
CHUNK = 65536  # bytes read at once
INFO_LABELS = {"text": "Text", "link": "Link", "cve": "CVE", "osvdb": "OSVDB"}

# exit status of -U, of the last event
EQUAL, OTHER_LEVEL, OTHER_RULE, OTHER_DECODER, NO_RULE = 0, 1, 2, 3, 255

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


def _say_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"\nOSSEC HIDS {COMPATIBLE_VERSION} - OSSEC Foundation\n\nOSSEC in Python {__version__}", err=True)
        context.exit(0)


@click.command(context_settings=CONTEXT)
@click.option("-V", is_flag=True, is_eager=True, expose_value=False, callback=_say_version,
              help="Say which OSSEC this is compatible with, and exit.")  # fmt: skip
@click.version_option(__version__, "--version", message="ossec-logtest (OSSEC in Python) %(version)s")
@click.option("-d", "--debug", count=True, help="Say more of what goes on.")
@click.option("-t", "test", is_flag=True, help="Test the configuration, say all that is wrong, and exit.")
@click.option("-a", "alerts", is_flag=True, help="Print alerts only, as they would stand in alerts.log.")
@click.option("-v", "verbose", is_flag=True, help="Tell of each rule that is tried.")
@click.option("-q", "quiet", is_flag=True, help="Accepted for old scripts; changes nothing.")
@click.option("-c", "config", metavar="FILE", help="Read this file instead of etc/ossec.conf.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("-U", "expected", metavar="RULE:LEVEL:DECODER", help="Compare each event; the exit status tells.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each line.")
@click.option("--explain", is_flag=True, help="As -v, and say which test of a rule failed.")
def command(**options: Any) -> None:
    """Decode and judge each line of standard input, as ossec-analysisd would, and show how.

    Exit status of -U is that of the last event: 0 as expected, 1 another level, 2 another rule, 3 another decoder, 255
    no rule.
    """
    try:
        sys.exit(_Run(options).run())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that closing it cannot fail again
        sys.exit(1)


class _Run:
    """One call of the tool."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.layout: Layout = find_home(options["home"])
        self.out = sys.stdout.buffer
        self.err = sys.stderr.buffer
        self.renderer = Renderer()
        self.alerts = 0
        self.geoip: GeoIP | None = None

    def tell(self, *lines: str) -> None:
        """Lines with OSSEC's time stamp."""
        stamp = time.strftime("%Y/%m/%d %H:%M:%S ")
        for line in lines:
            self.err.write((stamp + line + "\n").encode("utf-8", "surrogateescape"))
        self.err.flush()

    def show(self, text: bytes) -> None:
        """Text for standard error, unless only alerts or JSON are wanted."""
        if not self.options["alerts"] and not self.options["as_json"]:
            self.err.write(text)

    def run(self) -> int:
        """The exit status."""
        logging.getLogger("ossec").setLevel(logging.DEBUG if self.options["debug"] else logging.ERROR)
        try:
            engine = self._load()
        except (ConfigurationError, InvalidOption) as error:
            self.tell(*error.lines)
            return 1
        if engine is None:
            return 1
        if self.options["test"]:
            return 0
        gc.collect()
        gc.freeze()  # rules and decoders stay: no collection need look at them again
        self.tell(f"{NAME}: INFO: Started (pid: {os.getpid()}).")
        expected = None
        if self.options["expected"] is not None:
            expected = self.options["expected"].split(":", 2)
            if len(expected) != 3:
                self.tell(f'{NAME}: -U requires the matching format to be "<rule_id>:<alert_level>:<decoder_name>"')
                return 1
        self.show(f"{NAME}: Type one log per line.\n\n".encode())
        self.err.flush()
        judge = self._judge
        if self.options["alerts"] and not self.options["as_json"]:
            judge = self._judge_quickly
        status = 0
        for lines in _read():
            for line in lines:
                event = read_line(b"1", LOCATION, line, time.time())
                verdict = judge(engine, event)
                if expected is not None:
                    status = self._compare(event, verdict, *expected)
            self.err.flush()
            self.out.flush()
        return status

    def _load(self) -> Engine | None:
        """The engine; None when something was wrong and has been told."""
        path = Path(self.options["config"]) if self.options["config"] else None
        told_all = self.options["test"] or self.options["debug"]
        kind = home_kind(self.layout)
        configuration: Configuration = load_configuration(self.layout, path, PROGRAM, kind)
        internal = InternalOptions.load(self.layout, PROGRAM, quiet=True)
        database = configuration.global_.geoipdb
        self.geoip = open_database(self.layout.under(database) if database else None)
        report = Report(NAME)
        engine = None
        try:
            engine = load_engine(self.layout, configuration, internal, own_name(), report, write=False)
        except LoadError:
            pass
        self.tell(*configuration.warnings if told_all else (), *report.lines)
        for note in report.notes:
            if note.fatal or told_all:
                self.tell(f"{NAME}: {'ERROR' if note.fatal else 'WARN'}: {note}")
        if report.dropped and told_all:
            self.tell(f"{NAME}: WARN: {report.dropped} more are not shown.")
        return engine

    def _judge(self, engine: Engine, event: Event) -> Verdict:
        captured: Captured = []
        engine.decode(event, captured)
        if self.geoip is not None:
            self.geoip.locate(event)
        self.show(_phase_one(event))
        self.show(_phase_two(event, captured))
        if engine.accumulate(event):
            self.show(b"\n**ACCUMULATOR: LEVEL UP!!**\n\n")
        steps: list[tuple[str, Rule, str]] = []
        if self.options["verbose"] or self.options["explain"]:
            self.show(b"\n**Rule debugging:\n")
            verdict = engine.judge_traced(event, lambda *step: self._trace(steps, *step))
        else:
            verdict = engine.judge_filled(event)
        rule = event.rule
        alerts = verdict is Verdict.ALERT and rule is not None and rule.log
        if rule is not None:
            self.show(_phase_three(rule, alerts))
        if alerts:
            self.alerts += 1
            if self.options["alerts"]:
                self.out.write(self.renderer.alert_text(event, self.alerts))
        if self.options["as_json"]:
            self.out.write(_json_line(event, verdict, steps if self.options["explain"] else None))
        return verdict

    def _judge_quickly(self, engine: Engine, event: Event) -> Verdict:
        """`-a`: nothing is shown but alerts."""
        verdict = engine.process(event)
        if verdict is Verdict.ALERT and event.rule is not None and event.rule.log:
            self.alerts += 1
            self.out.write(self.renderer.alert_text(event, self.alerts))
        return verdict

    def _trace(self, steps: list[tuple[str, Rule, str]], step: str, rule: Rule, element: str) -> None:
        if step == "try":
            self.show(b"    Trying rule: %d - %s\n" % (rule.id, _raw(rule.description or "(null)")))
        elif step == "match":
            self.show(b"       *Rule %d matched.\n" % rule.id)
        elif step == "children":
            self.show(b"       *Trying child rules.\n")
        elif self.options["explain"]:
            wanted = rule.wants(element)
            asked = "" if wanted is None else f" {wanted}"
            self.show(_raw(f"       *Rule {rule.id}: <{rule.written(element)}>{asked} does not hold.\n"))
        if step in ("fail", "match"):
            steps.append((step, rule, element))

    def _compare(self, event: Event, verdict: Verdict, rule: str, level: str, decoder: str) -> int:
        """-U: whether an event is what was expected."""
        found = event.decoder.name if event.decoder else None
        self.show(_raw(f"lf->decoder_info->name: '{found or '(null)'}'\nut_decoder_name       : '{decoder}'\n"))
        if found is None:
            self.show(b"decoder matched : 'NULL'\n")
            return OTHER_DECODER
        if found.lower() != decoder.lower():
            self.show(_raw(f"decoder matched : '{found}'\ndecoder expected: '{decoder}'\n"))
            return OTHER_DECODER
        if event.rule is None:
            self.tell(
                f"{NAME}: No rule matched for decoder '{found}'. Verify that rules exist for this decoder and check if "
                "rules have required dependencies (if_sid, if_matched_sid, if_matched_group, etc.)."
            )
            return NO_RULE
        if str(event.rule.id) != rule:
            return OTHER_RULE
        if str(event.rule.level) != level:
            return OTHER_LEVEL
        self.out.write(b"0\n")
        return EQUAL


def _read() -> Iterator[list[bytes]]:
    """The lines of standard input that are long enough, without their ends, in batches of what was there at once."""
    rest = b""
    passing = False  # over the rest of a line that was too long
    while data := os.read(sys.stdin.fileno(), CHUNK):
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        if passing and lines:
            del lines[0]
            passing = False
        if passing:
            rest = b""
        elif len(rest) > MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest, passing = b"", True
        yield [line for line in (line.rstrip(b"\r") for line in lines) if len(line) >= MIN_LINE]
    if len(rest) >= MIN_LINE:
        yield [rest]


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _phase_one(event: Event) -> bytes:
    program = b"(null)" if event.program_name is None else event.program_name
    return (
        b"\n\n**Phase 1: Completed pre-decoding.\n"
        b"       full event: '%s'\n"
        b"       hostname: '%s'\n"
        b"       program_name: '%s'\n"
        b"       log: '%s'\n" % (event.full_log, event.hostname, program, event.log)
    )


def _phase_two(event: Event, captured: Captured) -> bytes:
    text = b"\n**Phase 2: Completed decoding.\n"
    for label, value in captured:
        text += b"       %s: '%s'\n" % (_raw(label), value)
    if event.decoder is None:
        return text + b"       No decoder matched.\n       decoder: '(null)'\n"
    return text + b"       decoder: '%s'\n" % _raw(event.decoder.name)


def _phase_three(rule: Rule, alerts: bool) -> bytes:
    text = (
        f"\n**Phase 3: Completed filtering (rules).\n       Rule id: '{rule.id}'\n       Level: '{rule.level}'\n"
        f"       Description: '{rule.description or '(null)'}'\n"
    )
    for kind, value in rule.info:
        text += f"       Info - {INFO_LABELS[kind]}: '{value}'\n"
    if rule.cve is not None:
        text += f"       Info - CVE: '{rule.cve}'\n"
    if alerts:
        text += "**Alert to be generated.\n\n\n"
    return _raw(text)


def _failure(rule: Rule, element: str) -> dict[str, str | None]:
    wanted = rule.wants(element)
    shown = None if wanted is None else _raw(wanted).decode("utf-8", "replace")
    return {"failed": rule.written(element), "wanted": shown}


def _json_line(event: Event, verdict: Verdict, steps: list[tuple[str, Rule, str]] | None) -> bytes:
    """Everything about one event; bytes that are not UTF-8 become U+FFFD."""

    def text(value: bytes) -> str:
        return value.decode("utf-8", "replace")

    fields: dict[str, str] = {}
    for name in ("srcip", "dstip", "srcport", "dstport", "protocol", "action", "srcuser", "dstuser", "id", "url",
                 "status", "command", "data", "system_name", "filename", "srcgeoip", "dstgeoip"):  # fmt: skip
        value = getattr(event, name)
        if value is not None:
            fields[LABELS.get(name, name)] = text(value)
    answer: dict[str, Any] = {
        "full_log": text(event.full_log),
        "hostname": text(event.hostname),
        "program_name": None if event.program_name is None else text(event.program_name),
        "log": text(event.log),
        "decoder": event.decoder.name if event.decoder else None,
        "decoder_own_name": event.decoder.own_name if event.decoder else None,
        "type": event.type,
        "fields": fields,
        "dynamic_fields": {name: text(value) for name, value in (event.fields or {}).items()},
        "verdict": verdict.value,
        "rule": None,
        "previous_events": [text(line) for line in event.context],
    }
    rule = event.rule
    if rule is not None:
        answer["rule"] = {
            "id": rule.id,
            "level": rule.level,
            "description": None if rule.description is None else text(_raw(rule.description)),
            "groups": list(rule.groups),
            "info": [{"type": kind, "value": value} for kind, value in rule.info],
            "cve": rule.cve,
            "file": str(rule.path),
            "line": rule.line,
            "alert": verdict is Verdict.ALERT and rule.log,
            "mail": verdict is Verdict.ALERT and rule.mail,
        }
    if steps is not None:
        answer["tried"] = [
            {"id": rule.id, "matched": step == "match", **(_failure(rule, element) if element else {})}
            for step, rule, element in steps
        ]
    return json.dumps(answer).encode() + b"\n"


def main() -> None:
    """The console script."""
    try:
        command.main(prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.Abort:
        sys.exit(1)
