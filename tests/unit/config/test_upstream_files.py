"""The files that OSSEC ships, read from ../shared; every one must be taken, without a word about mistakes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ossec.config import dialect, load
from ossec.config.schema import Machine
from ossec.config.sections import SECTIONS
from ossec.layout import Layout

UPSTREAM = Path(__file__).resolve().parents[3].parent / "shared" / "upstream" / "etc"

MACHINE = Machine(resolves=lambda name: True, exists=lambda path: True)

pytestmark = [
    pytest.mark.upstream,
    pytest.mark.skipif(not UPSTREAM.is_dir(), reason="../shared/upstream is not here"),
]


def test_all_rules_and_decoders_are_read_quickly() -> None:
    files = [UPSTREAM / "decoder.xml", *sorted((UPSTREAM / "rules").glob("*.xml"))]
    started = time.process_time()
    trees = [dialect.read(path, variables=True) for path in files]
    assert time.process_time() - started < 0.5  # it takes a fifth of that
    assert all(trees)
    assert sum(len(roots) for roots in trees) > 400


@pytest.mark.parametrize("name", ["ossec-server.conf", "ossec-local.conf", "ossec-agent.conf"])
def test_the_templates_are_taken_without_a_warning(name: str, tmp_path: Path) -> None:
    text = (UPSTREAM / name).read_text(encoding="utf-8")
    layout = Layout(tmp_path)
    for program in sorted({one for section in SECTIONS.values() for one in section.readers}):
        if ("<client>" in text) != (program == "ossec-agentd"):
            continue
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        warnings = load(layout, path, program, machine=MACHINE).warnings
        assert [line for line in warnings if "INFO" not in line] == []
