"""What a real server made of etc/shared and sent to an agent, done by our core (spec/protocol.md, section 6)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.crypto.channel import Channel
from ossec.crypto.keys import AgentKey
from ossec.messages import control, merged
from ossec.remoted.core import Remoted
from ossec.remoted.shared import SharedFile, SharedFiles
from tests.unit.remoted.recorder import Recorder

RECORDED = Path(__file__).resolve().parents[3].parent / "shared/vectors/protocol/shared_push.jsonl"
KEY = AgentKey.parse("001 web01 192.0.2.1 " + "0123456789abcdef" * 4)

# Where ours deliberately does not send what OSSEC sends; docs/differences.md has the reasons.
SORTED = "files go in the order of their names, so that the same files give the same sum"
DELIBERATE = {
    "order_is_readdir_order": SORTED,
    "no_final_newline": SORTED,
    "dot_file_and_backup": "hidden files and backups stay at home",
    "file_with_nul": "what cannot arrive is not sent, and is said",
    "chunk_starting_with_nul": "the same",
    "subdirectory": "a directory is no file",
    "unreadable_file": "the shell leaves it out and says so; the rest is the same",
    "chunk_with_header": "no chunk begins as a command",
}


def rows() -> list[dict[str, Any]]:
    if not RECORDED.exists():
        return []
    return [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def content_of(row: dict[str, Any]) -> bytes:
    """The merge: whole, or put together from what was sent."""
    if not row["merged_mg"].startswith("len:"):
        return row["merged_mg"].encode("latin-1")  # type: ignore[no-any-return]
    return "".join(sent["plaintext"] for sent in row["sent"][2:-1]).encode("latin-1")


def push(shared: SharedFiles) -> list[tuple[bytes, int]]:
    """(text, length of its datagram) of all that an agent gets that has nothing yet."""
    ports = Recorder()
    core = Remoted(ports)
    core.load_keys([KEY], {})
    core.shared = shared
    keepalive = control.format_keepalive("Linux web01", None, None, "")
    core.receive(Channel(KEY).seal(keepalive, (1, 1)), ("192.0.2.1", 1), 0.0)
    now = 0.0
    while (due := core.tick(now)) is not None:
        now = due
    return [(text, len(datagram)) for (_, text), (datagram, _) in zip(ports.texts(core), ports.sent, strict=True)]


@pytest.mark.upstream
@pytest.mark.skipif(not RECORDED.exists(), reason=f"needs {RECORDED.name} beside the checkout")
def test_what_a_real_server_sent() -> None:
    different = set()
    for row in rows():
        merge = content_of(row)
        assert SharedFile.of("merged.mg", merge).digest == row["merged_md5"]
        files = list(merged.parse_merged(merge))
        ours = push(SharedFiles(files))
        theirs = [(sent["plaintext"].encode("latin-1"), sent["datagram_len"]) for sent in row["sent"]]
        if [text for text, _ in ours] != [text for text, _ in theirs]:
            different.add(row["case"])
            continue
        # how well a random number and a random block compress is chance: 16 bytes more or less
        assert all(abs(a - b) <= 16 for (_, a), (_, b) in zip(ours, theirs, strict=True)), row["case"]
    assert different <= DELIBERATE.keys()
    assert len(rows()) == 15


@pytest.mark.upstream
@pytest.mark.skipif(not RECORDED.exists(), reason=f"needs {RECORDED.name} beside the checkout")
def test_files_that_a_real_server_could_not_bring_arrive_whole_or_are_named() -> None:
    by_case = {row["case"]: row for row in rows()}
    for case in ("order_is_readdir_order", "no_final_newline", "chunk_with_header"):
        files = dict(merged.parse_merged(content_of(by_case[case])))
        texts = [text for text, _ in push(SharedFiles(files.items()))]
        merge = b"".join(texts[2:-1])
        assert dict(merged.parse_merged(merge)) == files
        assert not any(text.startswith(control.HEAD) for text in texts[2:-1])
    for case in ("file_with_nul", "chunk_starting_with_nul"):
        shared = SharedFiles(merged.parse_merged(content_of(by_case[case])))
        assert [name for name, _ in shared.left_out] == ["bin.dat"]
