"""Active responses: which rule has which, and what a fired rule asks for (spec/active-response.md, 1 and 2).

Binding happens once, when the rules are loaded; `Responder.decide` then only looks at the fields of the event.  Nothing
here asks the DNS: the addresses of allowed host names are given from outside, by whoever looks them up.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ossec.config.addresses import AddressList
from ossec.config.model import ActiveResponse, Expect, Target
from ossec.daemon import code
from ossec.messages import execq
from ossec.regex import compile_regex

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.analysisd.rules import Rule
    from ossec.regex import Matcher

log = logging.getLogger("ossec.analysisd.responses")

MAX_COMPLAINTS = 1000  # lines about hostile characters in an hour: who sends them chooses how many
LOCAL_SOURCE = b"(local_source) "
MAPPED = b"::ffff:"

_USER = re.compile(rb"[a-zA-Z._0-9@?-]*")
_ADDRESS = re.compile(rb"[a-zA-Z.:_0-9-]*")
_SHELL = re.compile(rb"[\\\"'` \t;><|#*\[\]{}&$!:()]")


@dataclass(frozen=True, slots=True)
class Response:
    """One `<active-response>` with its `<command>`.  The three ways to bind are alternatives."""

    name: bytes  # command and timeout: `firewall-drop600`
    wants_user: bool = False
    wants_srcip: bool = False
    wants_filename: bool = False
    on_server: bool = False
    on_local: bool = False
    on_all: bool = False
    on_defined: bool = False
    agent_id: bytes | None = None
    level: int = 0  # 0: not by level
    rule_ids: frozenset[int] = frozenset()
    rule_group: Matcher | None = None

    def binds(self, rule: Rule) -> bool:
        """Whether `rule` has this response."""
        if not rule.level or rule.no_ar:
            return False
        if self.level and rule.level >= self.level:
            return True
        if rule.id in self.rule_ids:
            return True
        return self.rule_group is not None and self.rule_group.test(rule.group.encode("utf-8", "surrogateescape"))


def from_configuration(configured: Iterable[ActiveResponse]) -> list[Response]:
    """The `<active-response>` blocks that are not disabled, in the order of the file."""
    return [
        Response(
            name=one.name.encode("utf-8", "surrogateescape"),
            wants_user=Expect.USER in one.command.expect,
            wants_srcip=Expect.SRCIP in one.command.expect,
            wants_filename=Expect.FILENAME in one.command.expect,
            on_server=Target.SERVER in one.location,
            on_local=Target.LOCAL in one.location,
            on_all=Target.ALL_AGENTS in one.location,
            on_defined=Target.DEFINED_AGENT in one.location,
            agent_id=None if one.agent_id is None else one.agent_id.encode("utf-8", "surrogateescape"),
            level=one.level,
            rule_ids=one.rules_ids,
            rule_group=None if one.rules_group is None else compile_regex(one.rules_group),
        )
        for one in configured
    ]


def bind(rules: Iterable[Rule], responses: Sequence[Response]) -> int:
    """Give each rule its responses, in the order of the configuration; how many bindings there are."""
    bound = 0
    for rule in rules:
        rule.responses = [response for response in responses if response.binds(rule)]
        bound += len(rule.responses)
    return bound


class AllowList:
    """Whom no response may hit: addresses and networks, host names, and the addresses that those have just now."""

    def __init__(self, addresses: AddressList | None = None, names: Sequence[str] = ()) -> None:
        self.addresses = addresses if addresses is not None else AddressList()
        self.names = tuple(names)
        self._names = tuple(name.encode("utf-8", "surrogateescape") for name in names)
        self._suffixes = tuple(name for name in self._names if name.startswith(b"."))
        self.resolved: frozenset[bytes] = frozenset()  # replaced whole by the background look-up

    def contains(self, source: bytes) -> bool:
        """Whether `source` is allowed.

        A name is held to be allowed when it is the beginning of a listed one (OSSEC's rule), or ends in a listed
        `.domain` (ours).
        """
        if self.addresses and self.addresses.contains(source):
            return True
        if source in self.resolved:
            return True
        if any(name.startswith(source) for name in self._names):
            return True
        return bool(self._suffixes) and source.endswith(self._suffixes)

    def describe(self) -> list[str]:
        """OSSEC's lines at start, when there are responses."""
        lines = [f"Allow listing IP: '{entry.text}'" for entry in self.addresses]
        count = len(self.addresses)
        lines.append(
            f"{count} IPs in the allow list for active response."
            if count
            else "No IP in the allow list for active response."
        )
        lines += [f"Allow listing Hostname: '{name}'" for name in self.names]
        count = len(self.names)
        lines.append(
            f"{count} Hostname(s) in the allow list for active response."
            if count
            else "No Hostname in the allow list for active response."
        )
        return lines


class Dispatch(NamedTuple):
    """One datagram, and whether it is for execd here or for remoted."""

    to_execd: bool
    datagram: bytes


class Responder:
    """What to send for an event whose rule has responses."""

    def __init__(self, allow: AllowList, *, has_agents: bool = True) -> None:
        """`has_agents`: False on a local home, where nobody reads the ar queue."""
        self.allow = allow
        self.has_agents = has_agents
        self.refused = 0  # hostile characters
        self._complaints = 0
        self.spared = 0  # allow-listed

    def decide(self, event: Event, responses: Iterable[Response], alert: bytes) -> list[Dispatch]:
        """`alert` is `TIME.NUMBER`.  Also for rules whose alert is not logged."""
        found = []
        for response in responses:
            dispatch = self._one(event, response, alert)
            if dispatch is not None:
                found.append(dispatch)
        return found

    def _one(self, event: Event, response: Response, alert: bytes) -> Dispatch | None:
        user = address = execq.ABSENT
        filename = None
        if response.wants_user:
            name = _user_of(event)
            if name is None:
                return None
            if not _USER.fullmatch(name):
                self._refuse(1272, "Invalid username", name)
                return None
            user = name
        if response.wants_srcip:
            if event.srcip is None:
                return None
            address = event.srcip
            if not _ADDRESS.fullmatch(address):
                self._refuse(1271, "Invalid IP Address", address)
                return None
            address = address.removeprefix(MAPPED)
            if self.allow.contains(address):
                self.spared += 1
                return None
        if response.wants_filename:
            if event.filename is None:
                return None
            filename = _SHELL.sub(rb"\\\g<0>", event.filename)
        rule = event.rule
        sid = b"%d" % (rule.id if rule is not None else 0)
        location = event.location
        if response.on_server or (response.on_local and not event.agent):
            text = execq.compose(response.name, user, address, alert, sid, location, filename or execq.ABSENT)
            return Dispatch(True, execq.encode(text))
        if not self.has_agents:
            return None
        text = execq.compose(response.name, user, address, alert, sid, location, filename or execq.AR_ABSENT)
        order = execq.Order(
            agent=b"",
            origin=location if event.agent else LOCAL_SOURCE + location,
            to_all=response.on_all,
            to_origin=response.on_local,
            to_agent=response.on_defined,
            is_response=True,
            agent_id=response.agent_id,
            text=text,
        )
        return Dispatch(False, execq.encode_order(order))

    def begin_hour(self) -> None:
        """Complain again, and say what was not said."""
        if self._complaints > MAX_COMPLAINTS:
            log.warning("%d more responses were refused in the last hour.", self._complaints - MAX_COMPLAINTS)
        self._complaints = 0

    def _refuse(self, number: int, text: str, value: bytes) -> None:
        self.refused += 1
        self._complaints += 1
        if self._complaints > MAX_COMPLAINTS:
            return
        shown = value.decode("utf-8", "surrogateescape")
        log.warning("%s '%s'. Possible logging attack.", text, shown, extra=code(number))


def _user_of(event: Event) -> bytes | None:
    """dstuser, else srcuser; empty and `-` count as absent."""
    for name in (event.dstuser, event.srcuser):
        if name and name != execq.ABSENT:
            return name
    return None
