"""`python -m ossec.monitord`, and the console script `ossec-monitord`."""

from __future__ import annotations

from ossec.daemon import run
from ossec.monitord.daemon import Monitord


def main() -> None:
    run(Monitord)


if __name__ == "__main__":
    main()
