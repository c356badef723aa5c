"""ossec-authd's judgement against 39 dialogues with OSSEC's (36 of them on the core, 3 about TLS itself)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ossec.agents.keyfile import AgentError, KeyFile
from ossec.authd import password
from ossec.authd.core import Verdict, denied, enrol, granted, judge
from ossec.errors import ConfigError
from ossec.messages import enrolment

ROWS = [json.loads(line) for line in Path(__file__).with_name("authd_dialogues.jsonl").read_text().splitlines()]
SECRET = re.compile(r"[0-9a-f]{64}")
LEVELS = {20: "INFO", 40: "ERROR"}
ABOUT_TLS = {"tls13_only", "tls11_only", "silent_client"}  # in tests/integration/test_authd.py
REFUSED_PASSWORD = enrolment.encode_errors("Invalid password").decode()
REFUSED_REQUEST = enrolment.encode_errors("Invalid request for new agent").decode()

# Deliberate differences: why, and what ours answers (None: it does not start).
DIFFERENT: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(
        ("no_pass", "wrong_pass", "pass_prefix_of_longer", "lower_case", "pass_only"),
        ("says why it refuses", REFUSED_PASSWORD),
    ),
    **dict.fromkeys(
        ("no_closing_quote", "double_space", "nopass_but_pass_sent"), ("says why it refuses", REFUSED_REQUEST)
    ),
    "split_writes": ("puts a request together", "OSSEC K:'1029 host10 any KEY'\n\n"),
    "dup_ip": (
        "names the address, not the agent that has it",
        enrolment.encode_errors("Invalid IP address: 10.9.0.11").decode(),
    ),
    "source_ip_again": (
        "names the address, not the agent that has it",
        enrolment.encode_errors("Invalid IP address: 10.9.0.13").decode(),
    ),
    "all_2048_ids_used": ("IDs go on beyond 3071", "OSSEC K:'3072 host61 any KEY'\n\n"),
    "file_without_newline_full": ("the file needs no line end", "OSSEC K:'1024 host20 any KEY'\n\n"),
    "file_without_newline_last_char_cut": ("the file needs no line end", REFUSED_PASSWORD),
    "crlf_file_plain": ("a CR is no part of the password", "OSSEC K:'1024 host22 any KEY'\n\n"),
    "crlf_file_with_cr": ("a CR is no part of the password", REFUSED_PASSWORD),
    "one_char_pass_file_disables_auth": ("one character is a password", REFUSED_PASSWORD),
    "empty_line_pass_file": ("an empty password is refused at the start", None),
}


def known_keys(row: dict[str, Any]) -> KeyFile:
    match row["case"]:
        case "all_2048_ids_used":
            return KeyFile(tuple(f"{number} h{number} any k" for number in range(1024, 3072)))
        case "dup_name_limit":
            names = ["dup", *(f"dup{number}" for number in range(2, 258))]
            return KeyFile(tuple(f"{number} {name} any k" for number, name in enumerate(names, 1)))
    return KeyFile.parse(row["keys_before"].encode())


def converse(row: dict[str, Any]) -> tuple[Verdict, list[tuple[int, str]], KeyFile]:
    """What the core makes of a dialogue: the last verdict, all lines for the log, client.keys after it."""
    wanted = None if "-n" in row["authd_args"] else row["authd_random_password"]
    if row["authd_pass_file"] is not None:
        wanted = password.parse(row["authd_pass_file"].encode(), "etc/authd.pass")
    received = b""
    for part in row["sent"]:
        received += part.encode("latin-1")
        if enrolment.is_complete(received):
            break
    known = known_keys(row)
    wish = judge(received, row["src_ip"], wanted)
    if isinstance(wish, Verdict):
        return wish, list(wish.log), known
    try:
        after, agent = enrol(known, wish, use_source="-i" in row["authd_args"])
    except AgentError as error:
        verdict = denied(error, wish)
        return verdict, [*wish.log, *verdict.log], known
    verdict = granted(agent, wish)
    return verdict, [*wish.log, *verdict.log], after


@pytest.mark.parametrize("row", [row for row in ROWS if row["case"] not in ABOUT_TLS], ids=lambda row: str(row["case"]))
def test_a_recorded_dialogue(row: dict[str, Any]) -> None:
    _, expected = DIFFERENT.get(row["case"], ("", row["received"]))
    if expected is None:
        with pytest.raises(ConfigError, match="holds no password"):
            converse(row)
        return
    verdict, log, after = converse(row)
    answer = verdict.answer.decode("latin-1")
    assert SECRET.sub("KEY", answer) == SECRET.sub("KEY", expected)
    added = after.format()[len(known_keys(row).format()) :].decode()
    if row["case"] not in DIFFERENT:
        assert SECRET.sub("KEY", added) == SECRET.sub("KEY", row["keys_added"])
        lines = ["ossec-authd: INFO: New connection from " + row["src_ip"]]
        lines += [f"ossec-authd: {LEVELS[level]}: {text}" for level, text in log]
        assert lines == row["log"]
    else:
        assert bool(added) == answer.startswith("OSSEC K:"), "who gets a key is in the file, and nobody else"
    if added:
        assert added.strip() in answer
