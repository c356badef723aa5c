"""ossec-control: start, stop and look after the daemons of a home."""

from __future__ import annotations

import json
import sys

import click

from ossec import COMPATIBLE_VERSION, __version__
from ossec.config.kind import Kind
from ossec.errors import OssecError
from ossec.layout import find_home
from ossec.suite.control import SWITCHES, Control, ControlError

ACTIONS = "start|stop|restart|reload|status|test|enable OPTION|disable OPTION"
OPTIONS_LISTED = ", ".join(SWITCHES)


def _usage(control: Control) -> str:
    if control.home_type() is Kind.AGENT:
        return f"Usage: {sys.argv[0]} {{start|stop|reload|restart|status}}"
    return f"\nUsage: {sys.argv[0]} {{start|stop|reload|restart|status|enable|disable}}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", nargs=-1, metavar=ACTIONS)
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("-j", "--json", "as_json", is_flag=True, help="Print the status as one JSON object.")
@click.version_option(__version__, "--version", message="ossec-control (OSSEC in Python) %(version)s")
def command(words: tuple[str, ...], home: str | None, as_json: bool) -> None:
    """Start, stop and look after the daemons of an OSSEC home.

    start, restart and reload test the configuration first; if a daemon refuses it, all that is wrong is printed and
    nothing that runs is touched.  test does only that.  reload lets the running daemons read their configuration again
    in place, so no event and no pending response is lost.  enable and disable take database, client-syslog, agentless
    or debug.
    """
    control = Control(find_home(home), click.echo, lambda line: click.echo(line, err=True))
    try:
        sys.exit(_act(control, words, as_json))
    except ControlError as error:
        if str(error):
            click.echo(str(error))
        sys.exit(1)
    except OssecError as error:
        click.echo(f"ossec-control: {error}", err=True)
        sys.exit(1)
    except PermissionError as error:
        click.echo(
            f"ossec-control: {error.filename}: {error.strerror}. Run it as root or as the home's owner.", err=True
        )
        sys.exit(1)


def _act(control: Control, words: tuple[str, ...], as_json: bool) -> int:
    match words:
        case ("start" | "stop" | "restart" | "reload" | "test" as action,):
            getattr(control, action)()
            return 0
        case ("status",):
            return _show_status(control, as_json)
        case ("enable" | "disable" as action, *rest) if control.home_type() is not Kind.AGENT:
            return _switch(control, action, rest)
        case _:
            click.echo(_usage(control))
            return 1


def _show_status(control: Control, as_json: bool) -> int:
    if not as_json:
        return 0 if control.status() else 1
    states = control.states()
    roster = control.roster()
    value = {
        "home": str(control.layout.home),
        "type": str(roster.home_type),
        "compatible": COMPATIBLE_VERSION,
        "version": __version__,
        "daemons": [{"name": state.name, "running": state.running, "pids": state.pids} for state in states],
        "absent": roster.absent,
    }
    click.echo(json.dumps(value))
    return 0 if all(state.running for state in states) else 1


def _switch(control: Control, action: str, rest: list[str]) -> int:
    if rest and rest[0] in SWITCHES:
        control.switch(rest[0], action == "enable")
        return 0
    if rest:
        click.echo(f"\nInvalid {action} option.")
    click.echo(f"\n{action.capitalize()} options: {OPTIONS_LISTED}")
    click.echo(f"Usage: {sys.argv[0]} {action} [{'|'.join(SWITCHES)}]")
    return 1


def main() -> None:
    """Console script.  A usage error exits 1, as OSSEC's do."""
    try:
        command.main(prog_name="ossec-control", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except click.Abort:  # Ctrl-C
        click.echo("ossec-control: interrupted; see ossec-control status", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
