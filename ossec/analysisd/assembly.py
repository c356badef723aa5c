"""An `Analysis` put together from a home and its configuration: for the daemon, for tests, for a replay.

Everything that analysisd reads and writes besides its sockets is opened here.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ossec.analysisd import responses
from ossec.analysisd.alerts import Renderer
from ossec.analysisd.diagnostics import LoadError, Report
from ossec.analysisd.engine import Engine
from ossec.analysisd.filedb import DatabaseStore, RootcheckDatabase, SyscheckDatabase
from ossec.analysisd.geoip import GeoIP, open_database
from ossec.analysisd.hostinfo import Hostinfo
from ossec.analysisd.loading import load_engine
from ossec.analysisd.maintenance import MaintenanceFiles
from ossec.analysisd.outputs import OutputOptions, Outputs
from ossec.analysisd.pipeline import Analysis, PipelineOptions
from ossec.analysisd.responses import AllowList, Responder, Response
from ossec.analysisd.rootcheck import Rootcheck
from ossec.analysisd.statistics import Learned, Limits, Statistics, learn
from ossec.analysisd.stream import DEFAULT_URI
from ossec.analysisd.syscheck import Syscheck
from ossec.config.internal import InternalOptions
from ossec.config.model import Configuration, Global
from ossec.errors import ConfigError
from ossec.layout import Layout

log = logging.getLogger("ossec.analysisd")

MAX_STATS_FILE = 4096  # a file of stats/ holds one number
STATS_LIMITS = ("maxdiff", "mindiff", "percent_diff")  # internal options, in the order of Limits
MAX_SENDERS = 10_000  # forwarding servers whose file is known to exist


class RulesError(ConfigError):
    """Rules or decoders cannot be used.  `lines` are ready to print, OSSEC's first."""

    def __init__(self, error: LoadError, report: Report) -> None:
        super().__init__(error.message, error.path, error.line)
        self.lines = report_lines(report)


def report_lines(report: Report) -> list[str]:
    """What loading had to say, as ossec.log shows it."""
    notes = [f"{report.program}: {'ERROR' if note.fatal else 'WARN'}: {note}" for note in report.notes]
    if report.dropped:
        notes.append(f"{report.program}: WARN: {report.dropped} more are not shown.")
    return [*report.lines, *notes]


def own_name() -> bytes:
    """This machine's host name, without domain."""
    return os.fsencode(socket.gethostname().partition(".")[0])


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reload replaces."""

    engine: Engine
    responder: Responder
    responses: list[Response]
    syscheck: Syscheck
    outputs: OutputOptions
    options: PipelineOptions
    geoip: GeoIP | None
    warnings: list[str]  # lines about rules and decoders, ready to log


class Assembly:
    """One home, and what lasts over a reload."""

    def __init__(self, layout: Layout, kind: str = "server", name: bytes | None = None) -> None:
        """`kind` as `config.kind.home_kind` gives it; `name` is this machine's (tests give one)."""
        self.layout = layout
        self.kind = kind
        self.name = own_name() if name is None else name
        self.maintenance = MaintenanceFiles(layout.syscheck_dir, layout.fim_maintenance_log)
        self.syscheck_files = DatabaseStore(layout.syscheck_dir, SyscheckDatabase)
        self.rootcheck_files = DatabaseStore(layout.rootcheck_dir, RootcheckDatabase)
        self._senders: set[bytes] = set()

    def load(self, configuration: Configuration, internal: InternalOptions, *, write: bool = True) -> Parts:
        """Everything that the configuration decides; RulesError.  Opens the files of the engine, nothing else.

        `write` False keeps what is new in memory (`-t`).
        """
        report = Report()
        try:
            engine = load_engine(self.layout, configuration, internal, self.name, report, write=write)
        except LoadError as error:
            raise RulesError(error, report) from error
        wanted = responses.from_configuration(configuration.responses)
        responses.bind(engine.rules, wanted)
        settings, levels = configuration.global_, configuration.alerts
        allow = AllowList(settings.allow_addresses, settings.allow_hostnames)
        return Parts(
            engine=engine,
            responder=Responder(allow, has_agents=self.kind != "local"),
            responses=wanted,
            syscheck=Syscheck(
                self.syscheck_files.get,
                self.maintenance,
                ignore=tuple(os.fsencode(one.text) for one in configuration.syscheck.ignore),
                auto_ignore=configuration.syscheck.auto_ignore,
                alert_new_files=configuration.syscheck.alert_new_files,
                alert_first_scan=bool(internal.get("syscheck.alert_first_scan")),
            ),
            outputs=OutputOptions(
                alerts_json=settings.jsonout_output,
                archives=settings.logall,
                archives_json=settings.logall_json,
                firewall=bool(internal.get("analysisd.log_fw")),
                custom=os.fsencode(settings.custom_alert_output) if settings.custom_alert_output else None,
                geoip_in_json=bool(internal.get("analysisd.geoip_jsonout")),
                stream=_stream(settings, self.layout),
            ),
            options=PipelineOptions(
                own_name=self.name,
                log_firewall=bool(internal.get("analysisd.log_fw")),
                repeat_filter=internal.get("analysisd.repeat_filter"),
                stats_level=settings.stats,
                stats_limits=Limits(*(internal.get(f"analysisd.stats_{name}") for name in STATS_LIMITS)),
                stats_log=settings.stats >= levels.log_alert_level,
                stats_mail=settings.stats >= levels.email_alert_level,
            ),
            geoip=open_database(self.layout.under(settings.geoipdb) if settings.geoipdb else None),
            warnings=report_lines(report),
        )

    def build(self, parts: Parts, next_number: Callable[[], int], now: int) -> Analysis:
        """The whole, with today's files open; OSError where one cannot be made."""
        layout = self.layout
        options = parts.options
        learned = read_learned(layout.stats_dir)
        statistics = Statistics(learned, options.stats_limits, now, enabled=options.stats_level > 0)
        outputs = Outputs(layout, parts.outputs, Renderer(parts.outputs.geoip_in_json))
        outputs.open(statistics.hour)
        return Analysis(
            engine=parts.engine,
            outputs=outputs,
            responder=parts.responder,
            syscheck=parts.syscheck,
            rootcheck=Rootcheck(self.rootcheck_files.get),
            hostinfo=Hostinfo(layout.hostinfo_queue),
            statistics=statistics,
            options=parts.options,
            next_number=next_number,
            write_statistics=lambda files: write_statistics(layout.stats_dir, files),
            note_sender=self._note_sender,
            geoip=parts.geoip,
        )

    def _note_sender(self, host: bytes, sender: bytes) -> None:
        """Tell agent_control of a server that forwards its alerts."""
        name = (host + b"->" + sender).replace(b"/", b"_")
        if name in self._senders or len(self._senders) >= MAX_SENDERS or len(name) > 255:
            return
        self._senders.add(name)
        try:
            self.layout.agent_info_dir.mkdir(exist_ok=True)
            (self.layout.agent_info_dir / os.fsdecode(name)).write_bytes(b"Remote Syslog\n")
        except OSError as error:
            log.error("The sender %r cannot be noted: %s", sender, error)

    def close(self) -> None:
        self.syscheck_files.close()
        self.rootcheck_files.close()


def _stream(settings: Global, layout: Layout) -> tuple[str, str | None, str | None] | None:
    """Address and certificates (files, from home if relative) of the ZeroMQ stream."""
    if not settings.zeromq_output:
        return None
    server, client = (
        str(layout.under(path)) if path else None for path in (settings.zeromq_server_cert, settings.zeromq_client_cert)
    )
    return settings.zeromq_uri or DEFAULT_URI, server, client


def read_learned(directory: Path) -> Learned:
    """What the files of stats/ say; those that cannot be read say nothing."""
    files: dict[tuple[str, ...], str] = {}
    for pattern in ("hourly-average/*", "weekly-average/*/*"):
        for path in directory.glob(pattern):
            try:
                with path.open("rb") as file:
                    files[path.relative_to(directory).parts] = file.read(MAX_STATS_FILE).decode("ascii", "replace")
            except OSError as error:
                log.warning("%s cannot be read: %s", path, error.strerror)
    return learn(files)


def write_statistics(directory: Path, files: dict[tuple[str, ...], str]) -> None:
    """Append to totals, replace averages; a disk that refuses is told."""
    for parts, text in files.items():
        path = directory.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if parts[0] == "totals":
                with path.open("a") as out:
                    out.write(text)
            else:
                path.write_text(text)
        except OSError as error:
            log.error("%s cannot be written: %s", path, error.strerror)
