"""37 recorded runs of a real analysisd, and one with its own rules, against the core of ours.

Every output is compared to the byte, except for the deliberate differences, which `EXPECTED` writes into the recording
case by case (and `SETTINGS`: what has to be said for OSSEC's behaviour, where a switch has it).
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.analysis.daemon_support import OUTPUTS, Daemon, Run, without_additions

Case = dict[str, Any]

CASES = [json.loads(line) for line in (Path(__file__).parent / "daemon.jsonl").read_text().splitlines()]
SHARED = Path(__file__).resolve().parents[4] / "shared"
STOCK = SHARED / "vectors" / "analysis" / "daemon" / "stock-ossec.json"
UPSTREAM = SHARED / "upstream" / "etc"

# internal options that bring OSSEC's behaviour back
OPTIONS = {"ignore-composite": {"ossec_compat": 1}, "ignore-feeds": {"ossec_compat": 1}}
# what OSSEC does without being told, ours when told
SETTINGS = {
    "syscheck-basic": "<syscheck><auto_ignore>yes</auto_ignore></syscheck>",
    "syscheck-existing-db": "<syscheck><auto_ignore>yes</auto_ignore></syscheck>",
}
SUM = ":33188:0:0:" + "a" * 32 + ":" + "1" * 40


def once(case: Case) -> None:
    """The location of agents' file events and of forwarded alerts is there once (OSSEC: twice)."""
    for event in case["events"]:
        for output in ("alerts.log", "archives.log"):
            if output in event:
                event[output] = re.sub(r"(?m)^(\d{4} \w+ \d+ [\d:]+ )([(\d].*)->\2(?=$| )", r"\1\2", event[output])


def disabled_for_itself(case: Case) -> None:
    """`disabled` is for its own block."""
    case["events"][0]["queue/alerts/execq"] = ["blockip600 - 1.1.1.1 1700000000.1 100201 /var/log/m -\0"]


def bytes_match(case: Case) -> None:
    """A byte that is not UTF-8 hides nothing: one alert more, and the numbers behind it."""
    events = case["events"]
    events[25]["alerts.log"] = (
        "** Alert 1700000000.16: - t,\n2023 Nov 14 22:13:20 ossecsrv->/var/log/m\n"
        "Rule: 100202 (level 6) -> 'r100202'\nplainhit 20 \\xff\\xe9\n\n"
    )
    for event in events[26:]:
        event["alerts.log"] = _add_one(r"(?<=Alert 1700000000\.)\d+", event["alerts.log"])
    lines = case["archives.json"].splitlines()
    at = next(number for number, line in enumerate(lines) if "plainhit 20" in line)
    rule = '"rule":{"level":6,"comment":"r100202","sidid":100202,"firedtimes":13,"group":"t,","groups":["t"]},'
    lines[at] = lines[at].replace("\\xff\\xe9", "\ufffd\ufffd").replace('"decoder":{}', rule + '"decoder":{}')
    lines[at + 1 :] = [_add_one(r'(?<="firedtimes":)\d+', line) for line in lines[at + 1 :]]
    case["archives.json"] = "\n".join(lines) + "\n"


def own_hour(case: Case) -> None:
    """The first event of an hour is counted in it."""
    path = "stats/totals/2023/Nov/ossec-totals-14.log"
    case["files_after"][path] = case["files_after"][path].replace("22--0--24--0--0", "22--0--23--0--0")


def own_day(case: Case) -> None:
    """Hours and days follow the events' time, also after 24 hours of silence; weekdays are learned."""
    files = case["files_after"]
    path = "stats/totals/2023/Nov/ossec-totals-14.log"
    files[path] = files[path].replace("22--1--3--1--0", "22--1--2--1--0")
    for day in range(7):
        del files[f"stats/weekly-average/{day}/24"]
    files |= {"stats/weekly-average/2/24": "1", "stats/weekly-average/3/24": "1", "stats/hourly-average/24": "2"}
    last = case["events"][-1]
    last["alerts.json"] = last["alerts.json"].replace('"firedtimes":3', '"firedtimes":1')
    case["log_files_after"] = [
        f"logs/{kind}s/2023/Nov/ossec-{kind}{plural}-{day}.log links={links} size={size}"
        for kind, plural, day, links, size in (
            ("alert", "s", 14, 1, 268),
            ("alert", "s", 15, 1, 268),
            ("alert", "s", 16, 2, 134),
            ("archive", "", 14, 1, 188),
        )
    ]


def diff_arrives(case: Case) -> None:
    """The diff of report_changes belongs to its file: a change of /etc/d instead of a new file with a garbled name."""
    once(case)
    for number, rule, level, mail, lines in (
        (13, 550, 7, "mail  ", "Size changed from '10' to '5'\nWhat changed:\n1c1\n< old\n---\n> new\n"),
        (14, 551, 6, "", "Size changed from '5' to '6'\n"),
    ):
        event = case["events"][number]
        stamp = time.strftime("%Y %b %d %H:%M:%S", time.gmtime(event["time"]))
        log = f"Integrity checksum changed for: '/etc/d'\n{lines}"
        event["alerts.log"] = (
            f"** Alert {event['time']}.{number - 5}: {mail}- ossec,syscheck,\n{stamp} ossecsrv->syscheck\n"
            f"Rule: {rule} (level {level}) -> 'r{rule}'\n{log}\n\n"
        )
        event["archives.log"] = f"{stamp} ossecsrv->syscheck {log}\n"
        event["alerts.json"] = _rule_fired(event["alerts.json"], rule, level, 4 if rule == 550 else 1, log)
    for event in case["events"][15:]:
        if '"sidid":554' in event.get("alerts.json", ""):
            event["alerts.json"] = _add_one(r'(?<="firedtimes":)\d+', event["alerts.json"], -1)
    database = case["files_after"]["queue/syscheck/syscheck"]
    case["files_after"]["queue/syscheck/syscheck"] = database.replace(
        f"+++5{SUM} !1700000130 /etc/d1c1< old---> new\n!++6{SUM}", f"#++5{SUM} !1700000130 /etc/d\n!!+6{SUM}"
    ).replace(f"!++5{SUM} !1700000130", f"#++5{SUM} !1700000130")


def hide_clock(case: Case) -> None:
    """The recording hides a value of the wall clock, which the run takes from the marker's age."""


def fields_arrive(case: Case) -> None:
    """The SonicWall plugin's fields reach the rules (OSSEC's daemon loses them): only archives are as recorded."""
    for event in case["events"]:
        event.pop("alerts.log", None)
        event.pop("alerts.json", None)


EXPECTED: dict[str, Callable[[Case], None]] = {
    "ar": once,
    "ar-disabled-last": disabled_for_itself,
    "maintenance": hide_clock,
    "ossecalert": once,
    "plugin-sonicwall": fields_arrive,
    "queue": bytes_match,
    "rollover": own_day,
    "stats-hour": own_hour,
    "syscheck-misc": diff_arrives,
}


def _add_one(pattern: str, text: str, step: int = 1) -> str:
    return re.sub(pattern, lambda match: str(int(match[0]) + step), text)


def _rule_fired(line: str, rule: int, level: int, fired: int, log: str) -> str:
    value = json.loads(line)
    value["rule"] |= {"level": level, "comment": f"r{rule}", "sidid": rule, "firedtimes": fired}
    value["full_log"] = log
    value["SyscheckFile"] = {"path": "/etc/d"}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def compare(case: Case, run: Run, outputs: tuple[str, ...] = OUTPUTS) -> None:
    for event, got in zip(case["events"], run.events, strict=True):
        for output in outputs:
            if output not in event and output != "archives.log" and case["name"] == "plugin-sonicwall":
                continue
            ours = got[output]
            if output == "alerts.json":
                ours = "".join(without_additions(line) + "\n" for line in ours.splitlines())
            assert ours == event.get(output, ""), (event["n"], output)
        for queue in ("queue/alerts/execq", "queue/alerts/ar"):
            assert got[queue] == event.get(queue, []), (event["n"], queue)


@pytest.mark.parametrize("recorded", CASES, ids=[case["name"] for case in CASES])
def test_the_core_does_what_analysisd_did(recorded: Case, tmp_path: Path) -> None:
    case = copy.deepcopy(recorded)
    name = case["name"]
    EXPECTED.get(name, lambda _: None)(case)
    case["ossec.conf_sections"] = case.get("ossec.conf_sections", "") + SETTINGS.get(name, "")
    daemon = Daemon(tmp_path / "home", case, **OPTIONS.get(name, {}))
    run = daemon.run()
    compare(case, run)
    for path, text in case.get("files_after", {}).items():
        ours = daemon.layout.under(path).read_bytes().decode("utf-8", "backslashreplace")
        assert re.sub(r"(?<=enabled_at=)\d+", "N", ours) == text, path
    if "archives.json" in case:
        archives = daemon.layout.archives_dir / "archives.json"
        assert archives.read_text() == case["archives.json"]
    for line in case.get("log_files_after", []):
        path, links, size = re.fullmatch(r"(\S+) links=(\d+) size=(\d+)", line).groups()  # type: ignore[union-attr]
        if path.startswith(("logs/alerts/", "logs/archives/")) and ".json" not in path:
            status = daemon.layout.under(path).stat()
            assert (status.st_nlink, status.st_size) == (int(links), int(size)), path
    at_start = ("Allow listing", "in the allow list", "Connected to", "Ignoring file")
    wanted = [line for line in case["ossec.log_messages"] if not any(words in line for words in at_start)]
    assert run.log == wanted


@pytest.mark.parametrize("name", list(EXPECTED))
def test_each_difference_is_one(name: str) -> None:
    recorded = next(case for case in CASES if case["name"] == name)
    ours = copy.deepcopy(recorded)
    EXPECTED[name](ours)
    assert ours != recorded or name == "maintenance"


def test_sonicwall_fields_reach_the_rules(tmp_path: Path) -> None:
    case = next(case for case in CASES if case["name"] == "plugin-sonicwall")
    run = Daemon(tmp_path / "home", case).run()
    first = run.events[0]["alerts.log"]
    assert "Rule: 2 (level 2)" in first
    assert "Src IP: 2.2.2.2\nSrc Port: 36701\nDst IP: 1.1.1.1\nDst Port: 50000\n" in first


@pytest.mark.parametrize("name", ["syscheck-basic", "syscheck-existing-db"])
def test_a_fourth_change_alerts_where_nobody_asked_for_silence(name: str, tmp_path: Path) -> None:
    case = next(case for case in CASES if case["name"] == name)
    run = Daemon(tmp_path / "home", case).run()
    silent = [event["n"] for event, got in zip(case["events"], run.events, strict=True) if got["alerts.log"]]
    recorded = [event["n"] for event in case["events"] if event["alerts.log"]]
    assert set(recorded) < set(silent)


@pytest.mark.upstream
@pytest.mark.skipif(not (STOCK.is_file() and UPSTREAM.is_dir()), reason="needs ../shared with OSSEC's own rules")
def test_ossecs_own_rules_judge_the_daemons_own_messages(tmp_path: Path) -> None:
    case = json.loads(STOCK.read_text())
    case["name"] = "stock-ossec"
    rules = sorted((UPSTREAM / "rules").glob("*.xml"))
    text = (UPSTREAM / "ossec-server.conf").read_text() if (UPSTREAM / "ossec-server.conf").is_file() else ""
    names = re.findall(r"<include>(\S+?)</include>", text) or [path.name for path in rules]
    home = tmp_path / "home"
    (home / "rules").mkdir(parents=True)
    (home / "etc").mkdir()
    for path in rules:
        (home / "rules" / path.name).write_bytes(path.read_bytes())
    (home / "etc" / "decoder.xml").write_bytes((UPSTREAM / "decoder.xml").read_bytes())
    includes = "".join(f"<include>{name}</include>" for name in names)
    run = Daemon(home, case, f"<rules>{includes}</rules>").run()
    for event, got in zip(case["events"], run.events, strict=True):
        assert _facts(got["alerts.log"]) == _facts(event["alerts.log"]), event["n"]
        assert bool(got["archives.log"]) == ("archives.log" in event), event["n"]


def _facts(text: str) -> list[tuple[str, ...]]:
    """Number, mail, groups, rule, level and log of alerts."""
    pattern = r"\*\* Alert \d+\.(\d+): ?(mail )? ?- (.*)\n.*\nRule: (\d+) \(level (\d+)\) -> '.*'\n((?:.|\n)*)"
    return re.findall(pattern, text)
