"""What is promised of the cost of backtracking."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ossec.regex import analysis
from ossec.regex.syntax import INFINITE, Anchor, Node, Repeat, Seq, Set

SETS = [sum(1 << ord(char) for char in chars) for chars in ("a", "b", "ab", "bc", "abc")]
sets = st.sampled_from(SETS).map(Set)
repeats = st.builds(Repeat, sets, st.sampled_from([0, 1]), st.sampled_from([1, 3, INFINITE]), st.booleans())
bodies = st.lists(st.one_of(sets, repeats), min_size=1, max_size=7)


def _steps(items: list[Node], line: bytes) -> int:
    """The places that a backtracking engine comes to when the pattern fails at its very end."""
    count = 0

    def go(index: int, at: int) -> None:
        nonlocal count
        count += 1
        if index == len(items):
            return
        item = items[index]
        if isinstance(item, Anchor):
            if at == 0:
                go(index + 1, at)
        elif isinstance(item, Set):
            if at < len(line) and item.mask >> line[at] & 1:
                go(index + 1, at + 1)
        elif isinstance(item, Repeat) and isinstance(item.item, Set):
            rounds = 0
            if not item.low:
                go(index + 1, at)
            while rounds < item.high and at + rounds < len(line) and item.item.mask >> line[at + rounds] & 1:
                rounds += 1
                if rounds >= item.low:
                    go(index + 1, at + rounds)

    for start in range(len(line) + 1):
        go(0, start)
    return count


@given(bodies, st.booleans(), st.lists(st.sampled_from(list(b"abcd")), max_size=24).map(bytes))
def test_a_sequence_takes_no_more_steps_than_told(body: list[Node], anchored: bool, line: bytes) -> None:
    items = [Anchor("A"), *body] if anchored else body
    terms = analysis.ways(Seq((*items, Set(0))))
    assert terms is not None
    # a step of the bound is a position of a repeat; between two repeats each item is one more
    bound = (len(items) + 1) * analysis.steps(terms, len(line)) + len(line) + 1
    assert _steps(items, line) <= bound


def test_runs_that_lie_side_by_side_are_counted_once() -> None:
    blank, other = 1 << 32, (1 << 256) - 1 & ~(1 << 32)
    tail = (Set(blank), Repeat(Set(other), 1, INFINITE, False), Set(1 << 34))
    anything = Repeat(Set((1 << 256) - 1), 1, INFINITE, True)
    assert analysis.backtracking_limit(Seq((Anchor("A"), anything, *tail))) > 10_000
    assert analysis.backtracking_limit(Seq((Anchor("A"), anything, anything, *tail))) < 1_000
