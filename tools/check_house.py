"""What a script can see of the house's order, in seconds: run by `make check`.

Paths of one machine do not belong into the project; a module past 600 lines hides a second idea; tests do not sleep.
Prints each offence as path:line and exits 1.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 600
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|farm|root)/(?!\.ssh)\w")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b")
SLEEP = re.compile(r"\btime\.sleep\((?!0\))")
MAY_SLEEP = {"tests/support.py"}  # the one place that waits between two looks at a condition


def tracked() -> Iterator[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listing.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and path.suffix in {".py", ".md", ".sh", ".xml", ".conf", ".toml", ".txt"}:
            yield path


def offences(path: Path) -> Iterator[str]:
    name = str(path.relative_to(ROOT))
    if path == Path(__file__).resolve():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if name.startswith("ossec/") and path.suffix == ".py" and len(lines) > MAX_LINES:
        yield f"{name}: {len(lines)} lines: is there a second idea in it?"
    for number, line in enumerate(lines, 1):
        if path.suffix != ".txt" and MACHINE_PATH.search(line):
            yield f"{name}:{number}: a path of one machine: {line.strip()[:80]}"
        if path.suffix == ".py" and UNFINISHED.search(line):
            yield f"{name}:{number}: unfinished: {line.strip()[:80]}"
        if name.startswith("tests/") and name not in MAY_SLEEP and path.suffix == ".py" and SLEEP.search(line):
            yield f"{name}:{number}: a test sleeps: {line.strip()[:80]}"


if __name__ == "__main__":
    found = [offence for path in tracked() for offence in offences(path)]
    print("\n".join(found) or "house: in order")
    sys.exit(1 if found else 0)
