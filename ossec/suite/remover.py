"""Takes a home away: stops the suite, which undoes its blocks, then the firewall's frame for them, units, users, files.

Only a home that our installer made or upgraded, and only what it made outside of the home.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from ossec.errors import OssecError
from ossec.layout import Layout
from ossec.suite import firewall, processes
from ossec.suite.control import START_PATIENCE, Control
from ossec.suite.installer import Manifest, check_home
from ossec.suite.tree import GROUP

Say = Callable[[str], None]
SYSTEMD_RUNS = Path("/run/systemd/system")


def remove(layout: Layout, say: Say) -> None:
    """OssecError where this is no home of ours; what cannot be removed outside of home is said and left."""
    check_home(layout.home)
    if not layout.manifest.is_file() or not layout.ossec_conf.is_file():
        missing = f"{layout.manifest} is missing"
        raise OssecError(f"{layout.home}: not made by ossec-install ({missing}); remove it by hand")
    manifest = Manifest.read(layout)
    _undo_blocks(layout, say)
    Control(layout, say, say).stop()
    if os.geteuid() == 0:
        firewall.clear(say)
    _remove_units(manifest, say)
    shutil.rmtree(layout.home)
    say(f"Removed {layout.home}")
    for user in manifest.users:
        _run(["userdel", user], say)
    if manifest.users:
        _run(["groupdel", GROUP], say)


def _undo_blocks(layout: Layout, say: Say) -> None:
    """Blocks of an execd that crashed stand in its journal only: start it once more, its stop undoes them."""
    name = "ossec-execd"
    if any(file.ours for file in processes.find_pid_files(layout, name)) or not layout.execd_journal.exists():
        return
    launch = processes.launch(layout, name)
    if launch.wait(START_PATIENCE) != 0:
        for line in launch.lines():
            say(line)
        raise OssecError(
            f"{layout.home} was not removed: {name} does not start, and {layout.execd_journal} may hold blocks that "
            f"only it can undo. Mend what it says, or undo them by hand and remove that file"
        )


def _remove_units(manifest: Manifest, say: Say) -> None:
    paths = [Path(name) for name in manifest.units if Path(name).is_file()]
    targets = [path.name for path in paths if path.suffix == ".target"]
    if targets and SYSTEMD_RUNS.is_dir():
        _run(["systemctl", "disable", *targets], say)
    for path in paths:
        path.unlink()
        say(f"Removed {path}")
    if paths and SYSTEMD_RUNS.is_dir():
        _run(["systemctl", "daemon-reload"], say)


def _run(command: list[str], say: Say) -> None:
    """Run a tool of the system; a failure is said and does not stop the removal."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        say(f"{' '.join(command)}: {command[0]} is missing; do it by hand")
        return
    if done.returncode != 0:
        say(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
