"""`ossec-csyslogd`."""

from __future__ import annotations

from ossec.csyslogd.daemon import Csyslogd
from ossec.daemon import run


def main() -> None:
    run(Csyslogd)


if __name__ == "__main__":
    main()
