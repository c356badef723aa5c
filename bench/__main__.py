"""`python -m bench [NAME…]`: run every `bench/bench_*.py`, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    names = sys.argv[1:] or sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    failed = 0
    for name in names:
        print(f"── {name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"bench.bench_{name}"], cwd=HERE.parent, check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
