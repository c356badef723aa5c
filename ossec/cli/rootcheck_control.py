"""rootcheck_control: what the rootkit and policy checks of this host and its agents have found."""

from __future__ import annotations

import sys
import time

import click

from ossec import __version__
from ossec.agents import findings, listing, status, traces
from ossec.agents.control import Control, Refused, Request
from ossec.agents.findings import Finding, State
from ossec.agents.status import LOCAL_ID, Agent
from ossec.cli.agent_control import run_tool, show_version
from ossec.config.internal import InternalOptions
from ossec.layout import Layout, find_home

PROGRAM = "rootcheck_control"
MAX_DATABASE = 64 * 1024 * 1024  # bytes; thousands of findings are a megabyte
BAD_COMBINATION, BAD_ID = 30, 32


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-l", "list_agents", is_flag=True, help="List all agents.")
@click.option("-c", "active_only", is_flag=True, help="With -l (-lc): only active ones.")
@click.option("-i", "info", metavar="ID", help="Show the findings of an agent; 000 or local is this host.")
@click.option("-r", "resolved", is_flag=True, help="With -i: only those that the last scan did not repeat.")
@click.option("-q", "outstanding", is_flag=True, help="With -i: only those that the last scan made again.")
@click.option("-L", "last", is_flag=True, help="With -i: the last scan, without times.")
@click.option("-u", "clear", metavar="ID", help="Forget the findings of an agent, or of all with -u all.")
@click.option("-s", "csv", is_flag=True, help="Answer with commas between values.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("-D", "--home", metavar="DIR", help="Work on this home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("-V", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Say the version.")
@click.version_option(__version__, "--version", message="rootcheck_control (OSSEC in Python) %(version)s")
@click.argument("extra", nargs=-1)
@click.pass_context
def command(
    context: click.Context,
    /,
    list_agents: bool,
    active_only: bool,
    info: str | None,
    resolved: bool,
    outstanding: bool,
    last: bool,
    clear: str | None,
    csv: bool,
    as_json: bool,
    home: str | None,
    extra: tuple[str, ...],
) -> None:
    """Show and clear what rootcheck has found.  What is cleared is reported as new by the next scan."""
    chosen = (list_agents, active_only, info, resolved, outstanding, last, clear, csv, as_json, extra)
    if not any(chosen):
        click.echo(f"\n{context.get_help()}")
        context.exit(1)
    layout = find_home(home)
    notify_time = InternalOptions.load(layout, PROGRAM, quiet=True).get("monitord.notify_time")
    control = Control(layout, say, say, list, notify_time=notify_time)
    control.request = Request(active_only=active_only, csv=csv, as_json=as_json)
    try:
        if extra:
            raise Refused("Invalid argument combination.", BAD_COMBINATION, usage=True)
        if list_agents:
            show_agents(control)
        elif clear is not None:
            clear_findings(control, clear)
        elif info is not None:
            states = [state for state, only in ((State.RESOLVED, resolved), (State.OUTSTANDING, outstanding)) if only]
            show_findings(control, info, states or list(State), last=last)
        else:
            raise Refused("Invalid argument combination.", BAD_COMBINATION, usage=True)
    except Refused as refusal:
        if as_json:
            say(listing.failure(BAD_ID if "id" in str(refusal) else BAD_COMBINATION, str(refusal)))
        else:
            say(f"\n** {refusal}\n\n{context.get_help()}\n")
        context.exit(1)


def say(text: str) -> None:
    click.echo(text, nl=False)


def show_agents(control: Control) -> None:
    """`-l`, `-lc`."""
    request = control.request
    agents = [agent for agent in control.agents() if agent.state is status.State.ACTIVE or not request.active_only]
    devices = None if request.active_only else status.agentless(control.layout)
    if request.as_json:
        say(listing.answer(listing.list_values(agents, devices)))
    elif request.csv:
        say(listing.list_csv(agents, devices))
    else:
        say(listing.list_text(PROGRAM, agents, devices))


def location_of(agent: Agent) -> str:
    """The name of an agent's database."""
    return "rootcheck" if agent.row.id == LOCAL_ID else f"{agent.label}->rootcheck"


def show_findings(control: Control, identity: str, states: list[State], *, last: bool) -> None:
    """`-i`."""
    agent = control.find(identity)
    found: findings.Findings | None = None
    try:
        with control.layout.rootcheck_database(location_of(agent)).open("rb") as file:
            found = findings.parse(file.read(MAX_DATABASE), time.time())
    except FileNotFoundError:
        pass
    shown: list[Finding] = [] if found is None else [finding for state in states for finding in found.of(state)]
    if control.request.as_json:
        say(listing.answer(findings.values(shown)))
        return
    if control.request.csv:
        say(findings.csv(shown))
        return
    if agent.row.id == LOCAL_ID:
        say(f"\nPolicy and auditing events for local system '{agent.row.name} - {agent.row.ip}':\n")
    else:
        say(f"\nPolicy and auditing events for agent '{agent.row.name} ({agent.row.id}) - {agent.network}':\n")
    if found is None:
        return
    if State.RESOLVED in states:
        say(findings.section("Resolved events: ", found.of(State.RESOLVED)))
    if State.OUTSTANDING in states:
        title = f"Last scan: {findings.stamp(found.scan)}" if last else "Outstanding events: "
        say(findings.section(title, found.of(State.OUTSTANDING), times=not last))


def clear_findings(control: Control, identity: str) -> None:
    """`-u`."""
    layout = control.layout
    if identity == "all":
        agents = control.agents()
    else:
        agents = [control.find(identity)]
    for agent in agents:
        empty(layout, agent)
    text = "Policy and auditing database updated"
    say(listing.answer(text) if control.request.as_json else f"\n** {text}.\n\n")


def empty(layout: Layout, agent: Agent) -> None:
    """Cut the file to nothing, which a running analysisd notices; OSSEC removes that of this host."""
    path = layout.rootcheck_database(location_of(agent))
    if traces.is_safe(agent.row) and path.exists():
        with path.open("r+b") as file:
            file.truncate()


def main() -> None:
    """Console script."""
    sys.exit(run_tool(command, PROGRAM))


if __name__ == "__main__":
    main()
