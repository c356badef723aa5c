"""Two hundred kills of execd during a storm of a thousand blocks (minutes: `make soak`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.execd import RealExecd
from tests.integration.test_execd import storm


@pytest.mark.parametrize("seed", [1, 2])
def test_two_hundred_kills_lose_and_leave_no_block(tmp_path: Path, seed: int) -> None:
    execd = RealExecd(tmp_path / "home")
    try:
        storm(execd, blocks=1000, kills=200, seed=seed)
    finally:
        execd.end()
