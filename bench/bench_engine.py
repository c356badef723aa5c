"""The engine alone: microseconds an event, with OSSEC's rules and with ten times as many.

`python -m bench.bench_engine [EVENTS]`.  Needs ../shared (the rules, the reference stream) and skips without it.  The
clones have other ids and other words, and hang under the same parents; the same stream may take at most 1.3 times as
long with them (exit 1 above that).
"""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ossec.analysisd.decoder_loader import Source, load_decoders
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.engine import Engine
from ossec.analysisd.event import Event
from ossec.analysisd.predecode import clean, predecode
from ossec.analysisd.rule_loader import load_rules

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
UPSTREAM = SHARED / "upstream" / "etc"
CORPUS = SHARED / "bench" / "corpus.py"
EVENTS = 12_000
ROUNDS = 5  # the best counts: the machine may be busy
TIMES = 10
MOST = 1.3
FIRST_OWN_ID = 100_000

PATTERN = re.compile(
    r"(<(match|regex|pcre2|match_pcre2|(?:url|id|user|status|hostname|extra_data|program_name)(?:_pcre2)?)>)"
    r"([^<]*)(</\2>)"
)
WORD = re.compile(r"(?<![\\A-Za-z$_])[A-Za-z]{3,}")
PIECES = re.compile(r'(<var.*?</var>)|(<group name="[^"]*">)(.*?)</group>\s*(?=<group name|<var|$)', re.DOTALL)


def clone(text: str, number: int) -> str:
    """The rules of a file that look for words, with other words and ids."""

    def other_words(found: re.Match[str]) -> str:
        return found[1] + WORD.sub(lambda word: f"{word[0][::-1]}qz{chr(97 + number)}", found[3]) + found[4]

    out = []
    for piece in PIECES.finditer(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)):
        if piece[1]:
            out.append(piece[1])
            continue
        rules = []
        for rule in re.findall(r"<rule .*?</rule>", piece[3], flags=re.DOTALL):
            sid = re.search(r'\bid="(\d+)"', rule)
            if sid is None or not 10 <= int(sid[1]) < FIRST_OWN_ID or "overwrite" in rule:
                continue
            if any(WORD.search(found[3]) for found in PATTERN.finditer(rule)):
                changed = PATTERN.sub(other_words, rule)
                rules.append(changed.replace(sid[0], f'id="{int(sid[1]) + FIRST_OWN_ID * number}"', 1))
        if rules:
            out.append(piece[2] + "\n".join(rules) + "</group>")
    return "\n".join(out)


def build(folder: Path, times: int) -> Engine:
    """An engine with OSSEC's rules, some of them `times` times."""
    configuration = re.sub(r"<!--.*?-->", "", (UPSTREAM / "ossec-server.conf").read_text(), flags=re.DOTALL)
    names = re.findall(r"<include>([^<]+)</include>", configuration)
    sources = [Source(UPSTREAM / "rules" / name, name) for name in names]
    for number in range(1, times):
        for name in names:
            text = clone((UPSTREAM / "rules" / name).read_text(errors="surrogateescape"), number)
            if "<rule " in text:
                path = folder / f"{number}-{name}"
                path.write_text(text, errors="surrogateescape")
                sources.append(Source(path, path.name))
    report = Report()
    decoders = load_decoders([Source(UPSTREAM / "decoder.xml", "etc/decoder.xml")], report)
    return Engine(decoders, load_rules(sources, report, decoders.keys()))


def measure(engine: Engine, lines: list[bytes]) -> float:
    """Microseconds of this process an event, the best of some rounds."""
    best = float("inf")
    for number in range(ROUNDS):
        start = 1_700_000_000 + number * 10
        events = [Event(b"1", b"/var/log/messages", line, start + place / 5000) for place, line in enumerate(lines)]
        gc.collect()
        gc.freeze()
        begun = time.process_time()
        for event in events:
            engine.process(event)
        best = min(best, time.process_time() - begun)
    return best / len(lines) * 1e6


def stages(engine: Engine, lines: list[bytes]) -> str:
    """Where an event's microseconds go."""
    events = [Event(b"1", b"/var/log/messages", line, 1_700_000_000.0) for line in lines]
    scan = engine.decoding._scanner

    def timed(work: Callable[[Event], object]) -> float:
        best = float("inf")
        for _ in range(ROUNDS):
            begun = time.process_time()
            for event in events:
                work(event)
            best = min(best, time.process_time() - begun)
        return best / len(events) * 1e6

    def afresh(work: Callable[[Event], object]) -> Callable[[Event], object]:
        def run(event: Event) -> object:
            scan.log = None  # as for the next event
            return work(event)

        return run

    nothing = timed(afresh(lambda event: None))
    parts = {
        "event": timed(lambda event: Event(b"1", b"/var/log/messages", event.full_log, 1.0)),
        "predecoding": timed(lambda event: predecode(event, b"host")),
        "one pass for all literals": timed(afresh(lambda event: scan.scan(event.log))) - nothing,
    }
    parts["decoder and fields"] = timed(afresh(engine.decoding.decode)) - parts["one pass for all literals"] - nothing
    parts["rule tree"] = timed(engine.matching.match)
    return ", ".join(f"{name} {value:.1f}" for name, value in parts.items())


def main() -> int:
    if not UPSTREAM.is_dir():
        print(f"skipped: no {UPSTREAM}")
        return 0
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    done = subprocess.run([sys.executable, str(CORPUS), str(events)], capture_output=True, check=True)
    lines = [clean(line) for line in done.stdout.splitlines()]
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for times in (1, TIMES):
            begun = time.process_time()
            engine = build(Path(folder), times)
            loaded = time.process_time() - begun
            figures.append(measure(engine, lines))
            print(f"{len(engine.rules)} rules: loaded in {loaded:.1f} s, {figures[-1]:.1f} µs an event")
            if times == 1:
                print(f"of these: {stages(engine, lines)}, the rest correlation")
    ratio = figures[1] / figures[0]
    print(f"{TIMES} times the rules take {ratio:.2f} times as long (at most {MOST})")
    return int(ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
