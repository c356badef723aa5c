"""list_agents: which agents have connected, are active, or are silent."""

from __future__ import annotations

import sys
import time

import click

from ossec import __version__
from ossec.agents import listing, status
from ossec.agents.status import State
from ossec.agents.store import KeyStore
from ossec.cli.agent_control import run_tool
from ossec.config.internal import InternalOptions
from ossec.layout import find_home

PROGRAM = "list_agents"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-a", "everyone", is_flag=True, help="All agents that have ever connected.")
@click.option("-c", "active", is_flag=True, help="Those that are active.")
@click.option("-n", "silent", is_flag=True, help="Those that are not.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.version_option(__version__, "--version", message="list_agents (OSSEC in Python) %(version)s")
@click.pass_context
def command(
    context: click.Context, everyone: bool, active: bool, silent: bool, as_json: bool, home: str | None
) -> None:
    """List agents that have connected at least once.  agent_control -l says more."""
    if not (everyone or active or silent):
        click.echo(f"\n{context.get_help()}")
        context.exit(1)
    layout = find_home(home)
    silence = status.silent_after(InternalOptions.load(layout, PROGRAM, quiet=True).get("monitord.notify_time"))
    agents = status.survey(layout, KeyStore(layout.client_keys).read(), time.time(), silence)
    wanted = None if everyone else State.ACTIVE if active else State.DISCONNECTED
    if as_json:
        shown = [agent for agent in agents if agent.state is not State.NEVER and wanted in (None, agent.state)]
        click.echo(listing.answer(listing.list_values(shown, None)), nl=False)
    else:
        click.echo(listing.availability(agents, wanted), nl=False)


def main() -> None:
    """Console script."""
    sys.exit(run_tool(command, PROGRAM, getopt=False))


if __name__ == "__main__":
    main()
