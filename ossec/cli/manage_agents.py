"""manage_agents: the keys of a server's agents, and the key of an agent."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import click

from ossec import __version__
from ossec.agents.manage import VERSION, Given, Leave, Manager, standard_console
from ossec.config.kind import Kind
from ossec.errors import OssecError
from ossec.layout import find_home
from ossec.suite.control import Control

EPILOG = """\b
Instead of answering questions, set any of these in the environment:
  OSSEC_ACTION            a letter of the menu; the program ends after it
  OSSEC_AGENT_NAME, OSSEC_AGENT_IP, OSSEC_AGENT_ID (0: the next free one)
  OSSEC_ACTION_CONFIRMED  y or n
  OSSEC_AGENT_KEY         the key to import
  OSSEC_REMOVE_DUPLICATED as -F
"""


def show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(VERSION, err=True, nl=False)
        context.exit(0)


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.option("-a", "address", metavar="IP", help="Add an agent with this address: an IP, IP/BITS, or any.")
@click.option("-n", "name", metavar="NAME", help="Name of the agent that -a adds (default: asked for).")
@click.option(
    "-F",
    "force",
    metavar="SEC",
    help="With -a: an agent that has the same single address and was silent for SEC seconds is backed up and removed.",
)
@click.option("-e", "extract", metavar="ID", help="Print the key of an agent, for manage_agents on that agent.")
@click.option("-r", "remove", metavar="ID", help="Remove an agent and all that is known of it, without questions.")
@click.option("-i", "import_key", metavar="KEY", help="On an agent: take over this key from the server.")
@click.option("-f", "bulk", metavar="FILE", help="Add an agent for each line IP,NAME of FILE (-: standard input).")
@click.option("-l", "listing", is_flag=True, help="List the agents.")
@click.option("-j", "as_json", is_flag=True, help="Answer in JSON, without prompts.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("-V", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Say the version.")
@click.version_option(__version__, "--version", message="manage_agents (OSSEC in Python) %(version)s")
def command(
    address: str | None,
    name: str | None,
    force: str | None,
    extract: str | None,
    remove: str | None,
    import_key: str | None,
    bulk: str | None,
    listing: bool,
    as_json: bool,
    home: str | None,
) -> None:
    """Add, list, extract and remove the keys of agents; on an agent, import its key.

    Without options a menu asks.  Changes take effect at once: ossec-remoted sees a new or removed key within a second.
    """
    layout = find_home(home)
    console = standard_console()
    manager = Manager(
        layout,
        console,
        agent_side=Control(layout, click.echo, click.echo).home_type() is Kind.AGENT,
        given=Given.from_environment(os.environ),
        as_json=as_json,
    )
    given = manager.given
    if force is not None:
        if not (force.isascii() and force.isdigit()):
            console.complain("Invalid number for -d")
            raise Leave(1)
        given = replace(given, force_after=int(force))
    if name is not None:
        given = replace(given, name=name)
    for flag, value in (("a", address), ("e", extract), ("r", remove), ("i", import_key), ("f", bulk)):
        if value is not None:
            manager.refuse_side(flag)
    if listing:
        manager.list_agents()
    elif extract is not None:
        manager.extract(extract)
    elif bulk is not None:
        manager.add_from(bulk)
    elif import_key is not None:
        manager.import_key(import_key, menu=False)
    elif remove is not None:
        manager.given = replace(given, identity=remove)
        manager.run("r")
    elif address is not None:
        manager.given = replace(given, address=address, identity=given.identity or "0", confirmed="y")
        manager.run("a")
    else:
        manager.given = given
        manager.run(os.environ.get("OSSEC_ACTION"))


def main() -> None:
    """Console script."""
    status = 0
    try:
        command.main(prog_name="manage_agents", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = 1
    except Leave as leaving:
        status = leaving.status
    except click.Abort:
        status = 1
    except PermissionError as error:
        click.echo(f"manage_agents: {error.filename}: {error.strerror}. Run it as root.", err=True)
        status = 1
    except (OssecError, OSError) as error:
        click.echo(f"manage_agents: {error}", err=True)
        status = 1
    sys.stdout.flush()
    sys.exit(status)


if __name__ == "__main__":
    main()
