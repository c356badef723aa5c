"""syscheck_control: see which files changed on which agent, and empty what is known of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from ossec import __version__
from ossec.agents import integrity, listing, status
from ossec.agents.control import LOCAL_NAMES
from ossec.agents.integrity import Event
from ossec.agents.status import LOCAL_ID, Agent, State
from ossec.agents.store import KeyStore
from ossec.cli.agent_control import run_tool
from ossec.config.internal import InternalOptions
from ossec.daemon.state import parse_state
from ossec.errors import OssecError
from ossec.layout import Layout, find_home
from ossec.regex import PatternError, compile_match

PROGRAM = "syscheck_control"
UPDATED = "Integrity check database updated"
LABELS = {"size": "Size:", "perm": "Perm:", "uid": "Uid: ", "gid": "Gid: ", "md5": "Md5: ", "sha1": "Sha1:"}
SCAN_HINT = "\n   To run an integrity scan, use: agent_control -r -u <id>"
BAD_ARGUMENTS, BAD_FILE, BAD_ID, BAD_ID_TO_EMPTY = 30, 31, 32, 33  # numbers of OSSEC's answers in JSON
PROGRESS_INTERVAL = 0.5  # seconds between two looks at the state file
EPILOG = """\b
Emptying a database starts no scan: agent_control -r -u ID does.
Example: syscheck_control -i 019 -f /etc/passwd
"""


class Refused(OssecError):
    """What is wrong with the call, ready to show; the help follows."""

    def __init__(self, text: str, number: int = BAD_ARGUMENTS) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call, as its options say."""

    list_agents: bool = False
    active_only: bool = False
    update: str | None = None
    info: str | None = None
    registry: bool = False
    file: str | None = None
    zero: bool = False
    ignore: bool = False
    csv: bool = False
    as_json: bool = False
    full: bool = False
    progress: bool = False

    def check(self) -> None:
        """Refused, as OSSEC refuses it, in its order."""
        if self.update is not None and (
            self.registry or self.info or self.file or self.zero or self.ignore or self.list_agents
        ):
            raise Refused(f"-u (clear database) cannot be combined with -r, -i, -f, -z, -d, or -l.{SCAN_HINT}")
        if self.registry and self.info is None:
            raise Refused(f"-r must be used with -i <id> to list Windows registry changes.{SCAN_HINT}")
        if self.info is None and (self.file or self.zero or self.ignore):
            raise Refused("-f/-z/-d require -i <id>.")
        if self.active_only and not self.list_agents:
            raise Refused("-c must be used with -l (list active agents only).")
        if self.list_agents and self.info is not None:
            raise Refused("-l cannot be combined with database clear/list options.")
        if not (self.list_agents or self.update is not None or self.info is not None or self.progress):
            raise Refused("Invalid argument combination.")


class Tool:
    """What a request does; `out` prints text as it is."""

    def __init__(self, layout: Layout, request: Request, out: Callable[[str], None]) -> None:
        self.layout = layout
        self.request = request
        self.out = out

    def run(self) -> None:
        """Refused; OSError."""
        request = self.request
        request.check()
        if request.list_agents:
            self._list()
        elif request.update is not None:
            self._clear(request.update)
        elif request.info is not None:
            self._show(request.info)

    def _agents(self) -> list[Agent]:
        notify = InternalOptions.load(self.layout, PROGRAM, quiet=True).get("monitord.notify_time")
        known = KeyStore(self.layout.client_keys).read()
        silence = status.silent_after(notify)
        return [status.local_agent(self.layout), *status.survey(self.layout, known, time.time(), silence)]

    def _find(self, identity: str, number: int = BAD_ID) -> Agent:
        if identity in LOCAL_NAMES:
            return status.local_agent(self.layout)
        row = KeyStore(self.layout.client_keys).read().find(identity)
        if row is None:
            raise Refused(f"Invalid agent id '{identity}'.", number)
        return next(agent for agent in self._agents() if agent.row == row)

    def _list(self) -> None:
        request = self.request
        agents = [agent for agent in self._agents() if agent.state is State.ACTIVE or not request.active_only]
        devices = None if request.active_only else status.agentless(self.layout)
        if request.as_json:
            self.out(listing.answer(listing.list_values(agents, devices)))
        elif request.csv:
            self.out(listing.list_csv(agents, devices))
        else:
            self.out(listing.list_text(PROGRAM, agents, devices))

    def _clear(self, identity: str) -> None:
        if identity == "all":
            integrity.clear_all(self.layout)
        else:
            integrity.clear(self.layout, self._find(identity, BAD_ID_TO_EMPTY))
        self.out(listing.answer(UPDATED) if self.request.as_json else f"\n** {UPDATED}.\n\n")

    # changes
    def _show(self, identity: str) -> None:
        request = self.request
        head = ""
        if "@" in identity:
            if "/" in identity:
                raise Refused(f"Invalid agent id '{identity}'.", BAD_ID)
            path = self.layout.syscheck_database(f"{identity}->syscheck")
        else:
            agent = self._find(identity)
            path = integrity.databases(self.layout, agent)[-1 if request.registry else 0]
            head = self._head(agent)
        plain = not request.as_json and not request.csv
        if plain:
            self.out(head)
        if request.file is None:
            self._show_changes(path)
            return
        if plain:
            self.out(f"Detailed information for entries matching: '{request.file}'\n")
        try:
            matcher = compile_match(request.file)
        except PatternError as error:
            raise Refused(str(error), BAD_FILE) from None
        if request.zero or request.ignore:
            self._set_flags(path, matcher.test)
        else:
            self._show_details(path, matcher.test)

    def _head(self, agent: Agent) -> str:
        row = agent.row
        if row.id == LOCAL_ID:
            return f"\nIntegrity checking changes for local system '{row.name} - {row.ip}':\n"
        whose = f"agent '{row.name} ({row.id}) - {agent.network}':\n"
        if self.request.registry:
            return f"\nIntegrity changes for 'Windows Registry' of {whose}"
        return f"\nIntegrity changes for {whose}"

    def _show_changes(self, path: Path) -> None:
        """A line each, in the order of the file, with a header before each day."""
        changes = (line for line in integrity.read(path) if line.is_change)
        if self.request.as_json:
            values = [
                {"readDay": line.moment, "file": os.fsdecode(line.path), "changes": line.number} for line in changes
            ]
            self.out(listing.answer(values))
            return
        day = ""
        for line in changes:
            name = os.fsdecode(line.path)
            if self.request.csv:
                self.out(f"{line.moment},{name},{line.number}\n")
                continue
            if line.moment[:11] != day:
                day = line.moment[:11]
                self.out(f"\nChanges for {day}:\n")
            self.out(f"{line.moment},{line.number} - {name}\n")

    def _show_details(self, path: Path, wanted: Callable[[bytes], bool]) -> None:
        found = list(integrity.events(path, wanted))
        if self.request.as_json:
            self.out(listing.answer([self._json(event) for event in found]))
            return
        for event in found:
            self.out(self._text(event))
        if not found:
            self.out("\n** No entries found.\n")

    def _text(self, event: Event) -> str:
        line, name = event.line, os.fsdecode(event.line.path)
        if self.request.csv:
            text = f"{line.moment},{name},{line.number}\n"
        else:
            text = f"\n{line.moment},{line.number} - {name}\n"
        text += f"{event.title}\n"
        values = event.values()
        if values:
            text += "Integrity checking values:\n"
        if not self.request.full and len(values) == len(integrity.NAMES):  # as OSSEC: sha256 behind sha1
            (_, sha1, first), (_, sha256, second) = values[-2:]
            values = [*values[:-2], ("sha1", f"{sha1}:{sha256}", first or second)]
        for key, value, changed in values:
            text += f"   {LABELS.get(key, 'Sha256:')} {'>' if changed else ''}{value}\n"
        return text

    def _json(self, event: Event) -> dict[str, object]:
        values = {key: value for key, value, _ in event.values()}
        return {
            "readDay": event.line.moment,
            "file": os.fsdecode(event.line.path),
            "changes": event.line.number,
            "attrs": {"event": event.kind, **values},
        }

    def _set_flags(self, path: Path, wanted: Callable[[bytes], bool]) -> None:
        changed = integrity.set_flags(path, wanted, integrity.IGNORED if self.request.ignore else integrity.ZEROED)
        if changed is None:
            self.out(listing.answer([]) if self.request.as_json else "\n** No entries found.\n")
            return
        text = f"Counter updated for file '{os.fsdecode(changed)}'"
        self.out(listing.answer(text) if self.request.as_json else f"\n**{text}\n\n")


def show_progress(layout: Layout) -> int:
    """How far the scan of this host is; a bar that moves on a terminal.  The exit status: 1 where nobody scans."""

    def look() -> dict[str, str]:
        try:
            return parse_state(layout.state_file("ossec-syscheckd").read_text())
        except OSError:
            return {}

    values = look()
    if not values:
        click.echo("ossec-syscheckd does not run here.")
        return 1
    if values.get("scan", "none") == "none":
        click.echo(f"No scan is running; {values.get('files', '0')} files are known.")
        return 0
    if not sys.stdout.isatty():
        click.echo(f"{values.get('scan_files')} of {values.get('scan_total')} files ({values.get('scan_percent')}%)")
        return 0
    with click.progressbar(length=max(int(values.get("scan_total", "0")), 1), label="Scanning") as bar:
        while values.get("scan", "none") != "none":
            bar.length = max(int(values.get("scan_total", "0")), 1)
            bar.update(int(values.get("scan_files", "0")) - bar.pos)
            time.sleep(PROGRESS_INTERVAL)
            values = look()
        bar.update((bar.length or 0) - bar.pos)
    return 0


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.option("-l", "list_agents", is_flag=True, help="List the agents.")
@click.option("-c", "active_only", is_flag=True, help="With -l (-lc): only active ones.")
@click.option("-u", "update", metavar="ID", help="Empty what is known of an agent's files; 'all' for everybody's.")
@click.option("-i", "info", metavar="ID", help="List the files that changed on an agent; 000 is this host.")
@click.option("-r", "registry", is_flag=True, help="With -i: the keys of a Windows registry instead.")
@click.option("-f", "file", metavar="PATTERN", help="With -i: all that is known of matching files.")
@click.option("-z", "zero", is_flag=True, help="With -f: count the changes of the first file from the beginning.")
@click.option("-d", "ignore", is_flag=True, help="With -f: ignore the changes of the first file.")
@click.option("-s", "csv", is_flag=True, help="Answer with commas between values.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("--full", is_flag=True, help="With -f: SHA-256 in a line of its own.")
@click.option("--progress", is_flag=True, help="Show how far the scan of this host is.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.version_option(__version__, "--version", message="syscheck_control (OSSEC in Python) %(version)s")
@click.argument("rest", nargs=-1)
@click.pass_context
def command(context: click.Context, /, home: str | None, rest: tuple[str, ...], **options: object) -> None:
    """See which files changed on which agent, and empty what is known of them."""
    request = Request(**options)  # type: ignore[arg-type]
    if request == Request() and not rest:
        click.echo(f"\n{context.get_help()}")
        context.exit(1)
    layout = find_home(home)
    try:
        if rest:
            raise Refused(f"Unexpected argument: '{rest[0]}'")
        Tool(layout, request, lambda text: click.echo(text.encode("utf-8", "surrogateescape"), nl=False)).run()
    except Refused as refusal:
        if request.as_json:
            text = (
                str(refusal)
                if refusal.number in (BAD_ID, BAD_ID_TO_EMPTY)
                else str(refusal).partition("\n")[0].rstrip(".")
            )
            click.echo(listing.failure(refusal.number, text), nl=False)
        else:
            click.echo(f"\n** {refusal}\n\n{context.get_help()}")
        context.exit(1)
    if request.progress:
        context.exit(show_progress(layout))


def main() -> None:
    """Console script."""
    sys.exit(run_tool(command, PROGRAM))


if __name__ == "__main__":
    main()
