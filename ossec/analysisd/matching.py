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

`Matching.walk_all` tries every rule, and tells of each: the slow twin for ossec-logtest -v, and the tests' referee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ossec.analysisd.conditions import Environment, Test, compile_test, separate_tests
from ossec.analysisd.rules import Rule
from ossec.analysisd.scan import EVERYTHING, Scanner, selective, strength
from ossec.regex import Matcher

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.analysisd.tree import RuleSet

MAX_PLANS = 20_000  # some 2 KB each; a site has some hundreds, a stranger could make any number
MAX_PROGRAMS = 4096  # program names whose accepted patterns are remembered
MAX_STATIC = 2048  # (decoder, program patterns) combinations whose children are kept
# patterns on what regexes of decoders cut out of the log, so that their literals too are in the log
CUT_OUT = ("url", "id", "status")

# (step, rule, element): `try`; `fail` at an element's test, or `match` and, if there are any, `children`
Trace = Callable[[str, Rule, str], None]


class _Node:
    """A rule, its tests in both forms, and what stands under it."""

    __slots__ = ("any_test", "ascii_test", "children", "noalert", "place", "programs", "rule", "static", "tests")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.noalert = rule.noalert
        self.place = -1  # of its pattern in the set of all; -1: it has none with literals
        self.programs: Matcher | None = rule.patterns.get("program_name") or rule.patterns.get("program_name_pcre2")
        self.children: tuple[_Node, ...] = ()
        self.ascii_test: Test | None = None
        self.any_test: Test | None = None
        self.tests: list[tuple[str, Test]] | None = None  # one by one, made when first asked for
        # (decoder, program patterns) -> children that pass these: always to be tried, mask and nodes of the others
        self.static: dict[tuple[str | None, int], _Static] = {}


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


Plan = dict[_Node, tuple[_Node, ...]]


class Matching:
    """The rule tree, compiled."""

    def __init__(self, rules: RuleSet, environment: Environment, scanner: Scanner) -> None:
        self._scanner = scanner
        self._environment = environment
        self._nodes: dict[int, _Node] = {rule.id: _Node(rule) for rule in rules}
        for rule in rules:
            node = self._nodes[rule.id]
            node.children = tuple(self._nodes[child.id] for child in rule.children)
            node.ascii_test = compile_test(rule, environment, lowered=True)
            node.any_test = compile_test(rule, environment, lowered=False)
            pattern = _best_pattern(rule)
            if pattern is not None:
                node.place = scanner.register(pattern)
        self._roots: dict[str, tuple[_Node, ...]] = {}
        for root in rules.roots:
            self._roots[root.category] = (*self._roots.get(root.category, ()), self._nodes[root.id])
        self._program_patterns = tuple(
            dict.fromkeys(node.programs for node in self._nodes.values() if node.programs is not None)
        )
        self._programs: dict[bytes, int] = {}
        self._plans: dict[tuple[str | None, int, int], Plan] = {}

    def match(self, event: Event) -> Rule | None:
        """The rule that the event ends in."""
        roots = self._roots.get(event.type)
        if roots is None:
            return None
        log = event.log
        found = self._scanner.scan(log)
        decoder = event.decoder
        if decoder is None:
            key = None
        else:
            key = decoder.key
            if decoder.plugin is not None:
                found = EVERYTHING  # its fields need not stand in the log
        program = event.program_name
        if program is None:
            accepted = -1
        else:
            known = self._programs.get(program)
            accepted = self._accepted(program) if known is None else known
        plan = self._plans.get((key, accepted, found))
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key, accepted, found] = {}
        ascii_log = log.isascii()
        for root in roots:
            if (root.rule.decoded_as is None or root.rule.decoded_as == key) and (
                root.programs is None or (program is not None and root.programs.test(program))
            ):
                test = root.ascii_test if ascii_log else root.any_test
                if test is None or test(event, self._scanner.low):
                    rule = self._below(root, event, ascii_log, plan, key, accepted, found)
                    if rule is not None:
                        return rule
        return None

    def _below(
        self, node: _Node, event: Event, ascii_log: bool, plan: Plan, key: str | None, accepted: int, found: int
    ) -> Rule | None:
        """The winner from a rule down whose own tests hold."""
        children = plan.get(node)
        if children is None:
            children = plan[node] = self._select(node, key, accepted, found)
        for child in children:
            test = child.ascii_test if ascii_log else child.any_test
            if test is not None and not test(event, self._scanner.low):
                continue
            if not child.children:
                if child.noalert:
                    continue
                return child.rule
            rule = self._below(child, event, ascii_log, plan, key, accepted, found)
            if rule is not None:
                return rule
        return None if node.noalert else node.rule

    def walk_all(self, event: Event, trace: Trace) -> Rule | None:
        """The same result by trying every rule in turn; `trace` is told of each step."""
        for root in self._roots.get(event.type, ()):
            rule = self._walk(root, event, trace)
            if rule is not None:
                return rule
        return None

    def _walk(self, node: _Node, event: Event, trace: Trace) -> Rule | None:
        rule = node.rule
        trace("try", rule, "")
        if node.tests is None:
            node.tests = separate_tests(rule, self._environment)
        for element, test in node.tests:
            if not test(event, b""):
                trace("fail", rule, element)
                return None
        trace("match", rule, "")
        if node.children:
            trace("children", rule, "")
        for child in node.children:
            found = self._walk(child, event, trace)
            if found is not None:
                return found
        return None if node.noalert else rule

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

    def _select(self, node: _Node, key: str | None, accepted: int, found: int) -> tuple[_Node, ...]:
        """The children of a rule that an event of this decoder, program and log can match."""
        static = node.static.get((key, accepted))
        if static is None:
            programs = {p for n, p in enumerate(self._program_patterns) if accepted >= 0 and accepted >> n & 1}
            passing = [
                (position, child)
                for position, child in enumerate(node.children)
                if (child.rule.decoded_as is None or child.rule.decoded_as == key)
                and (child.programs is None or child.programs in programs)
            ]
            if len(node.static) >= MAX_STATIC:
                node.static.clear()
            static = node.static[key, accepted] = _Static(passing)
        return static.select(found)


def _best_pattern(rule: Rule) -> Matcher | None:
    """The pattern of a rule whose literals say most: the longest of the shortest."""
    patterns = rule.patterns
    candidates = [
        patterns.get("match") or patterns.get("match_pcre2"),
        patterns.get("regex") or patterns.get("pcre2"),
        *(patterns.get(name) or patterns.get(f"{name}_pcre2") for name in CUT_OUT),
    ]
    useful = [matcher for matcher in candidates if matcher is not None and selective(matcher)]
    return max(useful, key=strength, default=None)
