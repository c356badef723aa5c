"""Where ours deliberately differs from a recorded run: the messages that we send, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parents[2] / "vectors" / "logcollector" / "ours.jsonl"


class Ours(NamedTuple):
    why: str
    messages: list[bytes]
    log: list[Any] | None  # None: as recorded


def text_of(data: Any) -> bytes:
    """A recorded string, runs expanded."""
    if isinstance(data, str):
        return data.encode("latin-1")
    parts = (part if isinstance(part, str) else part["repeat"] * part["times"] for part in data)
    return "".join(parts).encode("latin-1")


OURS = {
    entry["name"]: Ours(entry["why"], [text_of(text) for text in entry["messages"]], entry.get("log"))
    for entry in map(json.loads, FILE.read_text().splitlines())
}
