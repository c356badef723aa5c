"""Every fuzz entry, for a moment, on arbitrary bytes: `make fuzz` does it for longer and guided by coverage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import entries


@pytest.mark.parametrize("name", sorted(entries()))
@settings(deadline=None)  # an entry may build what it needs at its first call
@given(data=st.binary(max_size=300))
def test_only_documented_errors_come_out(name: str, data: bytes) -> None:
    entries()[name](data)
