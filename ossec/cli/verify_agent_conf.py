"""verify-agent-conf: say what is wrong in agent.conf before agents get it (spec/configuration.md, section 4)."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ossec import COMPATIBLE_VERSION, __version__
from ossec.config import agent_conf
from ossec.layout import find_home

PROGRAM = "verify-agent-conf"


def _say_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"\nOSSEC HIDS {COMPATIBLE_VERSION} - OSSEC Foundation\n\nOSSEC in Python {__version__}", err=True)
        context.exit(0)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-f", "file", metavar="FILE", help="Look at this file (default: etc/shared/agent.conf of the home).")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("-V", is_flag=True, is_eager=True, expose_value=False, callback=_say_version,
              help="Say which OSSEC this is compatible with, and exit.")  # fmt: skip
@click.version_option(__version__, "--version", message="verify-agent-conf (OSSEC in Python) %(version)s")
def command(file: str | None, home: str | None) -> None:
    """Say all that is wrong in agent.conf, whomever its blocks are for.

    Looks at localfile, syscheck and rootcheck.  Exits with 0 if nothing is wrong, with 255 if something is.
    """
    layout = find_home(home)
    path = Path(file) if file else layout.agent_conf
    click.echo(f"\n{PROGRAM}: Verifying [{path}].\n")
    lines, status = agent_conf.verify(layout, path)
    for line in lines:
        click.echo(line.encode("utf-8", "surrogateescape"), err=True)
    sys.exit(status)


def main() -> None:
    """The console script."""
    try:
        command.main(prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.Abort:
        sys.exit(1)
