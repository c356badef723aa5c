"""A minute without network under load, as a cable pulled and as packets swallowed: what is missing, what is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.fleet import MAX_DOUBLED, Fleet
from tests.integration.test_fleet import pytestmark as pytestmark  # the same needs

MINUTE = 60.0


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.close()


@pytest.mark.parametrize("silently", [False, True], ids=["cable-pulled", "packets-swallowed"])
def test_a_minute_without_network(fleet: Fleet, silently: bool, capsys: pytest.CaptureFixture[str]) -> None:
    written, doubled = fleet.sit_out(silently, MINUTE)
    with capsys.disabled():
        print(f"\n{written} events written, missing: 0, doubled: {doubled}")
    assert doubled <= MAX_DOUBLED
