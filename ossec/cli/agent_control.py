"""agent_control: see the agents of a server, and give them orders."""

from __future__ import annotations

import sys
import time

import click

from ossec import COMPATIBLE_VERSION, __version__
from ossec.agents import listing
from ossec.agents.control import PROGRAM, Control, Refused, Request
from ossec.config.internal import InternalOptions
from ossec.config.kind import Kind
from ossec.errors import OssecError
from ossec.execd import store as execd_store
from ossec.execd.journal import Entry
from ossec.layout import Layout, find_home
from ossec.suite.control import Control as HomeControl

VERSION = f"\nOSSEC HIDS {COMPATIBLE_VERSION} - OSSEC Foundation\n\nOSSEC in Python {__version__}\n"
EPILOG = """\b
Examples:
  agent_control -l                                    every agent and its state
  agent_control -lc --long                            active ones, with their last keep-alive
  agent_control -b 192.0.2.1 -f firewall-drop600 -u 3 block an address on agent 003
  agent_control -b 192.0.2.1 -f firewall-drop600 -a   ... on all agents
  agent_control --user bob -f disable-account60 -u 0  run a response for a user on this host
  agent_control --unblock 192.0.2.1 -u 000            undo every block of an address on this host
  agent_control --blocks -j                           what is in force on this host, in JSON

IDs may be written short: 1, 01 and 001 are the same agent; 0, 000 and local are this host.
"""


def show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(VERSION, err=True, nl=False)
        context.exit(0)


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.option("-l", "list_agents", is_flag=True, help="List all agents: active, disconnected, never connected.")
@click.option("-c", "active_only", is_flag=True, help="With -l (-lc): only active ones.")
@click.option(
    "--long", is_flag=True, help="With -l or -i: also the last keep-alive, and by whom an entry is superseded."
)
@click.option("-i", "info", metavar="ID", help="Show what is known of an agent.")
@click.option("-e", "ends", is_flag=True, help="With -i: also when its scans ended.")
@click.option("-R", "restart", metavar="ID", help="Restart OSSEC on an agent.")
@click.option("-r", "scan", is_flag=True, help="Run the integrity and rootkit checks now: on -u ID, or on all with -a.")
@click.option("-a", "everyone", is_flag=True, help="With -r, -b, --user, --unblock: on all agents.")
@click.option("-u", "agent", metavar="ID", help="With -r, -b, --user, --unblock, --blocks, -M: on this agent.")
@click.option("-b", "block", metavar="IP", help="Run the response of -f against an address.")
@click.option("--user", metavar="NAME", help="Run the response of -f for a user; -b may name an address too.")
@click.option("-f", "response", metavar="AR", help="With -b, --user, --unblock: the response, by its name in -L.")
@click.option("--unblock", metavar="IP", help="Undo a response against an address; without -f, all of them.")
@click.option("--unblock-user", metavar="NAME", help="Undo a response for a user that names no address.")
@click.option("--force", is_flag=True, help="Send a response or an address that is not known here.")
@click.option("--blocks", is_flag=True, help="List the responses that are in force on this host.")
@click.option("-L", "responses", is_flag=True, help="List the responses that -f may name.")
@click.option(
    "-M",
    "maintenance",
    metavar="ACTION",
    help="File integrity maintenance for -u ID: enable (changes are taken over without alert), end (a scan, then "
    "alerts again), disable (alerts again at once), status.",
)
@click.option("--reset-counter", metavar="ID", help="Let an agent that was restored or reinstalled count from anew.")
@click.option("-m", "limit", is_flag=True, help="Show how many agents OSSEC is built for (here there is no limit).")
@click.option("-s", "csv", is_flag=True, help="Answer with commas between values.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("-d", "--debug", is_flag=True, help="Accepted for OSSEC's sake.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("-V", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Say the version.")
@click.version_option(__version__, "--version", message="agent_control (OSSEC in Python) %(version)s")
@click.pass_context
def command(context: click.Context, /, home: str | None, debug: bool, **options: object) -> None:
    """See the agents of this server and give them orders; block and release addresses by hand.

    Orders for this host (-u 000) go to its own ossec-execd, so they also work on a local installation and on an agent.
    """
    layout = find_home(home)
    request = Request(**options)  # type: ignore[arg-type]
    if request == Request():
        click.echo(f"\n{context.get_help()}")
        context.exit(1)
    control = Control(
        layout,
        lambda text: click.echo(text, nl=False),
        lambda text: click.echo(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {text}", err=True),
        lambda: read_blocks(layout),
        agent_side=HomeControl(layout, click.echo, click.echo).home_type() is Kind.AGENT,
        notify_time=InternalOptions.load(layout, PROGRAM, quiet=True).get("monitord.notify_time"),
    )
    try:
        control.run(request)
    except Refused as refusal:
        if request.as_json:
            click.echo(listing.failure(refusal.number, str(refusal).rstrip(".")), nl=False)
        else:
            click.echo(f"\n** {refusal}")
            if refusal.usage:
                click.echo(f"\n{context.get_help()}")
        context.exit(1)


def read_blocks(layout: Layout) -> list[Entry]:
    """What execd's journal says is in force."""
    return list(execd_store.read(layout.execd_journal).entries.values())


def main() -> None:
    """Console script."""
    sys.exit(run_tool(command, PROGRAM))


def run_tool(tool: click.Command, program: str, words: list[str] | None = None, *, getopt: bool = True) -> int:
    """Run a tool; its exit status, 1 for a mistake on the command line, which is followed by the help.

    `getopt`: an unknown option is said on standard error; without it on standard output, as some of OSSEC's tools do.
    """
    try:
        status = tool.main(words, prog_name=program, standalone_mode=False)
    except click.NoSuchOption as error:
        if getopt:
            click.echo(f"{sys.argv[0]}: invalid option -- '{error.option_name.lstrip('-')}'", err=True)
        else:
            click.echo(f"\n** Invalid option '{error.option_name}'.")
        click.echo(f"\n{error.ctx.get_help() if error.ctx else ''}")
        return 1
    except click.ClickException as error:
        error.show()
        return 1
    except PermissionError as error:
        click.echo(f"{program}: {error.filename}: {error.strerror}. Run it as root.", err=True)
        return 1
    except (OssecError, OSError) as error:
        click.echo(f"{program}: {error}", err=True)
        return 1
    sys.stdout.flush()
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    main()
