"""`python -m ossec.agentd`, `ossec-agentd`."""

from ossec.agentd.daemon import AgentService
from ossec.daemon import run


def main() -> None:
    run(AgentService)


if __name__ == "__main__":
    main()
