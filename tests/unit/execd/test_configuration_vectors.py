"""`ossec-execd -t` on every recorded configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossec.execd import settings

SHARED = Path(__file__).parents[4] / "shared" / "vectors"


def cases() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """(name, ossec.conf, what OSSEC's execd did)."""
    for line in (SHARED / "config" / "results.jsonl").read_text().splitlines():
        case = json.loads(line)
        content = (SHARED / "config" / "samples" / case["sample"]).read_bytes()
        yield from ((case["sample"], content, run) for run in case["runs"] if run["binary"] == "ossec-execd")
    for line in (SHARED / "active-response" / "ar_conf.jsonl").read_text().splitlines():
        case = json.loads(line)
        content = case["ossec_conf"].encode()
        yield from ((case["name"], content, run) for run in case["runs"] if run["binary"] == "ossec-execd")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/vectors")
def test_every_configuration_is_taken_as_recorded(tmp_path: Path) -> None:
    path = tmp_path / "ossec.conf"
    count = 0
    for name, content, run in cases():
        count += 1
        path.write_bytes(content)
        try:
            loaded = settings.load(path)
            status = 0
            lines = [
                f"ossec-execd: INFO: Adding offenders timeout: {minutes} (for #{number})"
                for number, minutes in enumerate(loaded.offenders, 1)
            ]
        except settings.SettingsError as error:
            status, lines = 1, error.lines[:-1]  # the last one is ours
        said = [line.replace(str(path), "/var/ossec/etc/ossec.conf") for line in lines]
        assert (status, said) == (run["exit"], run["stderr"]), name
    assert count > 100
