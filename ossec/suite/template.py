"""ossec.conf as the installer writes it (spec/configuration.md, section 9): answers and machine in, text out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ossec.errors import ConfigError
from ossec.suite.machine import LogSource, Machine

SYSCHECK_FREQUENCY = 79200  # seconds: 22 hours, so that the hour of the scan moves through the day
RESPONSE_LEVEL = 6
RESPONSE_TIMEOUT = 600  # seconds
LOCAL_HOSTS = ("127.0.0.1", "::1")
SYSCHECK_DIRECTORIES = ("/etc,/usr/bin,/usr/sbin", "/bin,/sbin,/boot")
SYSCHECK_IGNORED = (
    "/etc/mtab",
    "/etc/hosts.deny",
    "/etc/mail/statistics",
    "/etc/random-seed",
    "/etc/random.seed",
    "/etc/adjtime",
    "/etc/httpd/logs",
    "/etc/utmpx",
    "/etc/wtmpx",
    "/etc/cups/certs",
    "/etc/dumpdates",
    "/etc/svc/volatile",
)
NOT_COMPARED = ("/etc/ssl/private.key",)
ROOTKIT_DATABASES = (("rootkit_files", "rootkit_files.txt"), ("rootkit_trojans", "rootkit_trojans.txt"))
# name, script, what it expects, may it be undone
COMMANDS = (
    ("host-deny", "host-deny.sh", "srcip", True),
    ("firewall-drop", "firewall-drop.sh", "srcip", True),
    ("disable-account", "disable-account.sh", "user", True),
    ("restart-ossec", "restart-ossec.sh", "", False),
    ("route-null", "route-null.sh", "srcip", True),
)
# Listening TCP sockets that others can reach: (program, command); the alias is what rule 533 looks for.
LISTENING_ALIAS = "netstat -tan"
LISTENING = (
    ("ss", "ss -Htln | awk '$4 !~ /^127[.]|^.::1/ {print \"tcp\", $4}' | sort -u"),
    ("netstat", "netstat -tln | awk '$6 == \"LISTEN\" {print $1, $4}' | grep -v ' 127[.]' | sort -u"),
)


class InstallType(StrEnum):
    SERVER = "server"
    AGENT = "agent"
    LOCAL = "local"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Mail:
    """Where alerts are mailed to, and through which host (or program, if it starts with `/`)."""

    to: str
    server: str
    sender: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The answers."""

    home: Path
    kind: InstallType
    mail: Mail | None = None
    syscheck: bool = True
    rootcheck: bool = True
    active_response: bool = True
    firewall_response: bool = True
    allow: tuple[str, ...] = ()
    server: str = ""  # agent: address or name of its server
    profile: str = ""
    remote_syslog: bool = False
    extra_logs: tuple[LogSource, ...] = ()

    def __post_init__(self) -> None:
        """ConfigError for an answer that the file could not hold: OSSEC's dialect has no way to write `<`."""
        mail = (self.mail.to, self.mail.server, self.mail.sender) if self.mail else ()
        logs = (text for log in self.extra_logs for text in (log.location, log.log_format))
        for text in (*mail, *self.allow, self.server, self.profile, *logs):
            if re.search(r"[<\n\0]", text):
                raise ConfigError(f"{text!r} cannot be written into ossec.conf; leave out '<' and line ends")


@dataclass(frozen=True, slots=True)
class Stock:
    """What the package brings: rule files in order, databases for etc/shared."""

    rules: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


def render(settings: Settings, machine: Machine, stock: Stock) -> str:
    """The whole file for a server, local or agent home (of a hybrid one: its server part)."""
    return _document(
        _agent(settings, machine, stock) if settings.kind is InstallType.AGENT else _manager(settings, machine, stock)
    )


def render_sub_agent(settings: Settings) -> str:
    """ossec.conf of a hybrid home's agent: it only sends on what its server part alerts about."""
    alerts = settings.home / "logs/alerts/alerts.log"
    return _document(
        [
            *_client(settings),
            *_section("syscheck", [("disabled", "yes")]),
            *_section("rootcheck", [("disabled", "yes")]),
            *_section("active-response", [("disabled", "yes")]),
            *_log(LogSource(str(alerts), "ossecalert")),
        ]
    )


def _document(lines: Iterable[str]) -> str:
    body = "\n".join(f"  {line}" if line else "" for line in lines).rstrip()
    head = "<!-- Written once by ossec-install; an upgrade leaves it alone. After a change: ossec-control reload -->"
    return f"{head}\n<ossec_config>\n{body}\n</ossec_config>\n"


def _manager(settings: Settings, machine: Machine, stock: Stock) -> Iterator[str]:
    yield from _section("global", _global(settings))
    yield from _section("rules", [("include", name) for name in stock.rules])
    yield from _integrity(settings, stock)
    if settings.active_response:
        hosts = dict.fromkeys((*LOCAL_HOSTS, *machine.local_names, *machine.nameservers, *settings.allow))
        yield "<!-- Never blocked by an active response. -->"
        yield from _section("global", [("allow_list", host) for host in hosts])
    if settings.kind is not InstallType.LOCAL:
        if settings.remote_syslog:
            yield "<!-- Logs of other devices, UDP port 514. Without allowed-ips nobody is heard. -->"
            yield from _section(
                "remote", [("connection", "syslog"), *(("allowed-ips", host) for host in settings.allow)]
            )
        yield from _section("remote", [("connection", "secure")])
    yield from _section("alerts", [("log_alert_level", "1"), ("email_alert_level", "7")])
    yield from _responses(settings)
    yield from _logs(settings, machine)


def _agent(settings: Settings, machine: Machine, stock: Stock) -> Iterator[str]:
    yield from _client(settings)
    yield from _integrity(settings, stock)
    if not settings.active_response:
        yield from _section("active-response", [("disabled", "yes")])
    yield from _logs(settings, machine)


def _client(settings: Settings) -> list[str]:
    address = re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", settings.server) is not None
    rows = [("server-ip" if address else "server-hostname", settings.server)]
    if settings.profile:  # OSSEC writes an empty one, which no block of agent.conf ever matches
        rows.append(("config-profile", settings.profile))
    return _section("client", rows)


def _global(settings: Settings) -> list[tuple[str, str]]:
    rows = [("email_notification", "yes" if settings.mail else "no")]
    if settings.mail:
        rows += [
            ("email_to", settings.mail.to),
            ("smtp_server", settings.mail.server),
            ("email_from", settings.mail.sender),
        ]
    return [*rows, ("jsonout_output", "yes")]


def _integrity(settings: Settings, stock: Stock) -> Iterator[str]:
    if settings.syscheck:
        yield "<syscheck>"
        yield "  <!-- seconds between two scans -->"
        yield f"  <frequency>{SYSCHECK_FREQUENCY}</frequency>"
        for names in SYSCHECK_DIRECTORIES:
            yield f'  <directories check_all="yes">{names}</directories>'
        for name in SYSCHECK_IGNORED:
            yield f"  <ignore>{name}</ignore>"
        for name in NOT_COMPARED:
            yield f"  <nodiff>{name}</nodiff>"
        yield "</syscheck>"
        yield ""
    else:
        yield from _section("syscheck", [("disabled", "yes")])
    if not settings.rootcheck:
        yield from _section("rootcheck", [("disabled", "yes")])
        return
    shared = settings.home / "etc/shared"
    rows = [(element, str(shared / name)) for element, name in ROOTKIT_DATABASES if name in stock.shared]
    audits = [name for name in stock.shared if name.startswith(("system_audit_", "cis_debian_linux_", "cis_rhel7_"))]
    rows += [("system_audit", str(shared / name)) for name in audits]
    yield from _section("rootcheck", rows or [("disabled", "no")])


def _responses(settings: Settings) -> Iterator[str]:
    if not settings.active_response:
        yield from _section("active-response", [("disabled", "yes")])
        return
    for name, script, expect, undone in COMMANDS:
        rows = [("name", name), ("executable", script), ("expect", expect)]
        yield from _section("command", [*rows, ("timeout_allowed", "yes")] if undone else rows)
    if not settings.firewall_response:
        return
    yield f"<!-- Block the source of every event of level {RESPONSE_LEVEL} or more for {RESPONSE_TIMEOUT} seconds. -->"
    for command in ("host-deny", "firewall-drop"):
        rows = [
            ("command", command),
            ("location", "local"),
            ("level", str(RESPONSE_LEVEL)),
            ("timeout", str(RESPONSE_TIMEOUT)),
        ]
        yield from _section("active-response", rows)


def _logs(settings: Settings, machine: Machine) -> Iterator[str]:
    if machine.journal:
        yield "<!-- Everything in the journal. Do not add the files that a syslog daemon writes besides: -->"
        yield "<!-- each event would count twice. -->"
        yield from _log(LogSource("all", "journald"))
    for source in (*machine.logs, *settings.extra_logs):
        yield from _log(source)
    yield from _commands(machine)


def _commands(machine: Machine) -> Iterator[str]:
    if "df" in machine.programs:
        yield from _section("localfile", [("log_format", "command"), ("command", "df -P")])
    listing = next((command for program, command in LISTENING if program in machine.programs), None)
    if listing is not None:
        rows = [("log_format", "full_command"), ("alias", LISTENING_ALIAS), ("command", listing)]
        yield from _section("localfile", rows)
    if "last" in machine.programs:
        yield from _section("localfile", [("log_format", "full_command"), ("command", "last -n 5")])


def _log(source: LogSource) -> list[str]:
    return _section("localfile", [("log_format", source.log_format), ("location", source.location)])


def _section(name: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    return [f"<{name}>", *(f"  <{element}>{value}</{element}>" for element, value in rows), f"</{name}>", ""]
