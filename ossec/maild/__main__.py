"""`ossec-maild`."""

from __future__ import annotations

from ossec.daemon import run
from ossec.maild.daemon import Maild


def main() -> None:
    run(Maild)


if __name__ == "__main__":
    main()
