"""Counter files that a real sender took up, taken up by ours (spec/protocol.md, section 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ossec.crypto import counters
from ossec.crypto.rids import Rids


@pytest.mark.parametrize(
    ("before", "sent"),
    [
        (b"0:9995:", [(0, 9996), (0, 9997), (1, 1), (1, 2), (1, 3)]),
        (b"7:3", [(7, 4), (7, 5), (7, 6), (7, 7), (7, 8)]),
        (b"garbage", [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]),
        (b"4294967295:9997:", [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]),
    ],
)
def test_a_sender_counts_on_as_a_real_one(before: bytes, sent: list[counters.Pair], tmp_path: Path) -> None:
    """With a clock at 0: on a real one ours begin above it, which is their one deliberate difference."""
    (tmp_path / "sender_counter").write_bytes(before)
    rids = Rids(tmp_path)
    rids.start_sending(0.0)
    assert [rids.next() for _ in sent] == sent
    rids.close()
    again = Rids(tmp_path)
    again.start_sending(0.0)
    assert again.next() == counters.following(sent[-1])
    again.close()


def test_a_senders_file_that_lies_behind_begins_at_the_clock(tmp_path: Path) -> None:
    (tmp_path / "sender_counter").write_bytes(b"7:3:")
    rids = Rids(tmp_path)
    rids.start_sending(1_800_000_000.0)
    assert rids.next() == (1_800_000_000, 1)
    rids.close()


def test_every_datagram_is_on_disk_and_for_its_own_agent(tmp_path: Path) -> None:
    """A real server writes one agent's file in 128 datagrams; a restart then takes the others again."""
    rids = Rids(tmp_path)
    for local in range(1, 130):
        rids.save("001" if local % 3 else "002", (0, local))
    assert (Rids(tmp_path).load("001"), Rids(tmp_path).load("002")) == ((0, 128), (0, 129))
    rids.close()
