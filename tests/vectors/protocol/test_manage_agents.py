"""manage_agents against 82 recorded runs of OSSEC's (the menu's own lines apart: ours shows every entry).

`{MENU}` in a recording stands for the menu.  The two rows that print OSSEC's help and licence are not here.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ossec.agents.manage import AGENT_MENU, SERVER_MENU, Leave
from ossec.cli.manage_agents import command
from ossec.layout import Layout

ROWS = [json.loads(line) for line in Path(__file__).with_name("manage_agents.jsonl").read_text().splitlines()]
SECRET = re.compile(r"[0-9a-f]{64}")
EXITING = "\nmanage_agents: Exiting.\nmanage_agents: Exiting.\n"
MISTAKEN_INPUT = "manage_agents: Input too large. Not adding it.\n"

# Deliberate differences: case -> (exit status, what takes the place of what, in stdout).
DIFFERENT: dict[str, tuple[int, tuple[str, str] | None]] = {
    # a flag that is wrong says so, and never asks somebody who is not there
    "add_cli_dup_name": (1, (MISTAKEN_INPUT, "\n** Name 'web01' already present. Please enter a new name.\n")),
    "add_cli_bad_ip": (1, (MISTAKEN_INPUT, "\n** Invalid IP '10.9.0.500'. Please enter a valid IP Address.\n")),
    "add_cli_dup_ip": (1, None),
    "add_cli_dup_ip_force_recent": (1, None),
    # failure is failure
    "remove_missing": (1, None),
    "remove_already_removed": (1, ("Confirm deleting it?(y/n): y\n", "")),
    "bulk_stdin": (1, None),
    # a removed agent has no key to give away
    "export_removed": (1, None),
    # import judges what it is given
    "import_cli_two_fields": (1, ("** Press ENTER to return to the main menu.\n", "")),
    "import_cli_three_fields": (1, None),
    "import_cli_garbage_fields": (1, None),
}
INSTEAD = {
    "export_removed": "\n** Invalid ID '002' given. ID is not present.\n",
    "import_cli_garbage_fields": "\n** Invalid authentication key. Starting over again.\n",
}
KEPT = {"import_cli_garbage_fields"}  # the file stays as it was


def prepare(home: Layout, row: dict[str, Any], folder: Path) -> None:
    home.rids_dir.mkdir()
    home.init_conf.write_text(f'TYPE="{row["side"]}"\n')
    home.client_keys.write_text(row["keys_before"])
    home.client_keys.chmod(0o640)
    (folder / "bulk.txt").write_text("10.9.2.1,bf01\n10.9.2.2,bf02\n")
    now = time.time()
    for name, age in row.get("agent_info_age", {}).items():
        home.agent_info(name).write_text("Linux x - OSSEC HIDS v4.2.0\n")
        os.utime(home.agent_info(name), (now - age, now - age))


def hide_secrets(text: str) -> str:
    """Keys are random, also inside an exported one."""

    def decoded(match: re.Match[str]) -> str:
        line = base64.b64decode(match[0] + "=" * (-len(match[0]) % 4)).decode("latin-1")
        return SECRET.sub("KEY", line)

    return SECRET.sub("KEY", re.sub(r"MD[A-Za-z0-9+/]{60,}", decoded, text))


def wiped(keys: str) -> str:
    """Lines of removed agents as ours writes them: nothing of the key is left."""
    return re.sub(r"(?m)^(\d+ #\*#\*\S*)$", lambda match: match[0][:4] + "WIPED", keys)


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_a_recorded_run(row: dict[str, Any], bare_home: Layout, tmp_path: Path) -> None:
    prepare(bare_home, row, tmp_path)
    argv = [word.replace("{TMP}", str(tmp_path)) for word in row["argv"]]
    environment = {name: None for name in os.environ if name.startswith("OSSEC_")} | row["env"]
    result = CliRunner().invoke(command, ["-D", str(bare_home.home), *argv], input=row["stdin"], env=environment)
    failure = result.exception
    assert failure is None or isinstance(failure, (Leave, SystemExit)), failure
    status = failure.status if isinstance(failure, Leave) else result.exit_code

    different = DIFFERENT.get(row["case"])
    expected_status, replaced = (row["rc"], None) if different is None else different
    expected = INSTEAD.get(row["case"], row["stdout"])
    if replaced is not None:
        assert replaced[0] in expected
        expected = expected.replace(*replaced)
    menu = SERVER_MENU if row["side"] == "server" else AGENT_MENU
    expected = expected.replace("{MENU}", menu).replace("{TMP}", str(tmp_path))
    assert hide_secrets(result.stdout) == hide_secrets(expected)
    assert status == expected_status
    if row["rc"] == 1 and "only available" in row["stderr"]:
        assert result.stderr[20:] == row["stderr"][20:], "the date apart"

    after = bare_home.client_keys.read_text()
    expected_after = row["keys_before"] if row["case"] in KEPT else row["keys_after"]
    assert wiped(hide_secrets(after)) == wiped(hide_secrets(expected_after))
    if after != row["keys_before"]:
        assert oct(bare_home.client_keys.stat().st_mode & 0o7777) == row["keys_mode"]
    else:
        assert bare_home.client_keys.stat().st_mode & 0o7777 == 0o640, "an untouched file keeps its mode"
    if "agent_info_after" in row:
        assert sorted(path.name for path in bare_home.agent_info_dir.iterdir()) == sorted(row["agent_info_after"])
    removed = set(SECRET.findall(row["keys_before"])) - set(SECRET.findall(after))
    assert not any(secret[-43:-20] in after for secret in removed), "a removed key left its text"


def test_the_menu_is_ossecs_with_every_entry() -> None:
    """OSSEC does not show V, nor L on an agent."""
    for menu in (SERVER_MENU, AGENT_MENU):
        letters = re.findall(r"(?m)^   \(([A-Z])\)", menu)
        asked = re.search(r"Choose your action: (.*): $", menu)
        assert asked is not None
        assert re.findall(r"\b[A-Z]\b", asked[1]) == letters
