"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ossec.layout import Layout
from tests.support import make_bare_home


@pytest.fixture
def bare_home(tmp_path: Path) -> Layout:
    """A home with directories only."""
    return make_bare_home(tmp_path / "home")
