"""`python -m ossec.remoted`, `ossec-remoted`."""

from ossec.daemon import run
from ossec.remoted.daemon import RemotedService


def main() -> None:
    run(RemotedService)


if __name__ == "__main__":
    main()
