"""What a pattern's tree tells before it runs: the cost of backtracking, the literals of every match."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce
from math import comb

from ossec.regex.syntax import INFINITE, UPPER, Alt, Anchor, Group, Node, Repeat, Seq, Set, fold, walk

MAX_STEPS = 200_000  # what one line may cost on a backtracking engine: about a millisecond
MAX_WEIGHT = 2_000  # ways through the alternations of a pattern that a backtracking engine may get
MAX_LINE = 1 << 16  # longer than any message
MAX_UNROLL = 8  # rounds of a repeated group that are looked at one by one


class _TooAmbiguous(Exception):
    """Python's re may need more than polynomial time, or answer otherwise than PCRE2."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """How many ways a backtracking engine has through a node: `weight` times n over `loose`, for a line of n bytes.

    `loose` repeats may end in several places that what follows accepts; `tight` ones end in one place only.
    """

    weight: int = 1
    loose: int = 0
    tight: int = 0

    def then(self, other: _Cost) -> _Cost:
        return _Cost(self.weight * other.weight, self.loose + other.loose, self.tight + other.tight)


def first(node: Node, follow: int) -> int:
    """The bytes with which `node` and then something out of `follow` can begin."""
    if isinstance(node, Set):
        return node.mask
    if isinstance(node, Seq):
        for item in reversed(node.items):
            follow = first(item, follow)
        return follow
    if isinstance(node, Alt):
        return reduce(lambda mask, branch: mask | first(branch, follow), node.branches, 0)
    if isinstance(node, Repeat):
        return first(node.item, follow) | (follow if node.low == 0 else 0)
    if isinstance(node, Group):
        return first(node.item, follow)
    return follow


def _cost(node: Node, follow: int) -> _Cost:
    if isinstance(node, Seq):
        total = _Cost()
        for item in reversed(node.items):
            total = _cost(item, follow).then(total)
            follow = first(item, follow)
        return total
    if isinstance(node, Group):
        return _cost(node.item, follow)
    if isinstance(node, Alt):
        costs = [_cost(branch, follow) for branch in node.branches]
        starts = [first(branch, follow) for branch in node.branches]
        disjoint = sum(mask.bit_count() for mask in starts) == reduce(int.__or__, starts).bit_count()
        weights = [cost.weight for cost in costs]
        return _Cost(
            max(weights) if disjoint else sum(weights),
            max(cost.loose for cost in costs),
            max(cost.tight for cost in costs),
        )
    if isinstance(node, Repeat):
        return _repeat_cost(node, follow)
    if isinstance(node, Anchor) and node.kind == "B":
        raise _TooAmbiguous  # not for its cost: Python's re does not find it in an empty subject
    return _Cost()


def _repeat_cost(node: Repeat, follow: int) -> _Cost:
    rounds = node.high - node.low + 1
    if isinstance(node.item, Set):
        if node.low == node.high:
            return _Cost()
        loose = bool(node.item.mask & follow)
        if node.high == INFINITE or rounds > MAX_UNROLL:
            return _Cost(loose=1) if loose else _Cost(tight=1)
        return _Cost(rounds if loose else 1)
    if node.high == INFINITE or node.high > MAX_UNROLL:
        raise _TooAmbiguous
    if node.high > 1 and any(isinstance(one, Group) for one in walk(node.item)):
        raise _TooAmbiguous  # not for its cost: engines differ in what a repeated group keeps after backtracking
    total = _Cost(rounds)
    inner = _cost(node.item, first(node.item, 0) | follow)
    for _ in range(node.high):
        total = total.then(inner)
    return total


def backtracking_limit(tree: Node) -> int:
    """The longest line on which a backtracking engine stays below MAX_STEPS, whatever the line says; 0: none.

    The engine tries each start (one, if the pattern is anchored) and, from each, at most `weight` times every choice
    of ends for the loose repeats; ends come in order, so that is a binomial.  A tight repeat costs its length once
    for each of these.
    """
    try:
        cost = _cost(tree, 0)
    except _TooAmbiguous:
        return 0
    if cost.weight > MAX_WEIGHT:
        return 0
    degree = cost.loose + (1 if cost.tight else 0) + (0 if is_anchored(tree) else 1)
    closer = ways(tree)
    return max(_longest([(cost.weight, degree)]), 0 if closer is None else _longest(closer))


def _longest(terms: list[tuple[int, int]]) -> int:
    """The longest line whose steps are few enough, see `steps`."""
    low, high = 0, MAX_LINE
    while low < high:
        middle = (low + high + 1) // 2
        if steps(terms, middle) <= MAX_STEPS:
            low = middle
        else:
            high = middle - 1
    return low


def steps(terms: list[tuple[int, int]], size: int) -> int:
    """For a line of `size` bytes `weight` times the choices of `degree` ends, summed."""
    return sum(weight * comb(size + degree, degree) for weight, degree in terms)


def ways(tree: Node) -> list[tuple[int, int]] | None:
    r"""What each repeat adds to the steps, for a pattern that is one sequence of sets and repeated sets, else None.

    In `\.+ HTTP\S+"` the second repeat begins behind a blank, which it cannot cross: however many ends the first one
    has, the runs that begin behind them lie side by side, and all together are no longer than the line.

    The ways to a place in the pattern are in families, `weight` times each choice of `degree` ends.  A family is one
    way, or (`spread`) at most one for each position in the line.  `since`: the sets passed since its last repeat.  A
    repeat that excludes the set `back` places behind it reaches each position from at most `back` ways of a family.
    """
    items = _flatten(tree)
    if items is None:
        return None
    follows = [0]
    for item in reversed(items):
        follows.append(first(item, follows[-1]))
    follows.reverse()
    weight, degree, spread = 1, 0, not is_anchored(tree)
    since: list[int] = []
    terms = [(1, int(spread))]
    for item, follow in zip(items, follows[1:], strict=True):
        if isinstance(item, Anchor):
            continue
        if isinstance(item, Set):
            since.append(item.mask)
            continue
        assert isinstance(item, Repeat) and isinstance(item.item, Set)
        mask = item.item.mask
        if item.low == item.high:
            since += [mask] * min(item.low, MAX_UNROLL)
            continue
        loose = bool(mask & follow)
        if not spread:
            terms.append((weight, degree + 1))
            spread = loose
        else:
            back = next((back for back, other in enumerate(reversed(since), 1) if not other & mask), 0)
            if back:
                weight *= back
                terms.append((weight, degree + 1))
            else:
                degree += 1
                terms.append((weight, degree + 1))
                spread = loose
        since = []
    return terms


def _flatten(node: Node) -> list[Node] | None:
    """The sets, repeated sets and anchors of a pattern, in order; None when there is more to it."""
    if isinstance(node, Group):
        return _flatten(node.item)
    if isinstance(node, Seq):
        items: list[Node] = []
        for item in node.items:
            inner = _flatten(item)
            if inner is None:
                return None
            items += inner
        return items
    if isinstance(node, Set | Anchor) or (isinstance(node, Repeat) and isinstance(node.item, Set)):
        return [node]
    return None


def is_anchored(node: Node) -> bool:
    """Whether every match begins where the subject does."""
    if isinstance(node, Anchor):
        return node.kind == "A"
    if isinstance(node, Seq):
        return bool(node.items) and is_anchored(node.items[0])
    if isinstance(node, Alt):
        return all(is_anchored(branch) for branch in node.branches)
    return isinstance(node, Group) and is_anchored(node.item)


MAX_LITERALS = 500  # alternatives of one pattern that the common pass looks for
MAX_STRENGTH = 24  # beyond that a longer literal selects no better
MAX_PRODUCT = 40  # strings that come from spelling out one alternation after the other
MAX_SPREAD = 3  # members of a set that are spelt out
MIN_LITERAL = 3  # bytes; shorter ones are found in nearly every line
COMMON = frozenset(b' :-[]()"=,.')  # found in nearly every line as well

Strings = frozenset[bytes]


def literals(tree: Node) -> Strings | None:
    """Lower-case ASCII strings of which every match contains at least one (the subject lower-cased); None: unknown."""
    exact, required = _strings(tree)
    return _better(exact, required)


def useful(strings: Strings) -> Strings | None:
    """`strings` if they select lines well enough, else None."""
    return strings if _score(strings)[0] else None


def _strength(string: bytes) -> int:
    """How much it says that a line contains `string`: its length, common punctuation counted half; 0 for too little."""
    common = sum(char in COMMON for char in string)
    if len(string) < MIN_LITERAL or (common == len(string) and common < 2 * MIN_LITERAL):
        return 0
    return min(2 * len(string) - common, MAX_STRENGTH)


def _score(strings: Strings | None) -> tuple[int, int]:
    if not strings or len(strings) > MAX_LITERALS:
        return (0, 0)
    return (min(map(_strength, strings)), -len(strings))


def _better(one: Strings | None, other: Strings | None) -> Strings | None:
    if one is None or other is None:
        return None if one is other else useful(one or other or frozenset())
    best = one if _score(one) >= _score(other) else other
    return best if _score(best)[0] else None


@cache
def _members(mask: int) -> Strings | None:
    """The members of a set, lower-cased, if they are few and ASCII."""
    mask = mask & ~UPPER | (mask & UPPER) << 32
    if mask >> 128 or mask.bit_count() > MAX_SPREAD or not mask:
        return None
    return frozenset(bytes((value,)) for value in range(128) if mask >> value & 1)


def _strings(node: Node) -> tuple[Strings | None, Strings | None]:
    """All strings that `node` can match, if they are few, and the best set of which one is contained in every match."""
    if isinstance(node, Set):
        return _members(node.mask), None
    if isinstance(node, Group):
        return _strings(node.item)
    if isinstance(node, Anchor):
        return frozenset((b"",)), None
    if isinstance(node, Alt):
        pairs = [_strings(branch) for branch in node.branches]
        exacts = [exact for exact, _ in pairs if exact is not None]
        bests = [best for pair in pairs if (best := _better(*pair)) is not None]
        exact = frozenset[bytes]().union(*exacts) if len(exacts) == len(pairs) else None
        required = frozenset[bytes]().union(*bests) if len(bests) == len(pairs) else None
        return (exact if exact is not None and len(exact) <= MAX_LITERALS else None), required
    if isinstance(node, Repeat):
        exact, required = _strings(node.item)
        if node.high == 0:
            return frozenset((b"",)), None
        if node.low == 0:
            if node.high == 1 and exact is not None:
                return exact | {b""}, None
            return None, None
        if exact is not None:
            exact, _ = _strings(Seq((node.item,) * min(node.low, MAX_UNROLL)))
            return (exact if node.low == node.high <= MAX_UNROLL else None), exact
        return None, _better(exact, required)
    found: Strings | None = None
    run: Strings | None = frozenset((b"",))
    whole = True
    for item in node.items:
        exact, required = _strings(item)
        if required is not None:
            found = _better(found, required)
        if exact is not None and run is not None and len(exact) * len(run) <= max(MAX_PRODUCT, len(exact)):
            run = frozenset(left + right for left in run for right in exact)
            continue
        found = _better(found, run)
        whole = False
        run = exact if exact is not None else frozenset((b"",))
    return (run, found) if whole else (None, _better(found, run))


@dataclass(frozen=True, slots=True)
class Branch:
    """One alternative that is only text: `begin` anchored at the start, `end` anchored by `$`, `z` or (empty) not."""

    begin: bool
    text: bytes
    end: str


def branches(tree: Node) -> tuple[Branch, ...] | None:
    """The alternatives of a pattern that is only lower-cased texts with anchors around them, else None."""
    found = []
    for branch in tree.branches if isinstance(tree, Alt) else (tree,):
        items = list(branch.items) if isinstance(branch, Seq) else [branch]
        begin = end = False
        kind = ""
        while items and isinstance(items[0], Anchor) and items[0].kind == "A":
            begin = True
            items.pop(0)
        while items and isinstance(items[-1], Anchor) and items[-1].kind in ("$", "z"):
            end = True
            kind = "z" if "z" in (kind, items[-1].kind) else "$"
            items.pop()
        text = bytearray()
        for item in items:
            if not isinstance(item, Set) or item.mask != fold(item.mask):
                return None
            mask = item.mask & ~UPPER
            if not mask or mask & (mask - 1):
                return None
            text.append(mask.bit_length() - 1)
        found.append(Branch(begin, bytes(text), kind if end else ""))
    return tuple(found)


def always(tree: Node) -> bool:
    """Tell whether the pattern matches every subject; False when that is not plain to see."""
    if isinstance(tree, Seq):
        return all(always(item) for item in tree.items)
    if isinstance(tree, Alt):
        return any(always(branch) for branch in tree.branches)
    if isinstance(tree, Repeat):
        return tree.low == 0 or always(tree.item)
    if isinstance(tree, Group):
        return always(tree.item)
    return False
