"""ossec.conf as frozen values: one class per section, defaults included (spec/configuration.md, section 3.1).

Text is `str` with surrogateescape; `place` says where a section begins (file, line), for messages.  What a section
holds several times (`email_to`, `ignore`) is a tuple in file order; a scalar given twice has its last value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Flag
from pathlib import Path
from typing import NamedTuple

from ossec.config.addresses import AddressList
from ossec.config.times import Days, TimeRange

MAX_RESPONSE_NAME = 255  # bytes of a response's name: OSSEC cuts there, in ar.conf and in messages


class Place(NamedTuple):
    """Where something stands; line 0 is the file as a whole."""

    path: Path | str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


NOWHERE = Place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Global:
    """`<global>`, all of them together."""

    email_notification: bool = False
    email_to: tuple[str, ...] = ()
    email_from: str | None = None
    email_reply_to: str | None = None
    email_idsname: str | None = None
    smtp_server: str | None = None  # a host, or a command line that starts with '/'
    helo_server: str | None = None
    email_maxperhour: int = 12
    auth_smtp: bool = False
    secure_smtp: bool = False
    smtp_tls_verify: bool = True
    smtp_port: int | None = None
    smtp_user: str | None = None
    smtp_password: str | None = field(default=None, repr=False)
    logall: bool = False
    logall_json: bool = False
    jsonout_output: bool = False
    prelude_output: bool = False
    prelude_profile: str | None = None
    prelude_log_level: int = 0
    zeromq_output: bool = False
    zeromq_uri: str | None = None
    zeromq_server_cert: str | None = None
    zeromq_client_cert: str | None = None
    geoipdb: str | None = None
    custom_alert_output: str | None = None
    stats: int = 4  # levels of the alerts that the engine raises by itself
    integrity_checking: int = 8
    rootkit_detection: int = 8
    host_information: int = 8
    memory_size: int = 8192  # events that correlation looks back upon
    allow_addresses: AddressList = field(default_factory=AddressList)
    allow_hostnames: tuple[str, ...] = ()
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """`<alerts>`: from which level on an alert is logged, and mailed."""

    log_alert_level: int = 1
    email_alert_level: int = 7
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file of rules, decoders or a CDB list: its name as OSSEC's messages show it, and where it is."""

    name: str
    path: Path
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`<rules>`, directories already spread out.  `decoders` empty: the two default files."""

    includes: tuple[RuleFile, ...] = ()
    decoders: tuple[RuleFile, ...] = ()
    lists: tuple[RuleFile, ...] = ()
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One `<remote>`: a port that remoted listens on."""

    connection: str  # 'secure' or 'syslog'
    port: int
    protocol: str = "udp"
    ipv6: bool = False
    local_ip: str | None = None
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Remotes:
    """All `<remote>` sections, and what they share."""

    connections: tuple[Remote, ...] = ()
    allowed: AddressList = field(default_factory=AddressList)
    denied: AddressList = field(default_factory=AddressList)
    crypto_accept: str = "any"  # aes, blowfish, any; the last section decides


@dataclass(frozen=True, slots=True)
class Server:
    """A server that an agent may connect to, by address or by name."""

    name: str
    by_name: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """`<client>`: what agentd connects to."""

    servers: tuple[Server, ...] = ()
    local_ip: str | None = None
    port: int = 1514
    notify_time: int = 600  # seconds
    reconnect_time: int = 1800  # seconds, always above notify_time
    disable_active_response: bool = False
    config_profile: str | None = None
    crypto_method: str = "aes"
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Localfile:
    """One `<localfile>`.  `attributes` are those of `<log_format>`; the collector knows what they mean."""

    log_format: str
    location: str | None = None
    command: str | None = None
    alias: str | None = None
    frequency: int = 360  # seconds between two runs of a command
    only_future_events: bool = False
    query: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    place: Place = NOWHERE


class Check(Flag):
    """What syscheck compares of a file."""

    NONE = 0
    SIZE = 1
    PERM = 2
    OWNER = 4
    GROUP = 8
    MD5 = 16
    SHA1 = 32
    SHA256 = 64
    ALL = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One directory or file that syscheck watches."""

    path: str
    checks: Check
    realtime: bool = False
    report_changes: bool = False
    recurse: bool = True
    restrict: str | None = None  # OS_Match on the path
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A path, or with `is_pattern` an OS_Match pattern of paths."""

    text: str
    is_pattern: bool = False
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Syscheck:
    """`<syscheck>`, all of them together.  `auto_ignore` and `alert_new_files` are analysisd's."""

    directories: tuple[Directory, ...] = ()
    ignore: tuple[Exclusion, ...] = ()
    nodiff: tuple[Exclusion, ...] = ()
    frequency: int | None = None  # seconds; None: not given
    scan_day: Days | None = None
    scan_time: TimeRange | None = None
    scan_on_start: bool = True
    disabled: bool = False
    skip_nfs: bool = False
    prefilter_cmd: str | None = None
    auto_ignore: bool | None = None  # None: not given (ours then alerts always, OSSEC falls silent after 3 changes)
    alert_new_files: bool = False
    place: Place = NOWHERE


ROOTCHECKS = ("dev", "files", "if", "pids", "ports", "sys", "trojans", "unixaudit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rootcheck:
    """`<rootcheck>`, all of them together."""

    disabled: bool = False
    scanall: bool = False
    readall: bool = False
    skip_nfs: bool = False
    frequency: int = 72000  # seconds
    rootkit_files: str | None = None
    rootkit_trojans: str | None = None
    system_audit: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    base_directory: str | None = None
    checks: frozenset[str] = frozenset(ROOTCHECKS)
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailAlerts:
    """One `<email_alerts>`: which alerts go to one more recipient."""

    email_to: str
    level: int = 0
    rule_ids: tuple[int, ...] = ()
    group: str | None = None  # OS_Match
    event_location: str | None = None  # OS_Match
    format: str = "default"
    do_not_delay: bool = False
    do_not_group: bool = False
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogOutput:
    """One `<syslog_output>`."""

    server: str
    port: int = 514
    protocol: str = "udp"
    tls: bool = False
    tls_verify: bool = True
    tls_ca: str | None = None
    format: str = "default"
    level: int = 0
    rule_ids: tuple[int, ...] = ()
    group: str | None = None  # OS_Match
    location: str | None = None  # OS_Match
    use_fqdn: bool = False
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOutput:
    """`<database_output>`."""

    hostname: str
    username: str
    password: str = field(repr=False)
    database: str
    type: str  # 'mysql' or 'postgresql'
    port: int | None = None
    socket: str | None = None
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Agentless:
    """One `<agentless>`.  A host may begin with `use_su ` or `use_sudo `."""

    type: str
    hosts: tuple[str, ...]
    state: str  # periodic, periodic_diff, stay_connected
    frequency: int = 86400  # seconds
    port: int | None = None
    run_command: str | None = None
    arguments: str | None = None
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """One filter of a report; with `relation` the pairs of the two fields are reported."""

    field: str  # group, rule, level, location, srcip, user
    value: str
    relation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One `<reports>`."""

    title: str | None = None
    category: str | None = None
    filters: tuple[ReportFilter, ...] = ()
    showlogs: bool = False
    email_to: tuple[str, ...] = ()
    place: Place = NOWHERE


class Expect(Flag):
    """What a script must be told; OSSEC's bits."""

    NOTHING = 0
    USER = 1
    SRCIP = 4
    FILENAME = 8


class Target(Flag):
    """Where a response runs."""

    NOWHERE = 0
    SERVER = 1
    LOCAL = 2  # where the event was seen
    DEFINED_AGENT = 4
    ALL_AGENTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`<command>`: a script of active-response/bin."""

    name: str
    executable: str
    expect: Expect = Expect.NOTHING
    timeout_allowed: bool = False
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveResponse:
    """`<active-response>`: which rules run a command, where and for how long (active-response.md, section 1)."""

    command: Command
    location: Target
    timeout: int = 0  # seconds; 0: for ever, negative: undone at once
    agent_id: str | None = None
    level: int = 0  # 0: not bound by level
    rules_ids: frozenset[int] = frozenset()
    rules_group: str | None = None  # OS_Regex, searched in the rule's groups
    place: Place = NOWHERE

    @property
    def name(self) -> str:
        """What messages and ar.conf call it: the command's name, then the timeout."""
        whole = f"{self.command.name}{self.timeout}".encode("utf-8", "surrogateescape")
        return whole[:MAX_RESPONSE_NAME].decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPolicy:
    """What execd takes of the `<active-response>` sections of its own host."""

    disabled: bool = False
    repeated_offenders: tuple[int, ...] = ()  # minutes: the first repetition, the second, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All of ossec.conf (on an agent with agent.conf added where asked for).

    A section that the file does not have holds its defaults; `client`, `database` are None then.  `warnings` are lines
    ready to log: OSSEC's own that do not stop it, then what it swallows, with file and line.
    """

    path: Path | str = ""
    kind: str = "server"  # server, local or agent: what this home is
    global_: Global = Global()
    alerts: Alerts = Alerts()
    rules: Rules = Rules()
    remotes: Remotes = Remotes()
    client: Client | None = None
    localfiles: tuple[Localfile, ...] = ()
    syscheck: Syscheck = Syscheck()
    rootcheck: Rootcheck = Rootcheck()
    email_alerts: tuple[EmailAlerts, ...] = ()
    syslog_outputs: tuple[SyslogOutput, ...] = ()
    database: DatabaseOutput | None = None
    agentless: tuple[Agentless, ...] = ()
    reports: tuple[Report, ...] = ()
    commands: tuple[Command, ...] = ()
    responses: tuple[ActiveResponse, ...] = ()
    exec_policy: ExecPolicy = ExecPolicy()
    warnings: tuple[str, ...] = ()
