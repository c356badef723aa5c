"""The rule tree: where a rule stands, and what it counts (spec/analysis.md, sections 5.1 and 6).

A rule stands under each of its parents; siblings are in the order in which they are tried.  One `Rule` object stands in
several places, for what is under it is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ossec.analysisd.rules import ROOT_IDS, Rule
from ossec.regex import word_match

LEVEL_ZERO = 99  # what level 0 counts as for <if_level>
FIRST, LAST = 1_000_000, -1  # places among siblings: level 0 before all levels, accuracy="0" behind all

# OSSEC's numbers of the categories, which its message gives
CATEGORY_NUMBERS = {
    "syslog": 1,
    "ids": 2,
    "firewall": 3,
    "web-log": 4,
    "squid": 5,
    "windows": 6,
    "ossec": 8,
}


class NotFound(Exception):
    """A rule names a parent that was not loaded before it."""

    def __init__(self, message: str, told: str, element: str, sid: int = -1) -> None:
        super().__init__(message)
        self.message = message
        self.told = told  # OSSEC's line
        self.element = element
        self.sid = sid


class RuleSet:
    """All rules: by id, and as a tree from `roots` down."""

    def __init__(self) -> None:
        self.by_id: dict[int, Rule] = {}
        self.roots: list[Rule] = []
        self.sid_targets: set[int] = set()  # rules that some if_matched_sid counts
        self._counted: dict[int, list[Rule]] = {}  # composite -> what its if_matched_group counts
        self._places: dict[tuple[int, int], int] = {}  # (parent, child) -> place among siblings

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[Rule]:
        """In load order."""
        return iter(self.by_id.values())

    def add(self, rule: Rule) -> None:
        """Put a rule into the tree; NotFound when what it hangs on is not there."""
        parents = self._parents(rule)
        self.by_id[rule.id] = rule
        if rule.id < ROOT_IDS:
            self.roots.append(rule)
        else:
            rule.places = sum(parent.places for parent in parents)
            for parent in parents:
                self._insert(parent, rule)
        if rule.if_matched_sid is not None:
            self.sid_targets.add(rule.if_matched_sid)
        if rule.if_matched_group is not None:
            self._counted[rule.id] = self._in_group(rule.if_matched_group.test)

    def counted_by(self, rule: Rule) -> list[Rule]:
        """The rules whose events a composite with if_matched_group counts."""
        return self._counted.get(rule.id, [])

    def _parents(self, rule: Rule) -> list[Rule]:
        if rule.id < ROOT_IDS:
            return []
        if rule.if_sid:
            return [self._find(sid, "if_sid") for sid in dict.fromkeys(rule.if_sid)]
        if rule.if_level is not None:
            level = rule.if_level
            found = [other for other in self if (other.level or LEVEL_ZERO) >= level]
            if not found:
                told = f"rules_list: Level ID '{level}' not found. Invalid 'if_level'."
                raise NotFound(f"no rule before it has level {level} or more", told, "if_level")
            return found
        if rule.if_group is not None:
            return self._by_group(rule.if_group, "if_group")
        if rule.if_matched_sid is not None:
            return [self._find(rule.if_matched_sid, "if_matched_sid")]
        if rule.if_matched_group is not None:
            group = rule.if_matched_group.pattern.decode("utf-8", "surrogateescape")
            return self._by_group(group, "if_matched_group")
        for root in self.roots:
            if root.category == rule.category:
                return [root]
        number = CATEGORY_NUMBERS[rule.category]
        told = f"rules_list: Category '{number}' not found. Invalid 'category'."
        message = f"no rule with an id below {ROOT_IDS} is of the category {rule.category}"
        raise NotFound(message, told, "category")

    def _in_group(self, test: Callable[[bytes], bool]) -> list[Rule]:
        """The rules whose group string passes, in load order; each string is asked once."""
        answers: dict[str, bool] = {}
        found = []
        for rule in self:
            answer = answers.get(rule.group)
            if answer is None:
                answer = answers[rule.group] = test(rule.group.encode("utf-8", "surrogateescape"))
            if answer:
                found.append(rule)
        return found

    def _find(self, sid: int, element: str) -> Rule:
        found = self.by_id.get(sid)
        if found is None:
            told = f"rules_list: Signature ID '{sid}' not found. Invalid 'if_sid'."
            raise NotFound(f"the rule {sid} of its <{element}> is not loaded before it", told, element, sid)
        return found

    def _by_group(self, group: str, element: str) -> list[Rule]:
        found = self._in_group(lambda text: word_match(group, text))
        if not found:
            told = f"rules_list: Group '{group}' not found. Invalid 'if_group'."
            raise NotFound(f"no rule before it is in the group '{group}' of its <{element}>", told, element)
        return found

    def _insert(self, parent: Rule, rule: Rule) -> None:
        place = FIRST if rule.level == 0 else rule.level
        if rule.last_sibling:
            place = LAST
        self._places[parent.id, rule.id] = place
        children = parent.children
        at = len(children)
        while at > 0 and self._places[parent.id, children[at - 1].id] < place:
            at -= 1
        children.insert(at, rule)
