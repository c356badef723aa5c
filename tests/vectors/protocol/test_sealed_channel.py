"""The datagrams that real OSSEC programs sent, opened and sealed again by ours (spec/protocol.md, sections 1 and 2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.crypto.channel import Channel, Method, split_id
from ossec.crypto.keys import AgentKey

HERE = Path(__file__).parent
RECORDED = HERE.parents[2].parent / "shared" / "vectors" / "protocol"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", rows(HERE / "keys.jsonl"), ids=lambda row: row["client_keys_line"][:20])
def test_keys_are_derived_as_recorded(row: dict[str, Any]) -> None:
    key = AgentKey.parse(row["client_keys_line"])
    assert key.id == row["id"]
    assert key.name == row["name_used"]
    assert key.address_text == row["ip_text_used"]
    assert key.entry.prefix == row["prefix_length"]
    assert key.derived.decode() == row["key_47_chars"]
    assert (not key.single_host) == row["id_prefix_sent"]
    exported = AgentKey.from_export(row["exported"])
    assert (exported.id, exported.name, exported.secret) == (key.id, key.name, key.secret)


def check(row: dict[str, Any]) -> None:
    datagram = bytes.fromhex(row["datagram"])
    prefix, body = split_id(datagram)
    channel = Channel(AgentKey.parse(row["key_line"]), prefixed=prefix is not None)
    opened = channel.open(body)
    text = row["plaintext"].encode("latin-1")
    assert opened.text == text.split(b"\0")[0]
    assert opened.counter == (row["global"], row["local"])
    assert opened.method is Method(row["method"])
    iv = bytes.fromhex(row["iv"]) if row["iv"] else None
    assert channel.seal(text, opened.counter, opened.method, noise=int(row["random"]), iv=iv) == datagram


@pytest.mark.parametrize("row", rows(HERE / "datagrams.jsonl"), ids=lambda row: row["key_line"][:8])
def test_recorded_datagrams_open_and_seal_again(row: dict[str, Any]) -> None:
    check(row)


@pytest.mark.upstream
@pytest.mark.parametrize("name", ["datagrams_agent_to_server", "datagrams_server_to_agent"])
def test_all_recorded_datagrams_open_and_seal_again(name: str) -> None:
    path = RECORDED / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"needs {path.name} beside the checkout")
    for row in rows(path):
        check(row)
