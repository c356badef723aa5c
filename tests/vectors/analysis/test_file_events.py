"""Recorded syscheck dialogues of a real analysisd (`server-*`), with OSSEC's own rules, against the core of ours.

They hold OSSEC's texts, so they are read from ../shared.  Compared: number, mail, groups, rule, level and the whole log
of each alert, and the databases.  Deliberate differences: an agent's location once, and the diff of `server-diff`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ossec.messages.alert import Alert, AlertReader
from tests.vectors.analysis.daemon_support import Daemon

SHARED = Path(__file__).resolve().parents[4] / "shared"
UPSTREAM = SHARED / "upstream" / "etc"
FOLDER = SHARED / "vectors" / "syscheck"
NAMES = [
    "server-agents",
    "server-diff",
    "server-fields",
    "server-ignore",
    "server-integrity",
    "server-integrity-noauto",
    "server-maintenance",
    "server-malformed",
    "server-newfiles",
]
NOW = 1700000000

pytestmark = [
    pytest.mark.upstream,
    pytest.mark.skipif(not (FOLDER.is_dir() and UPSTREAM.is_dir()), reason="needs ../shared with OSSEC's rules"),
]


class Host1(Daemon):
    own_name = b"host1"


def facts(alert: Alert) -> tuple[object, ...]:
    place = re.sub(rb"^(\(.*)->\1$", rb"\1", alert.location)
    return alert.number, alert.mail, alert.group, alert.rule, alert.level, place, alert.lines


def read(text: str) -> list[tuple[object, ...]]:
    filled = text.replace("{EPOCH}", str(NOW)).replace("{ALERT_TIME}", "2023 Nov 14 22:13:20")
    return [facts(alert) for alert in AlertReader().feed(filled.encode("utf-8", "surrogateescape"))]


def make(tmp_path: Path, case: dict[str, Any]) -> Daemon:
    """`<rules>` and the sections of the recording; auto_ignore as OSSEC has it where it is not given."""
    home = tmp_path / "home"
    (home / "rules").mkdir(parents=True)
    (home / "etc").mkdir()
    for name in ("rules_config.xml", "ossec_rules.xml"):
        (home / "rules" / name).write_bytes((UPSTREAM / "rules" / name).read_bytes())
    (home / "etc" / "decoder.xml").write_bytes((UPSTREAM / "decoder.xml").read_bytes())
    sections = re.sub(r"(?s)</?ossec_config>|<global>.*?</global>", "", case["config"])
    if "auto_ignore" not in sections:
        sections += "<syscheck><auto_ignore>yes</auto_ignore></syscheck>"
    for name, text in case["files"].items():
        path = Path(name.replace("{HOME}", str(home)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Host1(home, {"events": [], "global_section": ""}, sections)


@pytest.mark.parametrize("name", NAMES)
def test_file_events_are_told_as_recorded(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    case = json.loads((FOLDER / f"{name}.json").read_text())
    daemon = make(tmp_path, case)
    home = daemon.layout.home
    seen = 0
    sent = 0
    for number, step in enumerate(case["steps"]):
        if "send" in step:
            sent += 1
            datagram = step["send"].encode("utf-8", "surrogateescape")
            daemon.analysis.receive([datagram], NOW)
            daemon.analysis.outputs.flush()
            data = daemon.layout.alerts_log.read_bytes()
            ours = [facts(alert) for alert in AlertReader().feed(data[seen:])]
            seen = len(data)
            if name == "server-diff":
                continue
            assert ours == read(step.get("alerts", "")), number
        elif "run" in step:  # agent_control -M, as far as it makes and removes the marker
            act_on_marker(home, step["run"])
        for path, text in step.get("files", {}).items():
            if name == "server-diff" or text is None:
                continue
            file = Path(path.replace("{HOME}", str(home)))
            if not file.name.endswith((".maint", "fim_maintenance.log")):
                assert file.read_bytes().decode() == text.replace("{EPOCH}", str(NOW)), (number, path)
    assert sent
    if name == "server-diff":
        assert [alert.rule for alert in AlertReader().feed(daemon.layout.alerts_log.read_bytes())] == [550]


def act_on_marker(home: Path, command: list[str] | str) -> None:
    """What agent_control -M does to the marker of the host that it names."""
    words = command if isinstance(command, list) else command.split()
    if "-M" not in words or "-u" not in words:
        return
    action, agent = words[words.index("-M") + 1], words[words.index("-u") + 1]
    base = {"000": "syscheck", "001": "(web1) 10.0.0.5", "002": "(win1) any"}.get(agent)
    if base is None:
        return
    marker = home / "queue" / "syscheck" / f".{base}.maint"
    if action in ("enable", "end") and not marker.exists():
        marker.write_text(f"#!maint\nenabled_at={NOW}\npending_end=0\nsilent_updates=0\n")
    if action == "end":
        marker.write_text(marker.read_text().replace("pending_end=0", "pending_end=1"))
    if action == "disable" and marker.exists():
        marker.unlink()
