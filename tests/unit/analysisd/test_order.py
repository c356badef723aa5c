"""The same stream gives the same alerts in the same order, on every run of the real process."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.analysisd.mixed_stream import run

COUNT = 4000  # 100,000 in tests/soak


def test_a_mixed_stream_gives_the_same_alerts_on_every_run(tmp_path: Path) -> None:
    first, second = (run(tmp_path / name, COUNT) for name in ("one", "two"))
    assert first == second
    fired = {int(rule) for rule in re.findall(rb"^Rule: (\d+) ", first, re.MULTILINE)}
    assert {5710, 5712, 5716} < fired, "attacks are counted"
    numbers = [int(number) for number in re.findall(rb"^\*\* Alert \.(\d+):", first, re.MULTILINE)]
    assert len(numbers) > COUNT // 10
    assert numbers == sorted(set(numbers))
