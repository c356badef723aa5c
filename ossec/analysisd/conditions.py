"""A rule's own tests as one function (spec/analysis.md, section 4: the order of the tests).

`compile_test` writes the tests that a rule has as one Python expression, `a and b and c` in OSSEC's order, and
evaluates it once, so that an event pays for no test that the rule has not.  There are three forms: for a log that is
pure ASCII, given lower-cased as well, a literal is a plain `in`; for any other log each pattern looks at the bytes
itself; for a log that held tabs or line breaks, given with blanks for them as well, at both.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ossec.analysisd.fts import FirstSeen
from ossec.analysisd.rules import ListTest, Rule
from ossec.analysisd.stores import Stores
from ossec.config.addresses import AddressList, kind_of

if TYPE_CHECKING:
    from ossec.analysisd.correlation import Memory
    from ossec.analysisd.event import Event
    from ossec.regex import Matcher

Test = Callable[["Event", bytes], bool]  # the event and its log, lower-cased or spaced

MAX_PLAIN = 4  # literals up to which `in` for each is quicker than the pattern's own test
MIN_ID_SIZE = 10  # compiled_rule check_id_size
CRAWLERS = (b"72.14.", b"209.85.", b"65.55.", b"207.46.", b"74.6.", b"72.30.", b"67.195.")
PREVIOUS_OUTPUT = b"Previous output:"


class Environment:
    """What tests need besides the event: state that outlives it."""

    def __init__(self, stores: Stores, first_seen: FirstSeen, memory: Memory, compat: bool) -> None:
        self.stores = stores
        self.first_seen = first_seen
        self.memory = memory
        self.compat = compat
        self._minute = -1
        self._clock = (0, 0, 0)

    def clock(self, now: float) -> tuple[int, int, int]:
        """Hour, minute and day of the week (0: Sunday) of an event, in local time."""
        minute = int(now) // 60
        if minute != self._minute:
            local = time.localtime(minute * 60)
            self._clock = (local.tm_hour, local.tm_min, (local.tm_wday + 1) % 7)
            self._minute = minute
        return self._clock


def compile_test(
    rule: Rule, environment: Environment, *, lowered: bool, without: str = "", spaced: bool = False
) -> Test | None:
    """The tests of a rule but those on decoder and program name; None when there is no other.

    `lowered`: the log is pure ASCII and its lower-cased form is given.  `without`: leave out the test of this element,
    which the caller knows to hold.  `spaced`: the log's other form is given, and a test holds if it holds on one.
    """
    names: dict[str, Any] = {}
    expressions = _expressions(rule, environment, names, lowered=lowered, static=False, spaced=spaced)
    parts = [part for element, part in expressions if element != without]
    return _evaluate(" and ".join(parts), names) if parts else None


def separate_tests(rule: Rule, environment: Environment, *, spaced: bool = False) -> list[tuple[str, Test]]:
    """All tests of a rule one by one, in order, each with the element it comes from: to tell which one failed."""
    names: dict[str, Any] = {}
    parts = _expressions(rule, environment, names, lowered=False, static=True, spaced=spaced)
    return [(element, _evaluate(part, names)) for element, part in parts]


def _evaluate(expression: str, names: dict[str, Any]) -> Test:
    test: Test = eval(f"lambda event, low: {expression}", names)  # ours: literals by repr, all else by reference
    return test


def _expressions(
    rule: Rule, environment: Environment, names: dict[str, Any], *, lowered: bool, static: bool, spaced: bool
) -> list[tuple[str, str]]:
    """(element, Python expression over `event` and `low`) for each test; `names` receives what they refer to."""
    parts: list[tuple[str, str]] = []

    def name(value: Any) -> str:
        key = f"v{len(names)}"
        names[key] = value
        return key

    def add(element: str, expression: str) -> None:
        parts.append((element, expression))

    def on_field(element: str, attribute: str) -> None:
        matcher = rule.patterns.get(element) or rule.patterns.get(f"{element}_pcre2")
        if matcher is None:
            return
        if matcher.always:
            add(element, f"event.{attribute} is not None")
        else:
            add(element, f"event.{attribute} is not None and {name(matcher.test)}(event.{attribute})")

    def on_log(element: str, other: str) -> None:
        matcher = rule.patterns.get(element) or rule.patterns.get(other)
        if matcher is None or matcher.always:
            return
        if lowered and matcher.exact and matcher.literals and len(matcher.literals) <= MAX_PLAIN:
            add(element, "(" + " or ".join(f"{literal!r} in low" for literal in sorted(matcher.literals)) + ")")
        elif lowered and matcher.test_lower is not None:
            add(element, f"{name(matcher.test_lower)}(low)")
        elif spaced:
            test = name(matcher.test)
            add(element, f"({test}(event.log) or {test}(low))")
        else:
            add(element, f"{name(matcher.test)}(event.log)")

    if static and rule.decoded_as is not None:
        add("decoded_as", f"event.decoder is not None and event.decoder.key == {rule.decoded_as!r}")
    if static:
        on_field("program_name", "program_name")
    on_field("id", "id")
    on_log("match", "match_pcre2")
    on_log("regex", "pcre2")
    if rule.action is not None:
        add("action", f"event.action == {rule.action.encode('utf-8', 'surrogateescape')!r}")
    on_field("url", "url")
    for field, matcher in rule.fields:
        add("field", f"{name(_field_test(field, matcher))}(event)")
    for attribute in ("srcip", "dstip"):
        addresses = getattr(rule, attribute)
        if addresses is not None:
            add(attribute, f"event.{attribute} is not None and {name(_address_test(addresses))}(event.{attribute})")
    on_field("srcport", "srcport")
    on_field("dstport", "dstport")
    if rule.compiled_rule is not None:
        add("compiled_rule", f"{name(COMPILED_RULES[rule.compiled_rule])}(event)")
    user = rule.patterns.get("user") or rule.patterns.get("user_pcre2")
    if user is not None:
        add("user", f"{name(_user_test(user))}(event)")
    on_field("srcgeoip", "srcgeoip")
    on_field("dstgeoip", "dstgeoip")
    if rule.maxsize:
        add("maxsize", f"len(event.log) >= {rule.maxsize}")
    if rule.time is not None:
        add("time", f"{name(rule.time.contains)}(*{name(environment.clock)}(event.time)[:2])")
    if rule.weekday is not None:
        add("weekday", f"{name(rule.weekday.contains)}({name(environment.clock)}(event.time)[2])")
    on_field("extra_data", "data")
    on_field("hostname", "hostname")
    on_field("status", "status")
    if rule.check_diff:
        add("check_diff", f"{name(_diff_test(rule, environment.stores))}(event)")
    if rule.if_fts:
        add("if_fts", f"(event.first_seen or {name(environment.first_seen.note)}(event))")
    for test in rule.lists if not environment.compat else rule.lists[-2:]:
        add("list", f"{name(_list_test(test, environment))}(event)")
    if rule.composite:
        add("frequency", f"{name(environment.memory.search)}({name(rule)}, event)")
    return parts


def _field_test(field: str, matcher: Matcher) -> Callable[[Event], bool]:
    test = matcher.test

    def holds(event: Event) -> bool:
        fields = event.fields
        if fields is None:
            return False
        value = fields.get(field)
        if value is None:
            value = next((value for key, value in fields.items() if key.lower() == field), None)
            if value is None:
                return False
        return test(value)

    return holds


def _address_test(addresses: AddressList) -> Callable[[bytes], bool]:
    entries = addresses.entries
    if not entries or not entries[-1].negated:
        return addresses.contains
    contains = addresses.contains
    return lambda address: contains(address) and kind_of(address.decode("latin-1")) != 0


def _user_test(matcher: Matcher) -> Callable[[Event], bool]:
    test = matcher.test

    def holds(event: Event) -> bool:
        user = event.dstuser if event.dstuser is not None else event.srcuser
        return user is not None and test(user)

    return holds


def _diff_test(rule: Rule, stores: Stores) -> Callable[[Event], bool]:
    sid, diffs = rule.id, stores.diffs

    def holds(event: Event) -> bool:
        host = event.hostname
        if event.agent:
            host = event.location[1:].partition(b")")[0]
        old = diffs.read(host, sid)
        if old == event.log:
            return False
        diffs.write(host, sid, event.log)
        if old is None:
            return False
        event.context = [PREVIOUS_OUTPUT, old]
        return True

    return holds


def _list_test(test: ListTest, environment: Environment) -> Callable[[Event], bool]:
    lists, compat = environment.stores.lists, environment.compat
    field, lookup, pattern = test.field, test.lookup, test.value
    by_address = "address" in lookup

    def value_of(event: Event) -> bytes | None:
        if field == "user":
            return event.srcuser if event.srcuser is not None else event.dstuser
        found: bytes | None = getattr(event, field)
        return found

    def holds(event: Event) -> bool:
        key = value_of(event)
        if key is None or not lists.declared(test.name):
            return False
        pairs = lists.find(test.name)
        if pairs is None:
            if compat:
                return lookup in ("not_match_key", "address_match_key", "address_match_key_value")
            return False
        found = pairs.get(key)
        if by_address and found is None:
            found = _by_prefix(pairs, key)
        if lookup in ("match_key", "address_match_key"):
            return found is not None
        if lookup in ("not_match_key", "not_address_match_key"):
            return found is None
        matches = found is not None and (pattern is None or pattern.test(found))
        if lookup == "address_match_key_value":
            return matches is test.fixed  # inverted, as OSSEC has it
        return matches

    return holds


def _by_prefix(pairs: dict[bytes, bytes], address: bytes) -> bytes | None:
    """The value of a dotted beginning of an address that is a key (`10.1.` for 10.1.2.3)."""
    dot = address.find(b".")
    while dot >= 0:
        found = pairs.get(address[: dot + 1])
        if found is not None:
            return found
        dot = address.find(b".", dot + 1)
    return None


def _same_user(event: Event) -> bool:
    return event.srcuser is None or event.dstuser is None or event.srcuser == event.dstuser


def _long_id(event: Event) -> bool:
    return event.id is not None and len(event.id) >= MIN_ID_SIZE


_NAME_END = re.compile(rb"\t|  |\Z")


def _account(log: bytes, label: bytes) -> bytes | None:
    at = log.find(label)
    colon = log.find(b":", at) if at >= 0 else -1
    if colon < 0:
        return None
    end = _NAME_END.search(log, colon + 1)
    return log[colon + 1 : end.start() if end else None]


def _other_caller(event: Event) -> bool:
    target = _account(event.log, b"Target Account Name")
    caller = _account(event.log, b"Caller User Name")
    return target is not None and caller is not None and target != caller


def _simple_request(event: Event) -> bool:
    if event.url is None or b"?" in event.url:
        return False
    return event.action is None or event.action.upper() == b"GET"


def _known_crawler(event: Event) -> bool:
    return event.log.startswith(CRAWLERS)


COMPILED_RULES: dict[str, Callable[[Event], bool]] = {
    "comp_srcuser_dstuser": _same_user,
    "check_id_size": _long_id,
    "comp_mswin_targetuser_calleruser_diff": _other_caller,
    "is_simple_http_request": _simple_request,
    "is_valid_crawler": _known_crawler,  # the DNS is never asked in the engine
}
