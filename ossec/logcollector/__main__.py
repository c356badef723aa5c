"""`ossec-logcollector`."""

from __future__ import annotations

from ossec.daemon import run
from ossec.logcollector.daemon import Logcollector


def main() -> None:
    run(Logcollector)


if __name__ == "__main__":
    main()
