"""internal_options.conf: a table of options with defaults and ranges, and the two files that override it.

Look-up of `section.option` (spec/configuration.md, section 5): the first line of etc/local_internal_options.conf that
names it, else the first of etc/internal_options.conf; what is found is used even if it is bad, and then stops the
daemon that asks (`InvalidOption`, OSSEC's message 2302), no other.  What is found nowhere is the default of the table:
one INFO line tells, and a missing or old file stops nobody (OSSEC: 2301, and exit).

A line is `section.option=digits` without blanks; those that begin with `#` or a space and empty ones do not count.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ossec.errors import ConfigError
from ossec.layout import Layout

log = logging.getLogger("ossec.config")

MAX_FILE = 1024 * 1024  # the shipped file has 6 KiB; keeps a wrong file from filling the memory
MAX_SHOWN = 8  # names of missing options in one line
NOT_SET = "not set in internal_options.conf, built-in defaults used"

_BAD_LINE = 1119


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its built-in value and the range that OSSEC allows.  `ours`: OSSEC's files do not have it."""

    name: str
    default: int
    lowest: int
    highest: int
    ours: bool = False


def _table() -> dict[str, Option]:
    analysisd = [
        ("default_timeframe", 360, 60, 604800),
        ("stats_maxdiff", 999000, 10, 999999),
        ("stats_mindiff", 1250, 10, 999999),
        ("stats_percent_diff", 150, 5, 9999),
        ("fts_list_size", 32, 12, 512),
        ("fts_min_size_for_str", 14, 6, 128),
        ("log_fw", 1, 0, 1),
        ("decoder_order_size", 256, 8, 1024),
        ("sid_prev_matched_max", 128, 16, 65536),
        *((f"{stage}_threads", 0, 0, 32) for stage in ("event", "rule_matching", "syscheck", "rootcheck", "hostinfo")),
        ("input_demux_threads", 2, 1, 8),
        *((f"{queue}_queue_size", 16384, 128, 2000000) for queue in _QUEUES),
        ("raw_input_push_wait_ms", 25, 0, 5000),
        ("demux_push_wait_ms", 50, 0, 5000),
        ("shard_push_wait_ms", 75, 0, 5000),
        ("alerts_push_wait_ms", 100, 0, 5000),
        ("state_interval", 5, 0, 86400),
        ("geoip_jsonout", 0, 0, 1),
        ("debug", 0, 0, 2),
    ]
    others = {
        "logcollector": [
            ("loop_timeout", 2, 1, 120),
            ("open_attempts", 8, 2, 998),
            ("remote_commands", 0, 0, 1),
            ("debug", 0, 0, 2),
        ],
        "ossec": [("thread_stack_size", 2048, 2048, 65536)],
        "remoted": [
            ("recv_counter_flush", 128, 10, 999999),
            ("comp_average_printout", 19999, 10, 999999),
            ("verify_msg_id", 1, 0, 1),
            ("pass_empty_keyfile", 0, 0, 1),
            ("syslog_tcp_worker_pool", 16, 1, 64),
            ("syslog_tcp_max_tasks", 64, 1, 1024),
            ("syslog_tcp_read_timeout", 30, 1, 3600),
            ("debug", 0, 0, 2),
        ],
        "maild": [
            ("strict_checking", 1, 0, 1),
            ("groupping", 1, 0, 1),
            ("full_subject", 0, 0, 1),
            ("geoip", 1, 0, 1),
            ("max_workers", 6, 1, 32),
        ],
        "authd": [("worker_pool", 8, 1, 128), ("max_connections", 64, 1, 512), ("debug", 0, 0, 2)],
        "monitord": [
            ("day_wait", 10, 5, 240),
            ("max_report_workers", 4, 1, 16),
            ("compress", 1, 0, 1),
            ("sign", 1, 0, 1),
            ("monitor_agents", 1, 0, 1),
            ("notify_time", 600, 60, 3600),
        ],
        "syscheck": [("sleep", 2, 0, 64), ("sleep_after", 15, 1, 9999), ("debug", 0, 0, 2)],
        "rootcheck": [("sleep", 2, 0, 64)],
        "dbd": [("reconnect_attempts", 10, 1, 9999)],
        "windows": [("debug", 0, 0, 2)],
        "agent": [("debug", 0, 0, 2)],
    }
    ours = [
        Option("analysisd.ossec_compat", 0, 0, 1, ours=True),
        Option("analysisd.repeat_filter", 1, 0, 2, ours=True),  # 0: off, 1: as OSSEC, 2: per location
        Option("syscheck.alert_first_scan", 0, 0, 1, ours=True),  # analysisd: new files, before a baseline is complete
        Option("maild.granular_share", 0, 0, 1, ours=True),  # 1: a granular recipient gets the whole batch, as in OSSEC
        Option("logcollector.resume", 1, 0, 1, ours=True),
        Option("logcollector.command_timeout", 300, 0, 86400, ours=True),
        Option("syscheck.workers", 1, 0, 64, ours=True),  # processes that read files in a scan; 0: one per CPU
        Option("syscheck.diff_max_file", 10, 0, 1024, ours=True),  # MiB of a text that is kept for a diff
        Option("syscheck.diff_quota", 1024, 1, 1048576, ours=True),  # MiB of all that is kept
    ]
    options = [
        Option(f"{section}.{name}", default, lowest, highest)
        for section, rows in [("analysisd", analysisd), *others.items()]
        for name, default, lowest, highest in rows
    ]
    return {option.name: option for option in [*options, *ours]}


_QUEUES = (
    "decode_event",
    "raw_input",
    "decode_syscheck",
    "decode_rootcheck",
    "decode_hostinfo",
    "decode_output",
    "alerts",
    "statistical",
    "archives",
    "firewall",
    "fts",
)
OPTIONS: Mapping[str, Option] = _table()

# The sections of the table that a program reads; programs not named here need none.
SECTIONS = {
    "ossec-analysisd": ("analysisd",),
    "ossec-logtest": ("analysisd",),
    "ossec-logcollector": ("logcollector",),
    "ossec-remoted": ("remoted",),
    "ossec-agentd": ("agent",),
    "ossec-authd": ("authd",),
    "ossec-maild": ("maild",),
    "ossec-monitord": ("monitord",),
    "ossec-syscheckd": ("syscheck", "rootcheck"),
    "ossec-dbd": ("dbd",),
}


class InvalidOption(ConfigError):
    """An option's value is not a number, or out of its range.  `lines` are ready to print, OSSEC's first."""

    def __init__(self, program: str, option: Option, value: str, path: Path, line: int) -> None:
        wanted = f"{option.name} wants a number from {option.lowest} to {option.highest}, got '{value}'"
        super().__init__(wanted, path, line)
        self.code = 2302
        self.lines = (
            f"{program}(2302): ERROR: Invalid definition for {option.name}: '{value}'.",
            f"{program}: ERROR: {self}",
        )
        self.option = option

    def concerns(self, program: str) -> bool:
        """Whether a program reads this option, and so stops."""
        return self.option.name.partition(".")[0] in SECTIONS.get(program, ())


@dataclass(frozen=True, slots=True)
class Definition:
    """A line `name=value` of one of the files."""

    value: str
    path: Path
    line: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to log when the options are read; `code` is OSSEC's number, if it has one."""

    level: int
    text: str
    code: int | None = None


class InternalOptions:
    """The options in force.  `notices` say what was odd about the files."""

    def __init__(
        self,
        definitions: Mapping[str, Definition] | None = None,
        program: str = "ossec",
        notices: tuple[Notice, ...] = (),
    ) -> None:
        """Without arguments: the built-in defaults."""
        self.definitions = dict(definitions or {})
        self.program = program
        self.notices = notices

    @classmethod
    def load(cls, layout: Layout, program: str = "ossec", *, quiet: bool = False) -> InternalOptions:
        """Read both files.  Logs the notices that concern `program` unless `quiet`."""
        definitions: dict[str, Definition] = {}
        notices: list[Notice] = []
        for path in (layout.local_internal_options, layout.internal_options):
            try:
                with path.open("rb") as file:
                    data = file.read(MAX_FILE)
            except OSError:
                continue
            found, bad = parse(data, path)
            notices += bad
            for name, definition in found.items():
                definitions.setdefault(name, definition)
        sections = SECTIONS.get(program, ())
        missing = [
            option.name
            for option in OPTIONS.values()
            if not option.ours and option.name not in definitions and option.name.partition(".")[0] in sections
        ]
        if missing:
            shown = ", ".join(missing[:MAX_SHOWN]) + (", ..." if len(missing) > MAX_SHOWN else "")
            notices.append(Notice(logging.INFO, f"{len(missing)} option(s) {NOT_SET}: {shown}"))
        options = cls(definitions, program, tuple(notices))
        if not quiet:
            for notice in notices:
                log.log(notice.level, "%s", notice.text, extra={"ossec_code": notice.code} if notice.code else None)
        return options

    def get(self, name: str) -> int:
        """The value in force; InvalidOption when what a file says is bad; KeyError for a name that is no option."""
        option = OPTIONS[name]
        definition = self.definitions.get(name)
        if definition is None:
            return option.default
        value = _number(definition.value)
        if value is None or not option.lowest <= value <= option.highest:
            raise InvalidOption(self.program, option, definition.value, definition.path, definition.line)
        return value

    def check(self) -> list[ConfigError]:
        """Every mistake in the files, whoever would ask: bad values, and names that no option has."""
        problems: list[ConfigError] = []
        for name, definition in self.definitions.items():
            if name not in OPTIONS:
                near = get_close_matches(name, OPTIONS, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                problems.append(ConfigError(f"no option is called '{name}'{hint}", definition.path, definition.line))
                continue
            try:
                self.get(name)
            except InvalidOption as error:
                problems.append(error)
        return problems


def parse(data: bytes, path: Path) -> tuple[dict[str, Definition], list[Notice]]:
    """The first definition of each name in a file's bytes, and a notice for each line that is none."""
    definitions: dict[str, Definition] = {}
    notices: list[Notice] = []
    for number, raw in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        line = raw.removesuffix("\r")
        if not line or line[0] in "# ":
            continue
        name, equals, value = line.partition("=")
        if not equals or "." not in name:
            notices.append(Notice(logging.ERROR, f"Invalid line on file '{path}': {line}.", _BAD_LINE))
            continue
        definitions.setdefault(name, Definition(value, path, number))
    return definitions, notices


def _number(text: str) -> int | None:
    """Digits as OSSEC's 32-bit integer, which wraps (2**32 divides 10**40); None for anything else."""
    if not text.isascii() or not text.isdigit():
        return None
    return (int(text[-40:]) + 2**31) % 2**32 - 2**31
