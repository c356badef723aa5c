"""What tests share: waiting for a condition, and a bare home."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from ossec.layout import Layout

PATIENCE = 20.0  # seconds until a condition that never comes fails the test; generous for a loaded machine
T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str = "the condition", patience: float = PATIENCE) -> T:
    """Wait for a condition to hold and return its value; fail the test if it never does."""
    deadline = time.monotonic() + patience
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"waited {patience:g} s in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def make_bare_home(home: Path) -> Layout:
    """The directories that daemons write to, and nothing else."""
    layout = Layout(home)
    for directory in (
        layout.ossec_conf.parent,
        layout.shared_dir,
        layout.rules_dir,
        layout.active_response_bin,
        layout.event_queue.parent,
        layout.alerts_queue_dir,
        layout.fts_dir,
        layout.syscheck_dir,
        layout.rootcheck_dir,
        layout.diff_dir,
        layout.agent_info_dir,
        layout.alerts_dir,
        layout.archives_dir,
        layout.firewall_dir,
        layout.stats_dir,
        layout.run_dir,
        layout.bin_dir,
    ):
        directory.mkdir(parents=True, exist_ok=True)
    return layout
