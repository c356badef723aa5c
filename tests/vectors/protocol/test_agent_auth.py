"""agent-auth against 14 runs of OSSEC's, each with a real ossec-authd whose password is `s3cret`."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossec.authd import certificate
from ossec.layout import Layout
from tests.integration.test_authd import Authd
from tests.support import make_bare_home

ROWS = [json.loads(line) for line in Path(__file__).with_name("agent_auth.jsonl").read_text().splitlines()]
MANAGER = "127.0.0.1"
NO_ANSWER = "ERROR: SSL read (unable to receive message)\n"
TOLD = "ERROR: Invalid password (from manager)\nERROR: Unable to add agent. (from manager)\n"
DONE = "INFO: Valid key created. Finished.\n"
KEY = re.compile(r"\d+ (\S+) any [0-9a-f]{64}\n")

# Deliberate differences: exit status, what takes the place of what in the output.
DIFFERENT: dict[str, tuple[int, tuple[str, str]]] = {
    # one file serves both programs, whether its line has an end or not, however long it is
    "ok_password_file_with_newline": (0, (NO_ANSWER, DONE)),
    "password_longer_than_32": (1, (NO_ANSWER, TOLD)),
    # the server says why
    "wrong_password": (1, (NO_ANSWER, TOLD)),
    "no_password": (1, (NO_ANSWER, TOLD)),
    # and closes as TLS wants it
    "bad_name": (1, (NO_ANSWER, "")),
}


@pytest.fixture(scope="module")
def authd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authd]:
    layout = make_bare_home(tmp_path_factory.mktemp("authd") / "server")
    layout.rids_dir.mkdir()
    layout.authd_password.write_text("s3cret\n")
    # wrong passwords are many here, and from one address
    running = Authd(layout, before="import ossec.authd.core as core\ncore.REFUSAL_COST = 0.0")
    yield running
    running.end()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["case"]))
def test_a_recorded_run(row: dict[str, Any], authd: Authd, tmp_path: Path) -> None:
    agent = make_bare_home(tmp_path / "agent")
    agent.rids_dir.mkdir()
    if row["keys_before"]:
        agent.client_keys.write_text(row["keys_before"])
    for name, text in (("p_nonl", "s3cret"), ("p_nl", "s3cret\n"), ("p_bad", "wrong"), ("p_long", "s3cret" * 10)):
        (tmp_path / name).write_text(text)
    argv = replaced(row["argv"], tmp_path, authd.layout, authd.port)
    if row["case"] == "verify_ca_mismatch":  # names that do not fit: tests/unit/agents/test_enrol.py
        certificate.ensure(agent.manager_certificate, agent.manager_key)
        argv[argv.index("-v") + 1] = str(agent.manager_certificate)
    command = [sys.executable, "-m", "ossec.cli.agent_auth", "-D", str(agent.home), *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    status, (old, new) = DIFFERENT.get(row["case"], (row["rc"], ("\0", "")))
    expected = re.sub(r"(?:10\.9\.0\.\d+|127\.0\.0\.1):1515", f"{MANAGER}:{authd.port}", row["stdout"])
    expected = expected.replace(old, new).replace("as: vm\n", f"as: {socket.gethostname()}\n")
    assert done.stdout == expected, done.stderr
    assert done.returncode == status
    after = agent.client_keys.read_text() if agent.client_keys.exists() else ""
    if status == 0:
        match = KEY.fullmatch(after)
        assert match is not None
        assert match[1] == re.search(r"agent name as: (\S+)", done.stdout)[1]  # type: ignore[index]
    else:
        assert after == row["keys_before"]
    if row["stderr"].startswith("Cannot open"):
        assert "Cannot open /nonexistent: No such file or directory" in done.stderr
    for text in ("Manager IP not set.", "Invalid port: 0"):
        assert (text in row["stderr"]) == (text in done.stderr)


def replaced(argv: list[str], folder: Path, server: Layout, port: int) -> list[str]:
    """A recorded command line, for this server."""
    words = [word.replace("{TMP}", str(folder)).replace("{SRV}", str(server.home)) for word in argv]
    words = [MANAGER if word.startswith(("10.9.0.", "127.0.0.")) else word for word in words]
    return words if "-p" in words else [*words, "-p", str(port)]
