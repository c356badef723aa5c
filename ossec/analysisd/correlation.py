"""Composite rules: counting earlier events (spec/analysis.md, section 6).

Frequency N fires on event N+2 (the current one and N+1 earlier ones), in both ways of counting:

* `Windows`, the default: each composite rule has a window of events for each value that it compares.  Firing uses the
  events of that window up, for this rule and for every rule of the same or a lower level; windows of other values stay
  as they are.  So an attacker's alert never hides another's.
* `Marks`, under `analysisd.ossec_compat=1`: OSSEC's lists.  Firing marks three events, and a marked event ends every
  later search that meets it, whosever it was.

An event is remembered when it ended in a rule of level 1 or more and was not ignored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from ossec.analysisd.rules import Rule

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.analysisd.tree import RuleSet

MAX_CONTEXT = 11  # earlier lines that an alert shows
MIN_MEMORY = 2048  # <memory_size> is never less
MARKS_DROPPED = 10  # OSSEC forgets so many at once when its list is full


class Memory(Protocol):
    """Either way of counting."""

    forgotten: int

    def search(self, rule: Rule, event: Event) -> bool:
        """Whether enough earlier events are there; then the event's context is set and the rule has fired."""

    def remember(self, event: Event) -> None:
        """Keep an event that ended in `event.rule`."""

    def remembered(self) -> Iterable[Event]:
        """What is kept, oldest first."""

    def clear(self) -> None:
        """Forget all events."""


class _Window:
    """The events that one composite rule counts, apart for each value that it compares."""

    __slots__ = (
        "different_geoip",
        "different_url",
        "key",
        "level",
        "need",
        "regex",
        "shown",
        "size",
        "tables",
        "timeframe",
    )

    def __init__(self, rule: Rule, size: int) -> None:
        self.level = rule.level
        self.need = rule.frequency + 1
        self.size = max(self.need, size)
        self.timeframe = rule.timeframe
        self.different_url = rule.different_url
        self.different_geoip = rule.different_srcgeoip  # without geoip data there is nothing to differ
        self.regex = rule.if_matched_regex if _kind(rule) == "regex" else None
        same = tuple(rule.same)
        if self.regex is not None:  # spec: it ignores ports and location, and looks at events of one type only
            same = ("type", *(name for name in same if name in ("srcip", "dstuser", "id")))
        self.key: Any = attrgetter(*same) if same else None
        self.shown = min(MAX_CONTEXT, self.need if _kind(rule) == "sid" else self.need - 1)
        self.tables: dict[Any, deque[Event]] = {}

    def value(self, event: Event) -> Any:
        """What the rule compares of an event; None when a part is missing, which then never counts."""
        if self.key is None:
            return ()
        value = self.key(event)
        if value is None or (value.__class__ is tuple and None in value):
            return None
        return value


def _kind(rule: Rule) -> str:
    if rule.if_matched_sid is not None:
        return "sid"
    return "group" if rule.if_matched_group is not None else "regex"


class Windows:
    """A window per compared value."""

    def __init__(self, rules: RuleSet, memory_size: int, list_size: int) -> None:
        self.memory_size = max(memory_size, MIN_MEMORY)
        self.forgotten = 0  # events that had to go while they could still have counted
        self._windows: dict[int, _Window] = {}
        self._feeds: dict[int, list[_Window]] = {}  # rule -> windows that count its events
        self._regexes: list[_Window] = []
        self._memory: deque[tuple[Event, list[tuple[_Window, Any]]]] = deque()
        # Rule authors have tuned their numbers to it: what an if_matched_sid counts, no if_matched_group counts too
        counted_by_id = {rule.if_matched_sid for rule in rules}
        for rule in rules:
            if not rule.composite:
                continue
            window = self._windows[rule.id] = _Window(rule, list_size)
            kind = _kind(rule)
            if kind == "regex":
                self._regexes.append(window)
            else:
                if kind == "sid":
                    targets = {rule.if_matched_sid or 0}
                else:
                    targets = {other.id for other in rules.counted_by(rule)} - counted_by_id
                for target in targets:
                    self._feeds.setdefault(target, []).append(window)
        self._longest = max((window.timeframe for window in self._windows.values()), default=0)

    def remembered(self) -> Iterable[Event]:
        """What is kept, oldest first."""
        return [event for event, _ in self._memory]

    def clear(self) -> None:
        """Forget all events."""
        self._memory.clear()
        for window in self._windows.values():
            window.tables.clear()

    def remember(self, event: Event) -> None:
        """Put an event into every window that counts it."""
        rule = event.rule
        assert rule is not None
        places: list[tuple[_Window, Any]] = []
        feeds = self._feeds.get(rule.id)
        if feeds is not None:
            for window in feeds:
                value = window.value(event)
                if value is not None:
                    places.append((window, value))
        for window in self._regexes:
            value = window.value(event)
            if value is not None and window.regex is not None and window.regex.test(event.log):
                places.append((window, value))
        if not places:
            return
        for window, value in places:
            events = window.tables.get(value)
            if events is None:
                events = window.tables[value] = deque(maxlen=window.size)
            events.append(event)
        memory = self._memory
        memory.append((event, places))
        oldest = event.time - self._longest
        while memory[0][0].time < oldest:
            self._forget()
        if len(memory) > self.memory_size:
            self.forgotten += 1
            self._forget()

    def _forget(self) -> None:
        event, places = self._memory.popleft()
        for window, value in places:
            events = window.tables.get(value)
            if events is not None and events[0] is event:
                events.popleft()
                if not events:
                    del window.tables[value]

    def search(self, rule: Rule, event: Event) -> bool:
        """Count the window of the event's value."""
        window = self._windows[rule.id]
        value = window.value(event)
        if value is None or (window.different_geoip and event.srcgeoip is None):
            return False
        events = window.tables.get(value)
        need = window.need
        if events is None or len(events) < need:
            return False
        level = window.level
        oldest = event.time - window.timeframe
        url = event.url
        counted: list[Event] = []
        for other in reversed(events):
            if other.time < oldest:
                return False
            if other.mark >= level or (window.different_url and (url is None or other.url in (None, url))):
                continue
            if window.different_geoip and other.srcgeoip in (None, event.srcgeoip):
                continue
            counted.append(other)
            if len(counted) == need:
                break
        else:
            return False
        for other in events:
            other.mark = max(other.mark, level)
        event.mark = max(event.mark, level)
        del window.tables[value]
        event.context = [other.full_log for other in counted[: window.shown]]
        return True


class Marks:
    """OSSEC's lists and marks, with their consequences."""

    def __init__(self, rules: RuleSet, memory_size: int, list_size: int) -> None:
        self.memory_size = max(memory_size, MIN_MEMORY)
        self.forgotten = 0
        self._rules = rules
        self._max_frequency = max((rule.frequency for rule in rules), default=0)
        self._memory: deque[Event] = deque()
        self._sids: dict[int, deque[Event]] = {sid: deque(maxlen=list_size) for sid in rules.sid_targets}
        self._groups: dict[int, deque[Event]] = {}
        self._feeds: dict[int, list[deque[Event]]] = {}  # rule -> group lists, one entry for each place in the tree
        for rule in rules:
            if rule.if_matched_group is not None:
                events = self._groups[rule.id] = deque()
                for counted in rules.counted_by(rule):
                    self._feeds.setdefault(counted.id, []).extend([events] * counted.places)

    def remembered(self) -> Iterable[Event]:
        """What is kept, oldest first."""
        return list(self._memory)

    def clear(self) -> None:
        """Forget all events."""
        for events in (self._memory, *self._sids.values(), *self._groups.values()):
            events.clear()

    def remember(self, event: Event) -> None:
        """Append an event to the lists that its rule feeds."""
        rule = event.rule
        assert rule is not None
        memory = self._memory
        memory.append(event)
        if rule.id in self._sids:
            self._sids[rule.id].append(event)
        else:
            for events in self._feeds.get(rule.id, ()):
                events.append(event)
        if len(memory) > self.memory_size:
            dropped = 0
            while memory and (dropped < MARKS_DROPPED or event.time - memory[0].time > self._max_frequency):
                self._forget()
                dropped += 1
            self.forgotten += dropped

    def _forget(self) -> None:
        event = self._memory.popleft()
        assert event.rule is not None
        lists = [self._sids[event.rule.id]] if event.rule.id in self._sids else self._feeds.get(event.rule.id, [])
        for events in lists:
            while events and events[0] is event:
                events.popleft()

    def search(self, rule: Rule, event: Event) -> bool:
        """Walk the rule's list from the newest event back."""
        kind = _kind(rule)
        if kind == "sid":
            events: deque[Event] = self._sids[rule.if_matched_sid or 0]
        elif kind == "group":
            events = self._groups[rule.id]
        else:
            events = self._memory
        names = rule.same if kind != "regex" else tuple(n for n in rule.same if n in ("srcip", "dstuser", "id"))
        need = rule.frequency + 1
        counted: list[Event] = []
        for other in reversed(events):
            if event.time - other.time > rule.timeframe or other.mark >= rule.level:
                return False
            if kind == "regex":
                assert rule.if_matched_regex is not None
                if other.type != event.type or not rule.if_matched_regex.test(other.log):
                    continue
            if not _agree(event, other, names):
                continue
            if rule.different_srcgeoip and (event.srcgeoip is None or other.srcgeoip in (None, event.srcgeoip)):
                continue
            if rule.different_url and (event.url is None or other.url in (None, event.url)):
                continue
            counted.append(other)
            if len(counted) == need:
                break
        else:
            return False
        for marked in (event, events[-1], counted[-1]):
            marked.mark = rule.level
        shown = min(MAX_CONTEXT, need if kind == "sid" else need - 1)
        event.context = [other.full_log for other in counted[:shown]]
        return True


def _agree(event: Event, other: Event, names: tuple[str, ...]) -> bool:
    for name in names:
        value = getattr(event, name)
        if value is None or value != getattr(other, name):
            return False
    return True
