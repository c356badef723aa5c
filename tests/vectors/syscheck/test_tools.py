"""syscheck_control and syscheck_update against what OSSEC's printed.  They hold its help: ../shared only."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ossec.cli import syscheck_control, syscheck_update
from ossec.cli.agent_control import run_tool

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "syscheck"
HELP = re.compile(r"\n?OSSEC HIDS syscheck_(?:control: Manages|update: Updates \(clears\)).*", re.DOTALL)
LOCAL = "{HOME}/queue/syscheck/syscheck"
LOCAL_MARK = "{HOME}/queue/syscheck/.syscheck.cpt"

pytestmark = [
    pytest.mark.upstream,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared"),
]


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def fill(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = Path(name.replace("{HOME}", str(home)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(tool: str, words: list[str], home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    commands: dict[str, click.Command] = {
        "syscheck_control": syscheck_control.command,
        "syscheck_update": syscheck_update.command,
    }
    monkeypatch.setenv("OSSEC_HOME", str(home))
    monkeypatch.setattr("sys.argv", [tool, *words])

    @click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def whole(rest: tuple[str, ...]) -> None:
        if tool == "syscheck_update":
            syscheck_update.main()
        raise SystemExit(run_tool(commands[tool], tool, words))

    done = CliRunner().invoke(whole, words)
    return done.stdout, done.exit_code


@pytest.mark.parametrize("name", ["tool-syscheck_control", "tool-syscheck_update"])
def test_a_recorded_session(name: str, tmp_path: Path, utc: None, monkeypatch: pytest.MonkeyPatch) -> None:
    case: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    host = os.uname()
    monkeypatch.setattr(
        os,
        "uname",
        lambda: SimpleNamespace(
            nodename="host1", sysname=host.sysname, release=host.release, version=host.version, machine=host.machine
        ),
    )
    fill(tmp_path, case["files"])
    compared = 0
    for step in case["steps"]:
        if "files" in step:
            for path, text in step["files"].items():
                if path in (LOCAL, LOCAL_MARK):
                    continue  # OSSEC says that it updated this host's database, and leaves it as it was
                assert Path(path.replace("{HOME}", str(tmp_path))).read_text() == text, path
            continue
        if "run" not in step:
            continue
        tool, *words = step["run"].split()
        said, status = run(tool, words, tmp_path, monkeypatch)
        where = (step["run"], said)
        assert status == step["exit"], where
        if HELP.search(step["output"]):
            assert "Usage:" in said, where
            assert said.partition("Usage:")[0].rstrip("\n") == HELP.sub("", step["output"]).rstrip("\n"), where
        else:
            got = re.sub(r',"lastKeepAlive":\d+', "", said)
            assert got == step["output"], where
        compared += 1
    assert compared >= 9
    if name == "tool-syscheck_update":
        assert Path(LOCAL.replace("{HOME}", str(tmp_path))).read_text() == ""
