"""`ossec-syscheckd`."""

from __future__ import annotations

from ossec.daemon import run
from ossec.syscheckd.daemon import Syscheckd


def main() -> None:
    run(Syscheckd)


if __name__ == "__main__":
    main()
