"""What a rule is, once loaded: its tests, its outcome, its place in the tree (spec/analysis.md, section 4).

`rule_loader` makes rules from XML, `tree` puts them under their parents and walks them, `correlation` counts events
for the composite ones.  Text is `str` as read (surrogateescape); patterns and addresses are compiled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ossec.config.addresses import AddressList
    from ossec.config.times import Days, TimeRange
    from ossec.regex import Matcher

ROOT_IDS = 10  # rules with a smaller id are roots of the tree
CATEGORIES = ("firewall", "ids", "syslog", "web-log", "squid", "windows", "ossec")

# The words of <if_matched_*>'s same_... elements and the event's attribute that each compares.
SAME = {
    "same_source_ip": "srcip",
    "same_src_port": "srcport",
    "same_dst_port": "dstport",
    "same_user": "dstuser",
    "same_location": "hostname",
    "same_id": "id",
}

OPTIONS = ("alert_by_email", "no_email_alert", "log_alert", "no_log", "no_ar")
COMPILED = (
    "comp_srcuser_dstuser",
    "check_id_size",
    "comp_mswin_targetuser_calleruser_diff",
    "is_simple_http_request",
    "is_valid_crawler",
)
ON_LOG = ("match", "regex", "pcre2", "match_pcre2")  # patterns on the log itself, which every event has
LIST_FIELDS = (
    "srcip",
    "srcport",
    "dstip",
    "dstport",
    "user",
    "url",
    "id",
    "hostname",
    "program_name",
    "status",
    "action",
)
LOOKUPS = (
    "match_key",
    "not_match_key",
    "match_key_value",
    "address_match_key",
    "not_address_match_key",
    "address_match_key_value",
)


@dataclass(slots=True, eq=False)
class ListTest:
    """One `<list>` of a rule: look `field` up in the list `name`, by `lookup`, with `value` on what is found."""

    name: str
    field: str  # attribute of the event; "user": srcuser before dstuser
    lookup: str
    value: Matcher | None = None
    fixed: bool = False  # address_match_key_value holds where the value matches; OSSEC has it the other way round


@dataclass(slots=True, eq=False)
class Rule:
    """One rule.  `firedtimes` is its only changing state; all else stays as loaded."""

    id: int
    level: int
    path: Path | str = ""
    line: int = 0
    group: str = ""  # as written: the file's group and every <group>, joined
    description: str | None = None  # None: printed as (null)
    info: list[tuple[str, str]] = field(default_factory=list)  # (text | link | cve | osvdb, value)
    cve: str | None = None
    category: str = "syslog"

    # what the verdict leads to
    log: bool = False  # the alert is written to alerts.log and alerts.json
    mail: bool = False  # ... with the mail mark
    no_ar: bool = False  # no response is ever bound
    options: frozenset[str] = frozenset()  # as given: alert_by_email no_email_alert log_alert no_log no_ar
    responses: list[Any] = field(default_factory=list)  # bound at load by the owner of responses
    noalert: bool = False  # only selects children
    ignore_time: int = 0  # seconds of silence after an alert; 0: none
    ignore: frozenset[str] = frozenset()  # fields of the tuple written to ig-queue
    check_if_ignored: frozenset[str] = frozenset()

    # own tests
    decoded_as: str | None = None
    patterns: dict[str, Matcher] = field(default_factory=dict)  # by element name, *_pcre2 apart
    action: str | None = None
    fields: list[tuple[str, Matcher]] = field(default_factory=list)  # dynamic field (lower case), pattern
    srcip: AddressList | None = None
    dstip: AddressList | None = None
    compiled_rule: str | None = None
    maxsize: int = 0
    time: TimeRange | None = None
    weekday: Days | None = None
    check_diff: bool = False
    if_fts: bool = False
    lists: list[ListTest] = field(default_factory=list)

    # composite
    frequency: int = 0
    timeframe: int = 0
    if_matched_sid: int | None = None
    if_matched_group: Matcher | None = None
    if_matched_regex: Matcher | None = None
    same: tuple[str, ...] = ()  # attributes of the event that must be equal (see SAME)
    different_url: bool = False
    different_srcgeoip: bool = False

    # place in the tree
    if_sid: tuple[int, ...] = ()
    if_group: str | None = None
    if_level: int | None = None
    last_sibling: bool = False  # accuracy="0"
    children: list[Rule] = field(default_factory=list)
    places: int = 1  # how often it stands in the tree: a rule under two parents counts double (OSSEC's group lists)

    firedtimes: int = 0  # how often it was the final one since the hour began

    def written(self, element: str) -> str:
        """What the rule's author called the element of a test: `pcre2` for `regex`, `user_pcre2` for `user`."""
        names = (element, f"{element}_pcre2", *(("pcre2",) if element == "regex" else ()))
        return next((name for name in names if name in self.patterns), element)

    def wants(self, element: str) -> str | None:
        """What an element of the rule asks for, as written, to be shown; None where it is not one text."""
        pattern = self.patterns.get(self.written(element))
        if pattern is not None:
            return pattern.pattern.decode("utf-8", "surrogateescape")
        if element == "field" and len(self.fields) == 1:
            name, matcher = self.fields[0]
            return f"{name}: {matcher.pattern.decode('utf-8', 'surrogateescape')}"
        if element in ("srcip", "dstip"):
            addresses = getattr(self, element)
            return None if addresses is None else " ".join(entry.text for entry in addresses.entries)
        if element == "frequency":
            return f"{self.frequency} in {self.timeframe} s"
        return getattr(self, element) if element in ("decoded_as", "action", "compiled_rule") else None

    @property
    def composite(self) -> bool:
        """Whether earlier events are counted."""
        return self.if_matched_sid is not None or self.if_matched_group is not None or self.if_matched_regex is not None

    @property
    def always(self) -> bool:
        """Whether it holds for every event that reaches it."""
        return not (
            self.decoded_as
            or self.action is not None
            or self.fields
            or self.srcip is not None
            or self.dstip is not None
            or self.compiled_rule
            or self.maxsize
            or self.time
            or self.weekday
            or self.check_diff
            or self.if_fts
            or self.lists
            or self.composite
            or any(not (matcher.always and element in ON_LOG) for element, matcher in self.patterns.items())
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """The group string taken apart at its commas."""
        return tuple(part for part in (piece.strip() for piece in self.group.split(",")) if part)
