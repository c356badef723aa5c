"""`ossec-analysisd`, and `python -m ossec.analysisd`."""

from __future__ import annotations

from ossec.analysisd.daemon import Analysisd
from ossec.daemon import run


def main() -> None:
    """Run until stopped."""
    run(Analysisd)


if __name__ == "__main__":
    main()
