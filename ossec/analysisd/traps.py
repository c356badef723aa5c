"""Rules that load and can never work as their author means: what OSSEC swallows, told as warnings."""

from __future__ import annotations

from collections.abc import Iterator

from ossec.analysisd.diagnostics import Report
from ossec.analysisd.rules import Rule
from ossec.analysisd.tree import RuleSet


def look_for_traps(rules: RuleSet, report: Report) -> None:
    """Warn of each, at the rule's place."""
    for rule in rules:
        for child, message in (*_never_tried(rule), *_never_counted(rule, rules)):
            report.warn(f"rule {child.id}: {message}", child.path, child.line)


def _never_tried(rule: Rule) -> Iterator[tuple[Rule, str]]:
    """Children behind one that always holds."""
    winner: Rule | None = None
    for child in rule.children:
        if winner is not None:
            yield child, f"it is never tried below {rule.id}, for rule {winner.id} always holds before it"
        elif child.always and not child.noalert:
            winner = child


def _never_counted(rule: Rule, rules: RuleSet) -> Iterator[tuple[Rule, str]]:
    """Composite rules that have nothing to count."""
    if rule.if_matched_group is not None and not rules.counted_by(rule):
        yield rule, "no rule loaded before it is in a group that its <if_matched_group> means"
    if rule.if_matched_sid is None:
        return
    counted = rules.by_id.get(rule.if_matched_sid)
    if counted is None:
        yield rule, f"the rule {rule.if_matched_sid} that it counts does not exist"
    elif counted.level == 0:
        yield rule, f"the rule {counted.id} that it counts is of level 0, whose events are not kept"
    elif counted.composite and counted.level >= rule.level > 0:
        yield rule, f"its level must be above that of the composite rule {counted.id} that it counts"
