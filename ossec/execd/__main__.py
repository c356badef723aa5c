"""`python -m ossec.execd`, and the console script `ossec-execd`."""

from ossec.daemon import run
from ossec.execd.daemon import Execd


def main() -> None:
    run(Execd)


if __name__ == "__main__":
    main()
