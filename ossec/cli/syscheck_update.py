"""syscheck_update: empty what is known of an agent's files."""

from __future__ import annotations

import sys

import click

from ossec import __version__
from ossec.agents import integrity, status
from ossec.agents.control import LOCAL_NAMES
from ossec.agents.keyfile import KeyFile
from ossec.agents.store import KeyStore
from ossec.cli.agent_control import run_tool
from ossec.layout import Layout, find_home

PROGRAM = "syscheck_update"


def agents_text(known: KeyFile) -> str:
    rows = "".join(f"   ID: {row.id}, Name: {row.name}, IP: {row.ip}\n" for row in known.agents)
    return f"\nOSSEC HIDS {PROGRAM}: Updates the integrity check database.\nAvailable agents: \n{rows}\n"


def clear(layout: Layout, known: KeyFile, identity: str) -> bool:
    """Whether there is such an agent.  OSError."""
    if identity in LOCAL_NAMES:
        integrity.clear(layout, status.local_agent(layout))
        return True
    row = known.find(identity)
    if row is None:
        return False
    integrity.clear(layout, status.Agent(row, status.State.NEVER))
    return True


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-l", "list_agents", is_flag=True, help="List the agents.")
@click.option("-a", "everyone", is_flag=True, help="Empty what is known of all files, of every agent.")
@click.option("-u", "agent", metavar="ID", help="Empty what is known of an agent's files; 'local' is this host.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.version_option(__version__, "--version", message="syscheck_update (OSSEC in Python) %(version)s")
@click.pass_context
def command(context: click.Context, list_agents: bool, everyone: bool, agent: str | None, home: str | None) -> None:
    """Empty what is known of files, so that the next scan learns them anew."""
    if list_agents + everyone + (agent is not None) != 1:
        click.echo(f"\n{context.get_help()}\n")
        context.exit(1)
    layout = find_home(home)
    known = KeyStore(layout.client_keys).read()
    if list_agents:
        click.echo(agents_text(known), nl=False)
        return
    if everyone:
        integrity.clear_all(layout)
    elif not clear(layout, known, agent or ""):
        click.echo(f"\n** Invalid agent id '{agent}'.\n\n{context.get_help()}\n")
        context.exit(1)
    click.echo("\n** Integrity check database updated.\n\n", nl=False)


def main() -> None:
    """Console script."""
    words = sys.argv[1:]
    if words == ["-u"]:
        click.echo("\n** Option -u requires an extra argument\n")
        words = []
    sys.exit(run_tool(command, PROGRAM, words, getopt=False))


if __name__ == "__main__":
    main()
