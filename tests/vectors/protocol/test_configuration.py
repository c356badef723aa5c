"""`<remote>` and `<client>` as real daemons took or refused them (spec/protocol.md, sections 5 and 7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec import config
from ossec.config.schema import Machine
from ossec.layout import Layout

HERE = Path(__file__).parent
SAYS_MORE = ("WARN", "INFO: Max time to reconnect", "INFO: Using notify time")  # ours besides OSSEC's, or the daemon's

# Where ours deliberately does not do as OSSEC; docs/differences.md has the reasons.
TAKEN: dict[str, str] = {"no server": "an empty section counts as none, and agentd says that none is configured"}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def refusals(lines: list[str]) -> list[str]:
    """OSSEC's own lines of a refusal: those with a number."""
    return [line for line in lines if "): " in line and "ossec.conf:" not in line]


@pytest.mark.parametrize("row", rows("config_remote.jsonl"), ids=lambda row: row["case"])
def test_remote_is_judged_as_recorded(row: dict[str, Any], bare_home: Layout) -> None:
    bare_home.ossec_conf.write_text(f"<ossec_config>{row['remote_blocks']}</ossec_config>")
    lines, status = config.check(bare_home, program="ossec-remoted", kind="server", machine=Machine(resolves=_resolves))
    assert status == row["t_rc"]
    wanted = [line.replace("{HOME}", str(bare_home.home)) for line in row["t_log"]]
    assert lines[: len(wanted)] == wanted


@pytest.mark.parametrize("row", rows("config_client.jsonl"), ids=lambda row: row["case"])
def test_client_is_judged_as_recorded(row: dict[str, Any], bare_home: Layout) -> None:
    if "client_block_content" not in row or "one valid" not in row.get("client_keys", ""):
        pytest.skip("about keys, not about configuration")
    bare_home.ossec_conf.write_text(f"<ossec_config><client>{row['client_block_content']}</client></ossec_config>")
    lines, status = config.check(bare_home, program="ossec-agentd", kind="agent", machine=Machine(resolves=_resolves))
    refused = any("(1202)" in line for line in row["log"])
    if row["case"] in TAKEN:
        return
    assert bool(status) == refused
    if refused:
        wanted = [line.replace("{HOME}", str(bare_home.home)) for line in row["log"] if "(1202)" not in line]
        assert set(refusals(wanted)) - {"ossec-agentd(1215): ERROR: No client configured. Exiting."} <= set(lines)


def _resolves(name: str) -> bool:
    return name == "localhost"
