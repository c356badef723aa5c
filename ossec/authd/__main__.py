"""`python -m ossec.authd`, and the console script `ossec-authd`."""

from ossec.authd.daemon import AuthdService
from ossec.daemon import run


def main() -> None:
    run(AuthdService)


if __name__ == "__main__":
    main()
