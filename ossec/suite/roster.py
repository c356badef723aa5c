"""Which daemons a home runs and in which order they start, stop and are listed (spec/configuration.md, section 8)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ossec.config.kind import COMMENT, Kind

# In the order of their lines on the terminal; bracketed ones in the spec run only when enabled.
_MANAGER_START = (
    ("ossec-dbd", "ossec-csyslogd", "ossec-agentlessd", "ossec-maild", "ossec-execd", "ossec-analysisd"),
    ("ossec-logcollector", "ossec-remoted", "ossec-syscheckd", "ossec-monitord"),
)
_AGENT_START = (("ossec-execd", "ossec-agentd"), ("ossec-logcollector", "ossec-syscheckd"))
_MANAGER_STOP = (
    ("ossec-monitord", "ossec-logcollector", "ossec-remoted", "ossec-syscheckd"),
    ("ossec-analysisd",),
    ("ossec-maild", "ossec-execd", "ossec-dbd", "ossec-csyslogd", "ossec-agentlessd"),
)
_AGENT_STOP = (("ossec-logcollector", "ossec-syscheckd"), ("ossec-agentd",), ("ossec-execd",))

# option of enable/disable -> (variable in .process_list, value that switches it on)
SWITCHES: Mapping[str, tuple[str, str]] = {
    "database": ("DB_DAEMON", "ossec-dbd"),
    "client-syslog": ("CSYSLOG_DAEMON", "ossec-csyslogd"),
    "agentless": ("AGENTLESS_DAEMON", "ossec-agentlessd"),
    "debug": ("DEBUG_CLI", "-d"),
}
OPTIONAL = frozenset(value for name, (_, value) in SWITCHES.items() if name != "debug")


def _shell_word(value: str) -> str:
    """As OSSEC writes them: names bare, options and nothing in double quotes."""
    if re.fullmatch(r"-[A-Za-z0-9 -]*|", value):
        return f'"{value}"'
    return shlex.quote(value)


@dataclass(frozen=True, slots=True)
class ProcessList:
    """`bin/.process_list`: shell assignments, the last of a name holds; other lines are kept."""

    values: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> ProcessList:
        """Any text is valid; a line that is no assignment is kept as it is."""
        values: dict[str, str] = {}
        others = []
        for line in text.splitlines():
            match = re.fullmatch(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)", line)
            if match is None:
                others.append(line)
                continue
            try:
                words = shlex.split(match[2], comments=True)
            except ValueError:
                others.append(line)
                continue
            values[match[1]] = words[0] if words else ""
        return cls(values, tuple(others))

    def format(self) -> str:
        """The file's text; OSSEC's own script can source it."""
        assignments = [f"{name}={_shell_word(value)}" for name, value in self.values.items()]
        return "".join(f"{line}\n" for line in (*self.others, *assignments))

    def switched(self, option: str, on: bool) -> ProcessList:
        """With `option` (a key of SWITCHES) on or off: one line per name, not one more each time."""
        variable, value = SWITCHES[option]
        return ProcessList({**self.values, variable: value if on else ""}, self.others)

    @property
    def enabled(self) -> frozenset[str]:
        """Optional daemons that are switched on."""
        return frozenset(value for value in self.values.values() if value in OPTIONAL)

    @property
    def debug(self) -> tuple[str, ...]:
        """Options that every daemon gets."""
        return tuple(self.values.get("DEBUG_CLI", "").split())


@dataclass(frozen=True, slots=True)
class Roster:
    """What one home runs.  Daemons of one group start, or stop, together; groups follow one another.

    `absent` are daemons that OSSEC would run here and this version does not have.
    """

    home_type: Kind
    start_groups: tuple[tuple[str, ...], ...]
    stop_groups: tuple[tuple[str, ...], ...]
    status_order: tuple[str, ...]
    absent: tuple[str, ...]

    @property
    def start_order(self) -> tuple[str, ...]:
        return tuple(name for group in self.start_groups for name in group)

    @property
    def receiver(self) -> str:
        """Who binds queue/ossec/queue."""
        return "ossec-agentd" if self.home_type is Kind.AGENT else "ossec-analysisd"


def choose(
    home_type: Kind,
    enabled: frozenset[str] = frozenset(),
    off: frozenset[str] = frozenset(),
    exists: Callable[[str], bool] = lambda _: True,
) -> Roster:
    """The roster of a home.

    `enabled`: optional daemons switched on.  `off`: daemons that the configuration leaves nothing to do, as
    `switched_off` tells; neither started nor listed, but stopped should they run.  OSSEC starts such a daemon, which
    ends at once, and then lists it as not running with exit 1.  `exists`: is the daemon part of this version?
    """

    def wanted(name: str) -> bool:
        if name in OPTIONAL:
            return name in enabled
        return (name != "ossec-remoted" or home_type is Kind.SERVER) and name not in off

    start = _AGENT_START if home_type is Kind.AGENT else _MANAGER_START
    stop = _AGENT_STOP if home_type is Kind.AGENT else _MANAGER_STOP
    stoppable = [name for group in stop for name in group if home_type is Kind.SERVER or name != "ossec-remoted"]
    order = [name for name in stoppable if wanted(name)]
    return Roster(
        home_type=home_type,
        start_groups=tuple(tuple(name for name in group if wanted(name) and exists(name)) for group in start),
        stop_groups=tuple(
            tuple(name for name in group if name in stoppable and (wanted(name) or name in off) and exists(name))
            for group in stop
        ),
        status_order=tuple(name for name in order if exists(name)),
        absent=tuple(name for name in order if not exists(name)),
    )


def switched_off(ossec_conf: str) -> frozenset[str]:
    """Daemons that this configuration leaves nothing to do.

    ossec-maild unless the last `email_notification` says yes; ossec-execd if there are `active-response` sections and
    each says `disabled`.  Comments do not count.
    """
    text = COMMENT.sub("", ossec_conf)
    off = set()
    if re.findall(r"<email_notification>([^<]*)</email_notification>", text)[-1:] != ["yes"]:
        off.add("ossec-maild")
    responses = re.findall(r"<active-response>(.*?)</active-response>", text, re.DOTALL)
    if responses and all("<disabled>yes</disabled>" in response for response in responses):
        off.add("ossec-execd")
    return frozenset(off)
