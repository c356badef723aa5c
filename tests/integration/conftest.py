"""Fixtures of the tests that run the real suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.suite import Suite


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    """An installed local home, not started; whatever runs on it is ended afterwards."""
    suite = Suite(tmp_path / "home")
    suite.install()
    yield suite
    suite.end()
