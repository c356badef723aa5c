"""ossec-makelists: compile the lists that ossec.conf declares (spec/analysis.md, section 8)."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from ossec import COMPATIBLE_VERSION, __version__
from ossec.analysisd.cdb import BadList
from ossec.analysisd.lists import ListPlace
from ossec.config import ConfigurationError, check, load
from ossec.config.kind import home_kind
from ossec.daemon.process import drop_privileges, find_ids
from ossec.errors import OssecError
from ossec.layout import Layout, find_home

PROGRAM = "ossec-makelists"

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


def _say_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"\nOSSEC HIDS {COMPATIBLE_VERSION} - OSSEC Foundation\n\nOSSEC in Python {__version__}", err=True)
        context.exit(0)


@click.command(context_settings=CONTEXT)
@click.option("-V", is_flag=True, is_eager=True, expose_value=False, callback=_say_version,
              help="Say which OSSEC this is compatible with, and exit.")  # fmt: skip
@click.version_option(__version__, "--version", message="ossec-makelists (OSSEC in Python) %(version)s")
@click.option("-d", "--debug", count=True, help="Accepted for old scripts; changes nothing.")
@click.option("-t", "test", is_flag=True, help="Test the configuration, say all that is wrong, and exit.")
@click.option("-F", "force", is_flag=True, help="Compile every list, and show what goes into each.")
@click.option("-u", "user", metavar="USER", help="Become this user first (default: stay who you are).")
@click.option("-g", "group", metavar="GROUP", help="Become this group first.")
@click.option("-c", "config", metavar="FILE", help="Read this file instead of etc/ossec.conf.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
def command(debug: int, test: bool, force: bool, user: str | None, group: str | None,
            config: str | None, home: str | None) -> None:  # fmt: skip
    """Write the .cdb of each <list> of ossec.conf whose text is newer.

    A text has one `key:value` a line; ` ### ...` is a comment.  ossec-analysisd takes a changed list into use within a
    second, without a restart.
    """
    layout = find_home(home)
    path = Path(config) if config else None
    try:
        if user or group:
            uid, gid = find_ids(user or "root", group or "root")
            drop_privileges(uid if user else None, gid if group else None)
        if test:
            lines, status = check(layout, path, PROGRAM, home_kind(layout))
            _tell(*lines)
            sys.exit(status)
        sys.exit(0 if _compile_all(layout, path, force) else 1)
    except ConfigurationError as error:
        _tell(*error.lines)
    except (OssecError, PermissionError) as error:
        _tell(f"{PROGRAM}: ERROR: {error}")
    sys.exit(1)


def _compile_all(layout: Layout, path: Path | None, force: bool) -> bool:
    """Whether every list could be compiled; one that cannot does not keep the others from it."""
    configuration = load(layout, path, PROGRAM, home_kind(layout))
    _tell(*configuration.warnings)
    good = True
    for declared in configuration.rules.lists:
        place = ListPlace.of(layout, declared.name)
        shown = f"{place.name}.cdb"
        try:
            if place.text is not None and not force and not place.outdated:
                click.echo(f" * File {shown} does not need to be compiled")
                continue
            pairs = place.compile()
        except (OSError, BadList) as error:
            reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            _tell(f"{PROGRAM}: ERROR: {declared.place}: the list '{place.name}' cannot be compiled: {reason}")
            good = False
            continue
        click.echo(f" * File {shown} needs to be updated")
        if force:
            sys.stdout.flush()
            for key, value in pairs:
                sys.stderr.buffer.write(b"  * adding - key: %b value: %b\n" % (key, value))
            sys.stderr.flush()
    return good


def _tell(*lines: str) -> None:
    """Lines with OSSEC's time stamp, to standard error."""
    stamp = time.strftime("%Y/%m/%d %H:%M:%S ")
    for line in lines:
        click.echo((stamp + line).encode("utf-8", "surrogateescape"), err=True)


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
