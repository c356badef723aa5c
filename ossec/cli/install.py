"""ossec-install: make a home, or upgrade one.  Asks, unless told everything with --yes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import click

from ossec import __version__
from ossec.config.kind import Kind, home_kind
from ossec.errors import OssecError
from ossec.layout import DEFAULT_HOME, Layout, data_dir, find_home
from ossec.suite import preloaded, processes
from ossec.suite.installer import Installer, Report, check_home, is_inside_checkout
from ossec.suite.machine import Machine, find_route, port_is_free, survey
from ossec.suite.remover import SYSTEMD_RUNS, remove
from ossec.suite.roster import choose, switched_off
from ossec.suite.template import InstallType, Mail, Settings
from ossec.suite.units import UNIT_DIR

AGENT_PORT = 1514
KINDS = {
    "local": "this machine alone: watch its logs and files, alert, and block here",
    "server": "receive the events of agents, analyse them, alert, and let agents block",
    "agent": "collect on this machine and send to a server; block when the server says so",
    "hybrid": "a server that also sends its own alerts on to a server above",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """The command line.  None: not said, to be asked or to get its default."""

    kind: str | None
    home: str | None
    server_ip: str | None
    email: str | None
    smtp_server: str | None
    profile: str | None
    allow: tuple[str, ...]
    syscheck: bool | None
    rootcheck: bool | None
    active_response: bool | None
    firewall_response: bool | None
    remote_syslog: bool | None

    def filled(self, given: Mapping[str, object]) -> Answers:
        """With answers given beforehand where the command line says nothing."""
        open_ones = {one.name for one in fields(self) if getattr(self, one.name) in (None, ())}
        return replace(self, **{name: value for name, value in given.items() if name in open_ones})  # type: ignore[arg-type]


def ask(answers: Answers, upgrade: bool = False) -> Answers:
    """The questions of OSSEC's script, in its order; what was said before is not asked again.

    `upgrade`: the one about an existing home has been answered with yes.
    """
    if answers.home and is_home(Path(answers.home)):
        kind = answers.kind
    else:
        kind = answers.kind or _ask_kind()
    home = answers.home or click.prompt("2. Directory", default=str(find_home().home))
    answers = replace(answers, kind=kind, home=home)
    if is_home(Path(home)):
        question = f"   {home} is an OSSEC home. Upgrade it, keeping configuration, keys and rules?"
        if not upgrade and not click.confirm(question, default=True):
            raise click.Abort
        return answers
    if kind in ("agent", "hybrid") and answers.server_ip is None:
        answers = replace(answers, server_ip=click.prompt("3. Address or name of the OSSEC server"))
    if kind != "agent" and answers.email is None and click.confirm("3. Send alerts by mail?", default=False):
        email = click.prompt("   - to which address")
        smtp = answers.smtp_server or click.prompt("   - through which SMTP server", default="127.0.0.1")
        answers = replace(answers, email=email, smtp_server=smtp)
    if answers.syscheck is None:
        answers = replace(answers, syscheck=click.confirm("4. Watch the integrity of system files?", default=True))
    if answers.rootcheck is None:
        answers = replace(answers, rootcheck=click.confirm("5. Look for rootkits and weak settings?", default=True))
    if answers.active_response is None:
        response = click.confirm("6. Let active responses run on this machine?", default=True)
        answers = replace(answers, active_response=response)
    return _ask_manager(answers) if kind != "agent" else answers


def _ask_manager(answers: Answers) -> Answers:
    if answers.active_response and answers.firewall_response is None:
        blocks = click.confirm("7. Block attackers by firewall and hosts.deny for ten minutes?", default=_can_block())
        answers = replace(answers, firewall_response=blocks)
    if answers.active_response and not answers.allow:
        text = click.prompt("8. Addresses never to block (besides this machine and its name servers)", default="")
        answers = replace(answers, allow=tuple(text.replace(",", " ").split()))
    if answers.kind != "local" and answers.remote_syslog is None:
        syslog = click.confirm("9. Receive syslog of other devices on UDP port 514?", default=False)
        answers = replace(answers, remote_syslog=syslog)
    return answers


def _ask_kind() -> str:
    while True:
        word: str = click.prompt(f"1. Which kind of installation ({', '.join(KINDS)}, or help)", default="local")
        if word in KINDS:
            return word
        for name, text in KINDS.items():
            click.echo(f"   {name:7} {text}")


def _can_block() -> bool:
    """Only root can change a firewall; elsewhere each response would only fail."""
    return os.geteuid() == 0


def is_home(home: Path) -> bool:
    return Layout(home.absolute()).ossec_conf.is_file()


def kind_of(home: Path) -> InstallType:
    """What an existing home was installed as, also by OSSEC's own installer."""
    layout = Layout(home)
    kind = home_kind(layout)
    if kind is not Kind.AGENT and Layout(layout.sub_agent_home).ossec_conf.is_file():
        return InstallType.HYBRID
    return InstallType(str(kind))


def decide(answers: Answers, machine: Machine) -> Settings:
    """Settings from answers, defaults where nothing was said.  OssecError for what does not fit together.

    A home that is upgraded stays what it is: its configuration is kept, and says what its daemons do.
    """
    home = Path(answers.home).absolute() if answers.home else DEFAULT_HOME
    upgrading = is_home(home)
    kind = kind_of(home) if upgrading else InstallType(answers.kind or "local")
    if answers.kind is not None and kind != answers.kind:
        raise OssecError(
            f"{home} is a home of type {kind}, and an upgrade keeps that and its configuration. For one of type "
            f"{answers.kind} choose another directory, or take this one away with --remove"
        )
    if kind in (InstallType.AGENT, InstallType.HYBRID) and not answers.server_ip and not upgrading:
        raise OssecError(f"an installation of type {kind} needs its server: add --server-ip ADDRESS")
    mail = None
    if answers.email and kind is not InstallType.AGENT:
        mail = Mail(answers.email, answers.smtp_server or "127.0.0.1", f"ossecm@{machine.hostname}")
    firewall = answers.firewall_response if answers.firewall_response is not None else _can_block()
    return Settings(
        home=home,
        kind=kind,
        mail=mail,
        syscheck=answers.syscheck is not False,
        rootcheck=answers.rootcheck is not False,
        active_response=answers.active_response is not False,
        firewall_response=firewall,
        allow=answers.allow,
        server=answers.server_ip or "",
        profile=answers.profile or "",
        remote_syslog=bool(answers.remote_syslog),
    )


def summarise(settings: Settings, machine: Machine, report: Report) -> dict[str, object]:
    """What `--json` prints."""
    kind = Kind.AGENT if settings.kind is InstallType.AGENT else Kind.SERVER
    kind = Kind.LOCAL if settings.kind is InstallType.LOCAL else kind
    off = switched_off(Layout(settings.home).ossec_conf.read_text("utf-8", "replace"))
    roster = choose(kind, off=off, exists=processes.available(kind))
    return {
        "home": str(settings.home),
        "type": str(settings.kind),
        "upgraded": report.upgraded,
        "users": report.users,
        "kept": report.kept,
        "saved": report.saved,
        "not_included": report.not_included,
        "files": len(report.written),
        "logs": [log.location for log in machine.logs],
        "unreadable": list(machine.unreadable),
        "journal": machine.journal,
        "active_response": settings.active_response,
        "firewall_response": settings.active_response and settings.firewall_response,
        "daemons": list(roster.start_order),
        "absent": list(roster.absent),
        "start": f"{settings.home}/bin/ossec-control start",
    }


def _tell(summary: dict[str, object], settings: Settings, machine: Machine, report: Report) -> None:
    verb = "Upgraded" if report.upgraded else "Installed"
    click.echo(f"{verb} an OSSEC home of type {settings.kind} in {settings.home}.")
    if report.upgraded:
        click.echo(f"  kept: {', '.join(report.kept)}")
        if report.saved:
            click.echo(f"  saved before replacing: {', '.join(report.saved)}")
        if report.not_included:
            click.echo(f"  rules that your ossec.conf does not include: {', '.join(report.not_included)}")
    else:
        _tell_sources(machine)
        if settings.kind is not InstallType.AGENT:
            _tell_responses(settings)
    if summary["absent"]:
        click.echo(f"  not part of this version: {_join(summary['absent'])}")
    _tell_network(settings, report)
    if report.target:
        click.echo(f"Next: systemctl daemon-reload && systemctl enable --now {report.target}")
        return
    again = "restart" if report.upgraded else "start"
    click.echo(f"Next: {settings.home}/bin/ossec-control {again}")


def _tell_sources(machine: Machine) -> None:
    for log in machine.logs:
        click.echo(f"  follows {log.location} ({log.log_format})")
    if machine.journal:
        click.echo("  follows the journal")
    for path in machine.unreadable:
        click.echo(f"  not readable for this user, left out: {path}")
    if not machine.logs and not machine.journal:
        click.echo("  no readable log was found; add <localfile> sections to etc/ossec.conf")


def _tell_network(settings: Settings, report: Report) -> None:
    """What must be open, and what can be seen from here to be in its way."""
    if settings.kind in (InstallType.SERVER, InstallType.HYBRID):
        click.echo(f"  agents must reach UDP port {AGENT_PORT} of this machine")
        if not report.upgraded and not port_is_free(AGENT_PORT):
            click.echo("  but another program has that port: free it, or give <remote> another <port>")
    if settings.kind in (InstallType.AGENT, InstallType.HYBRID) and not report.upgraded:
        click.echo(f"  this machine must reach UDP port {AGENT_PORT} of {settings.server}")
        problem = find_route(settings.server, AGENT_PORT)
        if problem:
            click.echo(f"  but it cannot be reached from here: {problem}")


def _tell_responses(settings: Settings) -> None:
    if not settings.active_response:
        click.echo("  active responses are off")
    elif settings.firewall_response:
        click.echo("  blocks sources of events of level 6 and more for 600 s (firewall-drop, host-deny)")
    elif not _can_block():
        click.echo(
            "  blocks nobody: only root can change a firewall (--firewall-response writes the responses all the same)"
        )
    else:
        click.echo("  blocks nobody (--no-firewall-response)")


def _join(values: object) -> str:
    return ", ".join(str(value) for value in values) if isinstance(values, list) else str(values)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--type", "kind", type=click.Choice(list(KINDS)), help="Kind of installation (default: local).")
@click.option("-D", "--home", metavar="DIR", help="Directory of the home (default: $OSSEC_HOME, or /var/ossec).")
@click.option("--server-ip", metavar="ADDRESS", help="agent, hybrid: address or name of the server.")
@click.option("--email", metavar="ADDRESS", help="Mail alerts to this address.")
@click.option("--smtp-server", metavar="HOST", help="Mail through this host (default: 127.0.0.1).")
@click.option("--profile", metavar="NAME", help="agent: its config-profile, which agent.conf selects by.")
@click.option("--allow", metavar="ADDRESS", multiple=True, help="Never block this address or network; may be repeated.")
@click.option("--syscheck/--no-syscheck", default=None, help="Watch the integrity of system files.")
@click.option("--rootcheck/--no-rootcheck", default=None, help="Look for rootkits and weak settings.")
@click.option("--active-response/--no-active-response", default=None, help="Let active responses run.")
@click.option("--firewall-response/--no-firewall-response", default=None, help="Block attackers (default: as root).")
@click.option("--remote-syslog/--no-remote-syslog", default=None, help="server: receive syslog on UDP port 514.")
@click.option("--no-users", is_flag=True, help="As root: create no system users, run everything as root.")
@click.option("--systemd/--no-systemd", default=None, help="Write systemd units (default: as root, where it runs).")
@click.option("--remove", "removing", is_flag=True, help="Stop the suite and take the home away, with all its logs.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing, take the defaults.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Print a summary as one JSON object; implies --yes.")
@click.version_option(__version__, "--version", message="ossec-install (OSSEC in Python) %(version)s")
def command(no_users: bool, systemd: bool | None, removing: bool, yes: bool, as_json: bool, **words: object) -> None:
    """Make an OSSEC home, or upgrade one: configuration, keys, local rules, queues and logs are kept.

    Works in any directory as any user.  As root it creates the users ossec, ossecm and ossecr.

    Answers may be given beforehand with the names of OSSEC's script (USER_INSTALL_TYPE, USER_DIR, ...), in the
    environment or in ./etc/preloaded-vars.conf; with USER_NO_STOP=y nothing is asked.
    """
    answers = Answers(**words)  # type: ignore[arg-type]  # click gives each the type declared above
    if removing:
        layout = find_home(answers.home)
        if not yes:
            click.confirm(f"Remove {layout.home} with its configuration, keys, alerts and logs?", abort=True)
        remove(layout, click.echo)
        return
    given = preloaded.load(os.environ, Path.cwd())
    for name in given.ignored:
        click.echo(f"{name} has no meaning here; it is ignored", err=True)
    answers = answers.filled(given.answers)
    upgrade = given.answers.get("upgrade")
    if upgrade is False and is_home(Path(answers.home) if answers.home else find_home().home):
        raise OssecError("this is an OSSEC home already, and USER_UPDATE=n forbids to upgrade it")
    if not (yes or as_json or given.answers.get("silent")):
        answers = ask(answers, bool(upgrade))
    elif answers.home is None:
        answers = replace(answers, home=str(find_home().home))
    machine = survey()
    settings = decide(answers, machine)
    check_home(settings.home)
    source = data_dir()
    users = os.geteuid() == 0 and not no_users and not is_inside_checkout(settings.home, source)
    if systemd is None:
        systemd = users and SYSTEMD_RUNS.is_dir()
    report = Installer(settings, machine, source, users, units=UNIT_DIR if systemd else None).install()
    summary = summarise(settings, machine, report)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        _tell(summary, settings, machine, report)


def main(argv: Sequence[str] | None = None) -> None:
    """Console script: exit 0, or 1 with a message that names place and remedy."""
    try:
        command.main(argv, prog_name="ossec-install", standalone_mode=False)
    except click.Abort:
        click.echo("ossec-install: nothing was changed.", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except OssecError as error:
        click.echo(f"ossec-install: {error}", err=True)
        sys.exit(1)
    except PermissionError as error:
        remedy = "run it as root, or choose a directory of yours with --home"
        click.echo(f"ossec-install: {error.filename}: {error.strerror}; {remedy}", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"ossec-install: {error.filename}: {error.strerror}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
