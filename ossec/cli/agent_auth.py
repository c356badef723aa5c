"""agent-auth: enrol this agent with its server."""

from __future__ import annotations

import re
import socket
import sys
import time
from pathlib import Path

import click

from ossec import COMPATIBLE_VERSION, __version__
from ossec.agents import enrol
from ossec.agents.enrol import CIPHERS, PORT, EnrolmentFailed, Manager, check_key, request_key
from ossec.agents.keyfile import BadKey
from ossec.agents.store import ENROLMENT_MODE, install_key
from ossec.errors import OssecError
from ossec.layout import find_home
from ossec.messages import enrolment

PROGRAM = "agent-auth"
MAX_PASSWORD_FILE = 4096
VERSION = f"\nOSSEC HIDS {COMPATIBLE_VERSION} - OSSEC Foundation\n\nOSSEC in Python {__version__}\n"
FINGERPRINT = re.compile(r"(?:[0-9A-Fa-f]{2}:?){32}")
EPILOG = """\b
Example, on the agent:
  agent-auth -m 198.51.100.1 -P authd.pass --fingerprint 3f0c…
ossec-authd logs the fingerprint of its certificate when it starts.
"""


class Failed(OssecError):
    """Exit 1; the text goes to standard error."""


def show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(VERSION, err=True, nl=False)
        context.exit(0)


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.option("-m", "host", metavar="HOST", help="The server: an address or a name.")
@click.option("-p", "port", metavar="PORT", default=str(PORT), help=f"Its port (default: {PORT}).")
@click.option("-A", "name", metavar="NAME", help="Name of this agent (default: the host's).")
@click.option("-P", "password_file", metavar="FILE", help="File whose first line is the password.")
@click.option("-v", "ca", metavar="FILE", help="Verify the server: CA certificate, or a copy of its own certificate.")
@click.option("--fingerprint", metavar="SHA256", help="Verify the server: fingerprint of its certificate.")
@click.option("-x", "certificate", metavar="FILE", help="Certificate of this agent, where the server demands one.")
@click.option("-k", "key", metavar="FILE", help="Its key.")
@click.option("-c", "ciphers", metavar="LIST", default=CIPHERS, show_default=False, help="OpenSSL cipher list.")
@click.option("-g", "group", metavar="GROUP", help="Accepted for OSSEC's sake; client.keys keeps its group.")
@click.option("-d", "--debug", count=True, help="Accepted for OSSEC's sake.")
@click.option("-t", "--test", is_flag=True, help="Look at the options and files only.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("-V", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Say the version.")
@click.version_option(__version__, "--version", message="agent-auth (OSSEC in Python) %(version)s")
def command(
    host: str | None,
    port: str,
    name: str | None,
    password_file: str | None,
    ca: str | None,
    fingerprint: str | None,
    certificate: str | None,
    key: str | None,
    ciphers: str,
    group: str | None,
    debug: int,
    test: bool,
    home: str | None,
) -> None:
    """Ask the server's ossec-authd for a key, and write it to etc/client.keys; then start OSSEC."""
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Failed(f"{PROGRAM}: Invalid port: {port}")
    if host is None:
        raise Failed(f"{PROGRAM}: ERROR: Manager IP not set.")
    if fingerprint is not None and not FINGERPRINT.fullmatch(fingerprint):
        raise Failed(f"{PROGRAM}: ERROR: --fingerprint wants 64 hex digits.")
    manager = Manager(host, int(port), ca, fingerprint, certificate, key, ciphers)
    password = read_password(password_file)
    asked = socket.gethostname() if name is None else name
    if "'" in asked or "\n" in asked:
        raise Failed(f"{PROGRAM}: ERROR: a name cannot hold {asked!r}.")
    if test:
        enrol.make_context(manager)
        return
    if password is None:
        click.echo("WARN: No authentication password provided. Insecure mode started.")
    else:
        click.echo("INFO: Using specified password.")
    if not (ca or fingerprint):
        warn("WARN: The manager is not verified. Use -v or --fingerprint.")
    said = request_key(manager, asked, password, click.echo)
    take(said, home)


def read_password(path: str | None) -> str | None:
    """The first line without its line end, so that one file serves authd and agent-auth."""
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            line = file.read(MAX_PASSWORD_FILE).split(b"\n", 1)[0].rstrip(b"\r")
    except OSError as error:
        raise Failed(f"Cannot open {path}: {error.strerror}") from None
    if not line:
        raise Failed(f"{path} holds no password.")
    return line.decode("utf-8", "surrogateescape")


def take(said: bytes, home: str | None) -> None:
    """Write the key that a server gave; Failed when it gave none."""
    try:
        reply = enrolment.decode_reply(said)
    except enrolment.BadReply:
        click.echo("ERROR: SSL read (unable to receive message)")
        reason = "closed the connection: the password may be wrong" if not said else "said nothing of a key"
        raise Failed(f"{PROGRAM}: The manager {reason}.") from None
    for error in reply.errors:
        click.echo(f"ERROR: {''.join(filter(str.isprintable, error))} (from manager)")
    if reply.key is None:
        raise Failed("")
    try:
        row = check_key(reply.key)
    except BadKey as error:
        click.echo("ERROR: Invalid key received. Closing connection.")
        raise Failed(f"{PROGRAM}: not taken: {error}") from None
    install_key(find_home(home), row, ENROLMENT_MODE)
    click.echo("INFO: Valid key created. Finished.")


def warn(text: str) -> None:
    sys.stdout.flush()
    click.echo(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {text}", err=True)


def main() -> None:
    """Console script."""
    status = 0
    try:
        result = command.main(prog_name=PROGRAM, standalone_mode=False)
        status = result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        status = 1
    except (Failed, EnrolmentFailed) as error:
        if str(error):
            warn(str(error))
        status = 1
    except OSError as error:
        warn(f"{PROGRAM}: {error.filename}: {error.strerror}")
        status = 1
    sys.stdout.flush()
    sys.exit(status)


if __name__ == "__main__":
    main()
