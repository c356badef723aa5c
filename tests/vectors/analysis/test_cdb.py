"""CDB files against those that ossec-makelists wrote."""

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.analysisd import cdb

LISTS = json.loads((Path(__file__).parent / "cdb.json").read_text())["lists"]


@pytest.mark.parametrize("case", LISTS, ids=lambda case: str(case["name"]))
def test_the_file_is_the_recorded_one(case: dict[str, Any]) -> None:
    pairs = cdb.parse_text(case["text"].encode("utf-8", "surrogateescape"))
    data = cdb.encode(pairs)
    assert data.hex() == case["cdb_hex"]
    assert cdb.decode(data) == dict(reversed(pairs))
