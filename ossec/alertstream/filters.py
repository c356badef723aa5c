"""Which alerts an output wants: the conditions of `<email_alerts>` and `<syslog_output>` (spec/outputs.md, 4.3)."""

from __future__ import annotations

from ossec.alertstream.records import Record
from ossec.regex import Matcher, compile_match


class Filter:
    """All conditions that are set must hold.  `group` and `location` are OS_Match patterns; PatternError."""

    __slots__ = ("_group", "_level", "_location", "_rules")

    def __init__(
        self, level: int = 0, rules: tuple[int, ...] = (), group: str | None = None, location: str | None = None
    ) -> None:
        self._level = level
        self._rules = frozenset(rules)
        self._group: Matcher | None = compile_match(group) if group is not None else None
        self._location: Matcher | None = compile_match(location) if location is not None else None

    @property
    def empty(self) -> bool:
        """Whether there is no condition at all."""
        return not (self._level or self._rules or self._group or self._location)

    def wants(self, record: Record) -> bool:
        """A record without group is in no group (OSSEC's programs end there)."""
        if record.level < self._level or (self._rules and record.rule not in self._rules):
            return False
        if self._group is not None and (record.group is None or not self._group.test(record.group)):
            return False
        return self._location is None or self._location.test(record.location)
