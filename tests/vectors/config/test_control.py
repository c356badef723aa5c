"""ossec-control against the recorded transcripts of OSSEC's (control/*.txt): real daemons, real homes.

Each command of a transcript is run in order, up to the point where the recording breaks the configuration.  What is
left out of the comparison is deliberate: the daemons' own lines (they begin with a date), daemons that this version
lacks, ossec-maild on a local home without mail, and `reload`, which here happens in place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ossec.suite.control import Control
from tests.integration.suite import Suite

FOLDER = Path(__file__).parent / "control"
RECORDED_PROGRAM = "/var/ossec/bin/ossec-control"
KEY = "001 agent1 any 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
OPTIONS = {"server": ["--type", "server"], "local": [], "agent": ["--type", "agent", "--server-ip", "127.0.0.1"]}


@dataclass(frozen=True, slots=True)
class Step:
    words: tuple[str, ...]
    lines: tuple[str, ...]
    status: int


def read_transcript(text: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ossec-control ?", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.split("\n---")[0].rstrip("\n").split("\n")
        match = re.fullmatch(r"\[exit (\d+)\]", lines[-1])
        assert match is not None
        yield Step(tuple(command.split()), tuple(lines[:-1]), int(match[1]))


@pytest.fixture
def suite(tmp_path: Path, kind: str) -> Iterator[Suite]:
    suite = Suite(tmp_path / "home")
    suite.install(*OPTIONS[kind])
    suite.layout.client_keys.write_text(KEY)
    yield suite
    suite.end()


def comparable(lines: Iterator[str] | tuple[str, ...] | list[str], known: frozenset[str]) -> list[str]:
    """Without the daemons' own lines and those about daemons that are not `known`."""
    kept = []
    for line in lines:
        if re.match(r"DATE TIME |\d{4}/\d\d/\d\d ", line):
            continue
        daemon = re.search(r"ossec-(?!control)[a-z]+d\b|ossec-logcollector", line)
        if daemon is None or daemon[0] in known:
            kept.append(line)
    return kept


@pytest.mark.parametrize("kind", ["server", "local", "agent"])
def test_the_transcript_is_spoken_again(suite: Suite, kind: str) -> None:
    steps = list(read_transcript((FOLDER / f"{kind}.txt").read_text()))
    roster = Control(suite.layout, print, print).roster()
    known = frozenset(roster.status_order)
    program = str(suite.layout.bin_dir / "ossec-control")
    broken = next(number for number, step in enumerate(steps) if step.words == ("start",) and step.status != 0)
    assert broken > 9
    for step in steps[:broken]:
        done = suite.run([program, *step.words])
        if step.words == ("reload",):
            assert done.returncode == 0, done.stderr
            continue
        expected = [line.replace(RECORDED_PROGRAM, program) for line in comparable(step.lines, known)]
        if kind == "local":
            expected = [line.replace("{start|stop|restart|", "{start|stop|reload|restart|") for line in expected]
        assert comparable(done.stdout.splitlines(), known) == expected, step.words
        if step.words != ("status",) or "ossec-maild not running..." not in step.lines:
            assert done.returncode == step.status, step.words
    assert not list(suite.layout.run_dir.glob("*.pid"))
    assert not suite.layout.event_queue.exists()


@pytest.mark.parametrize("kind", ["server", "local"])
def test_enable_and_disable_speak_as_recorded(suite: Suite, kind: str) -> None:
    transcript = read_transcript((FOLDER / f"{kind}.txt").read_text())
    steps = [step for step in transcript if step.words[:1] in (("enable",), ("disable",))]
    assert steps
    program = str(suite.layout.bin_dir / "ossec-control")
    for step in steps:
        done = suite.run([program, *step.words])
        recorded = [line.replace(RECORDED_PROGRAM, program) for line in step.lines]
        expected = [line.replace("agentless,debug", "agentless|debug") for line in recorded]  # the local script's slip
        assert (done.stdout.splitlines(), done.returncode) == (expected, step.status), step.words
