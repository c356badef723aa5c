"""The command line that all daemons share (spec/configuration.md, section 7)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ossec import COMPATIBLE_VERSION, __version__

if TYPE_CHECKING:
    import click


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of a daemon."""

    home: str | None = None
    config: str | None = None
    user: str | None = None
    group: str | None = None
    debug: int = 0
    foreground: bool = False
    test: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)  # of the daemon's own options, by name


class Described(Protocol):
    """What a `Service` says of itself."""

    name: str
    summary: str
    user: str | None
    group: str | None
    flags: str

    def own_options(self) -> list[click.Parameter]: ...


def make_command(service: Described) -> click.Command:
    """The command line of a daemon, OSSEC's letters; its result is an `Options`."""
    import click

    def show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted:
            click.echo(
                f"\nOSSEC HIDS {COMPATIBLE_VERSION} - OSSEC Foundation\n\nOSSEC in Python {__version__}", err=True
            )
            context.exit(0)

    def show_ours(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted:
            click.echo(f"{service.name} (OSSEC in Python) {__version__}")
            context.exit(0)

    def flag(*names: str, text: str, callback: Callable[..., None] | None = None) -> click.Option:
        if callback is None:
            return click.Option(names, is_flag=True, help=text)
        return click.Option(names, is_flag=True, is_eager=True, expose_value=False, callback=callback, help=text)

    parameters: list[click.Parameter] = [
        flag("-V", text="Say which OSSEC this is compatible with, and exit.", callback=show_version),
        flag("--version", text="Say the version of OSSEC in Python, and exit.", callback=show_ours),
        click.Option(["-d", "--debug"], count=True, help="Log more; give it twice for all."),
        flag("-t", "--test", text="Test the configuration, say all that is wrong, write nothing, and exit."),
        flag("-f", "--foreground", text="Stay in the foreground and log to stderr as well."),
        click.Option(["-D", "--home"], metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec)."),
    ]
    optional = {
        "c": click.Option(["-c", "--config"], metavar="FILE", help="Read this file instead of etc/ossec.conf."),
        "u": click.Option(["-u", "--user"], metavar="USER", help=f"Run as this user (default: {service.user})."),
        "g": click.Option(["-g", "--group"], metavar="GROUP", help=f"Run as this group (default: {service.group})."),
    }
    parameters += [optional[letter] for letter in service.flags]
    own = service.own_options()
    parameters += own
    return click.Command(
        service.name,
        params=parameters,
        callback=lambda **values: Options(extra={option.name: values.pop(option.name) for option in own}, **values),
        help=service.summary,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def parse_options(service: Described, argv: list[str]) -> Options:
    """OSSEC's letters; -V, -h and mistakes end the process (status 0, 0, 1)."""
    import click

    try:
        options = make_command(service).main(argv, prog_name=service.name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    if not isinstance(options, Options):  # -V, -h: click has printed and returns their status
        sys.exit(options if isinstance(options, int) else 0)
    return options
