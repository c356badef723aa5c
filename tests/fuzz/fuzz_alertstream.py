"""Any bytes in an alert file or a position file are records, a position, or are skipped."""

from __future__ import annotations

from contextlib import suppress

from ossec.alertstream.position import BadPosition, Position
from ossec.alertstream.records import RecordReader

HEADER = b"** Alert 1.2: mail  - a,b\n2023 Nov 14 22:13:23 x->y\nRule: 1 (level 2) -> 'c'\n"


def fuzz_alertstream(data: bytes) -> None:
    """In pieces or at once the records are the same; `Position.decode` raises BadPosition only."""
    with suppress(BadPosition):
        Position.decode(data)
    text = HEADER + data + b"\n" + HEADER + data
    whole, pieces = RecordReader(), RecordReader()
    at_once = whole.feed(text) + whole.finish()
    half = len(data) // 2
    in_pieces = pieces.feed(text[:half]) + pieces.feed(text[half:]) + pieces.finish()
    if at_once != in_pieces:
        raise AssertionError("pieces give other records")
