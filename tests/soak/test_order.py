"""100,000 lines twice through a real analysisd (half a minute: `make soak`)."""

from __future__ import annotations

from pathlib import Path

from tests.unit.analysisd.mixed_stream import run

COUNT = 100_000


def test_a_long_mixed_stream_gives_the_same_alerts_on_every_run(tmp_path: Path) -> None:
    first, second = (run(tmp_path / name, COUNT) for name in ("one", "two"))
    assert first == second
    assert first.count(b"** Alert ") > COUNT // 10
