"""Walking the rule tree for an event (spec/analysis.md, section 5.2), without trying rules that cannot match.

The walk is depth first: roots of the event's type in load order; a rule whose tests hold tries its children in order;
the first child that matches wins, else the rule itself, unless it is `noalert`.

What keeps it fast, at any number of rules:

* one pass over the log finds which literals of which patterns are in it (`PatternSet`): a rule whose pattern needs a
  literal that is not there is not tried;
* which rules ask for the event's decoder is known for each decoder, and which patterns for program names accept a name
  is remembered for each name;
* a *plan* keeps, for each combination of decoder, accepted program patterns and literals found, the children to try of
  each rule.  Lines of one kind share a plan.

A line with tabs or line breaks in it has two forms: with them deleted, as OSSEC has it, and with a blank for each, as
its author meant it.  A test on the log holds if it holds on either, so that no rule misses two words that were glued.

`Matching.walk_all` tries every rule, and tells of each: the slow twin for ossec-logtest -v, and the tests' referee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ossec.analysisd.conditions import Environment, Test, compile_test, separate_tests
from ossec.analysisd.predecode import spaced_log
from ossec.analysisd.rules import Rule
from ossec.analysisd.scan import Scanner, selective, strength
from ossec.regex import Matcher

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.analysisd.tree import RuleSet

MAX_PLANS = 8192  # some 4 KB each; a site has some hundreds, a stranger could make any number
MAX_PROGRAMS = 4096  # program names whose accepted patterns are remembered
MAX_STATIC = 2048  # (decoder, program patterns) combinations whose children are kept
# patterns on what regexes of decoders cut out of the log, so that their literals too are in the log
CUT_OUT = ("url", "id", "status")
ON_LOG = ("match", "regex")  # elements that look at the log itself
NO_PROGRAM = -1
OTHER, ASCII, SPACED = 0, 1, 2  # what tests must look at: the log; its lower-cased form; the log and its spaced form

# (step, rule, element): `try`; `fail` at an element's test, or `match` and, if there are any, `children`
Trace = Callable[[str, Rule, str], None]


class _Node:
    """A rule, its tests, and what stands under it."""

    __slots__ = (
        "any_test",
        "ascii_test",
        "children",
        "element",
        "place",
        "programs",
        "rule",
        "spaced_tests",
        "static",
        "sure_test",
        "tests",
        "winner",
    )

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.winner = None if rule.noalert else rule  # what it ends in when no child matches
        self.place = -1  # of its pattern in the set of all; -1: it has none with literals
        self.element = ""  # that this pattern comes from
        self.programs: Matcher | None = rule.patterns.get("program_name") or rule.patterns.get("program_name_pcre2")
        self.children: tuple[_Node, ...] = ()
        self.ascii_test: Test | None = None
        self.any_test: Test | None = None
        self.sure_test: Test | None = None  # as ascii_test, when the pass over the log has already matched its pattern
        self.tests: list[tuple[str, Test]] | None = None  # one by one, made when first asked for
        self.spaced_tests: list[tuple[str, Test]] | None = None  # as these, for a log that has a spaced form
        # (decoder, program patterns) -> children that pass these: always to be tried, mask and nodes of the others
        self.static: dict[tuple[str | None, int], _Static] = {}


class _Situation(NamedTuple):
    """What decides which rules can match, besides the tests on single fields."""

    type: str
    decoder: str | None
    accepted: int  # program patterns that accept the program name, as bits; NO_PROGRAM
    found: int  # patterns whose literals are in the log, as bits
    form: int  # OTHER, ASCII or SPACED


Row = tuple[Test | None, Rule | None, "_Level | None"]


class _Level:
    """The children of a rule that are worth trying in one situation, found when first asked for.

    A row: the test, the rule to end in (None: noalert), and the level below.  A child that needs no test is not a row:
    the rows of its own children stand in its place, then, unless it is noalert, a row without test that ends in it.
    """

    __slots__ = ("matching", "node", "rows", "situation")

    def __init__(self, matching: Matching, node: _Node | None, situation: _Situation) -> None:
        self.matching = matching
        self.node = node  # None: the roots
        self.situation = situation
        self.rows: tuple[Row, ...] | None = None

    def fill(self) -> tuple[Row, ...]:
        situation = self.situation
        rows: list[Row] = []
        for child in self.matching.candidates(self.node, situation):
            if situation.form == SPACED:
                test = compile_test(child.rule, self.matching.environment, lowered=False, spaced=True)
            elif situation.form == OTHER:
                test = child.any_test
            elif child.place >= 0:
                test = child.sure_test
            else:
                test = child.ascii_test
            below = _Level(self.matching, child, situation) if child.children else None
            if test is not None:
                rows.append((test, child.winner, below))
                continue
            if below is not None:
                rows.extend(below.fill())
            if child.winner is not None:
                rows.append((None, child.winner, None))
            if rows and rows[-1][0] is None:
                break  # that one wins: what follows is never tried
        self.rows = tuple(rows)
        return self.rows


def _descend(level: _Level, event: Event, low: bytes) -> Rule | None:
    rows = level.rows
    if rows is None:
        rows = level.fill()
    for test, rule, below in rows:
        if test is None or test(event, low):
            if below is not None:
                winner = _descend(below, event, low)
                if winner is not None:
                    return winner
            if rule is not None:
                return rule
    return None


class _Static:
    __slots__ = ("always", "by_place", "mask")

    def __init__(self, children: Iterable[tuple[int, _Node]]) -> None:
        self.always: list[tuple[int, _Node]] = []
        self.by_place: dict[int, tuple[int, _Node]] = {}
        self.mask = 0
        for position, node in children:
            if node.place < 0:
                self.always.append((position, node))
            else:
                self.by_place[node.place] = (position, node)
                self.mask |= 1 << node.place

    def select(self, found: int) -> tuple[_Node, ...]:
        """The children that a log with the patterns `found` can match, in order."""
        bits = found & self.mask
        chosen = list(self.always)
        while bits:
            low = bits & -bits
            chosen.append(self.by_place[low.bit_length() - 1])
            bits ^= low
        chosen.sort(key=lambda pair: pair[0])
        return tuple(node for _, node in chosen)


class Matching:
    """The rule tree, compiled."""

    def __init__(self, rules: RuleSet, environment: Environment, scanner: Scanner) -> None:
        self._scanner = scanner
        self.environment = environment
        self._nodes: dict[int, _Node] = {rule.id: _Node(rule) for rule in rules}
        for rule in rules:
            node = self._nodes[rule.id]
            node.children = tuple(self._nodes[child.id] for child in rule.children)
            node.ascii_test = compile_test(rule, environment, lowered=True)
            node.any_test = compile_test(rule, environment, lowered=False)
            best = _best_pattern(rule)
            if best is not None:
                element, pattern = best
                node.place = scanner.register(pattern)
                node.element = element
                sure = element if pattern.exact and element in ON_LOG else ""
                node.sure_test = compile_test(rule, environment, lowered=True, without=sure)
        self._roots: dict[str, tuple[_Node, ...]] = {}
        for root in rules.roots:
            self._roots[root.category] = (*self._roots.get(root.category, ()), self._nodes[root.id])
        # patterns on fields, which need not stand in the log when a plugin made them
        self._on_fields = 0
        for node in self._nodes.values():
            if node.place >= 0 and node.element not in ON_LOG:
                self._on_fields |= 1 << node.place
        self._program_patterns = tuple(
            dict.fromkeys(node.programs for node in self._nodes.values() if node.programs is not None)
        )
        self._programs: dict[bytes, int] = {}
        self._plans: dict[_Situation, _Level] = {}
        # the same by the number of what was found (see `PatternSet`), and whether the log is pure ASCII
        self._known: dict[tuple[str, str | None, int | None, int, bool], _Level] = {}

    def match(self, event: Event) -> Rule | None:
        """The rule that the event ends in."""
        log = event.log
        scanner = self._scanner
        if event.raw is not None:
            spaced = spaced_log(event)
            if spaced is not None:
                found = scanner.scan(log) | scanner.scan(spaced)
                event.raw = None  # the memory of past events need not hold it
                return _descend(self._plan(event, found, SPACED), event, spaced)
        if log is not scanner.log:
            scanner.scan(log)
        number = scanner.number
        decoder = event.decoder
        if decoder is None:
            name = None
        else:
            name = decoder.key
            if decoder.plugin is not None:
                number = ~number  # what a plugin made need not stand in the log
        program = event.program_name
        accepted = NO_PROGRAM if program is None else self._programs.get(program)
        plan = self._known.get((event.type, name, accepted, number, scanner.plain))
        if plan is None:
            plan = self._plan(event, scanner.found, ASCII if scanner.plain else OTHER)
            accepted = NO_PROGRAM if program is None else self._programs[program]
            if len(self._known) >= MAX_PLANS:
                self._known.clear()
            self._known[event.type, name, accepted, number, scanner.plain] = plan
        return _descend(plan, event, scanner.low)

    def _plan(self, event: Event, found: int, form: int) -> _Level:
        """Where the descent begins for an event with the patterns `found`."""
        decoder = event.decoder
        if decoder is None:
            key = None
        else:
            key = decoder.key
            if decoder.plugin is not None:
                found |= self._on_fields
        program = event.program_name
        if program is None:
            accepted = NO_PROGRAM
        else:
            known = self._programs.get(program)
            accepted = self._accepted(program) if known is None else known
        situation = _Situation(event.type, key, accepted, found, form)
        plan = self._plans.get(situation)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[situation] = _Level(self, None, situation)
        return plan

    def walk_all(self, event: Event, trace: Trace) -> Rule | None:
        """The same result by trying every rule in turn; `trace` is told of each step."""
        spaced = None if event.raw is None else spaced_log(event)
        for root in self._roots.get(event.type, ()):
            rule = self._walk(root, event, spaced, trace)
            if rule is not None:
                return rule
        return None

    def _walk(self, node: _Node, event: Event, spaced: bytes | None, trace: Trace) -> Rule | None:
        rule = node.rule
        trace("try", rule, "")
        if spaced is None:
            if node.tests is None:
                node.tests = separate_tests(rule, self.environment)
            tests = node.tests
        else:
            if node.spaced_tests is None:
                node.spaced_tests = separate_tests(rule, self.environment, spaced=True)
            tests = node.spaced_tests
        for element, test in tests:
            if not test(event, spaced or b""):
                trace("fail", rule, element)
                return None
        trace("match", rule, "")
        if node.children:
            trace("children", rule, "")
        for child in node.children:
            found = self._walk(child, event, spaced, trace)
            if found is not None:
                return found
        return node.winner

    def _accepted(self, program: bytes) -> int:
        """Which of the rules' program patterns accept a name, as bits."""
        bits = 0
        for number, pattern in enumerate(self._program_patterns):
            if pattern.test(program):
                bits |= 1 << number
        if len(self._programs) >= MAX_PROGRAMS:
            self._programs.clear()
        self._programs[program] = bits
        return bits

    def candidates(self, node: _Node | None, situation: _Situation) -> tuple[_Node, ...]:
        """The children of a rule (or the roots) that an event can match, in order."""
        if node is None:
            passing = self._passing(self._roots.get(situation.type, ()), situation)
            return _Static(passing).select(situation.found)
        key = (situation.decoder, situation.accepted)
        static = node.static.get(key)
        if static is None:
            if len(node.static) >= MAX_STATIC:
                node.static.clear()
            static = node.static[key] = _Static(self._passing(node.children, situation))
        return static.select(situation.found)

    def _passing(self, nodes: tuple[_Node, ...], situation: _Situation) -> list[tuple[int, _Node]]:
        """Those of some rules that ask for this decoder and program name or for none, with their positions."""
        accepted = situation.accepted
        programs = {p for n, p in enumerate(self._program_patterns) if accepted != NO_PROGRAM and accepted >> n & 1}
        return [
            (position, node)
            for position, node in enumerate(nodes)
            if node.rule.decoded_as in (None, situation.decoder)
            and (node.programs is None or node.programs in programs)
        ]


def _best_pattern(rule: Rule) -> tuple[str, Matcher] | None:
    """The pattern of a rule whose literals say most (the longest of the shortest), and its element."""
    patterns = rule.patterns
    candidates = [("match", patterns.get("match") or patterns.get("match_pcre2"))]
    candidates.append(("regex", patterns.get("regex") or patterns.get("pcre2")))
    candidates += [(name, patterns.get(name) or patterns.get(f"{name}_pcre2")) for name in CUT_OUT]
    useful = [(element, matcher) for element, matcher in candidates if matcher is not None and selective(matcher)]
    return max(useful, key=lambda pair: strength(pair[1]), default=None)
