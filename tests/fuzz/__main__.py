"""Run every fuzz entry under a coverage-guided fuzzer: `python -m tests.fuzz [--seconds N] [NAME…]`.

Each entry gets a process of its own; an escape of anything but a documented error stops it and shows the input.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Callable

import tests.fuzz

Entry = Callable[[bytes], None]


def entries() -> dict[str, Entry]:
    """name → function, of every module `fuzz_*` in this package."""
    found: dict[str, Entry] = {}
    for module in pkgutil.iter_modules(tests.fuzz.__path__):
        if module.name.startswith("fuzz_"):
            loaded = importlib.import_module(f"tests.fuzz.{module.name}")
            found |= {name[5:]: entry for name, entry in vars(loaded).items() if name.startswith("fuzz_")}
    return found


def fuzz(name: str, seconds: int) -> None:
    import atheris  # type: ignore[import-not-found]  # only `make fuzz` installs it

    with atheris.instrument_imports(include=["ossec"]):
        entry = entries()[name]
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", "-max_len=8192", "-verbosity=0", "-rss_limit_mb=0"], entry
    )
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Run the fuzz entries.")
    parser.add_argument("--seconds", type=int, default=20, help="for each entry (default: %(default)s)")
    parser.add_argument("--here", action="store_true", help="run the one entry named in this process")
    parser.add_argument("names", nargs="*", help="entries to run (default: all)")
    arguments = parser.parse_args()
    if arguments.here:
        fuzz(arguments.names[0], arguments.seconds)
    names = arguments.names or sorted(entries())
    failed = []
    for name in names:
        command = [sys.executable, "-m", "tests.fuzz", "--here", "--seconds", str(arguments.seconds), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{name}: {'held' if done.returncode == 0 else 'failed'}", flush=True)
        if done.returncode != 0:
            print(done.stdout + done.stderr, file=sys.stderr)
            failed.append(name)
    print(f"{len(names) - len(failed)} of {len(names)} entries held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
