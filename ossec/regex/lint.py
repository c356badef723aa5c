r"""What in a pattern probably does not mean what its author thinks (spec/regex.md, "What ours does better", 3).

OS_Regex knows no classes, no groups with a quantifier, no `{n}` and no negation; OS_Match knows nothing but `^`, `$`
and `|`.  Neither says a word when it is given more: the characters are then text, and the rule never matches.  `lint`
names the places that look like that.  It is silent where the character is plausible as text (`[preauth]`, `C++`,
`index.php?id=`): a warning that is often wrong is soon no longer read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from ossec.regex.translate import Kind

CLASS = r"\[(?:\^[^\]\s]|[^\]\s]*(?:a-z|A-Z|a-f|A-F|0-9)|(?:[^\]\\\s]|\\.)+\][+*])"  # [^x, [a-z, [...]+
COUNT = r"\{\d+(?:,\d*)?\}"
END = r"(?=[\s|)$]|\Z)"  # what follows a quantifier rather than a character of a text

# Each alternative of these is one kind of suspicion; the name of the group says which.
_REGEX = re.compile(
    r"(?:\\\\)+(?:.?[+*])?"  # escaped backslashes, and what OS_Regex repeats behind them
    rf"|(?P<counted>\\.{COUNT})"
    rf"|(?P<asked>\\.[+*]?\?){END}"
    r"|\\.[+*]?"
    rf"|(?P<klass>{CLASS})"
    rf"|(?P<group>\)(?:[+*?]{END}|{COUNT}))"
    r"|(?P<dot>\.[+*](?![.+*]))"
    rf"|(?P<plain>(?<=[A-Za-z0-9])(?:(?<![A-Z+*])[+*]{END}|{COUNT}))"
)
_MATCH = re.compile(
    r"(?P<escape>\\(?:[dDwWsS][+*]|\.[+*]?|[()\[\]{}+*?|^/]))"
    rf"|(?P<klass>{CLASS})"
    r"|(?P<dot>\.[+*](?![.+*]))"
    r"|(?P<group>\([^()|]*\|[^()]*\))"
)
_INNER = re.compile(r"(?:\\\\)+|\\.|(?<=[^|(^\[])(?P<start>\^)|(?P<end>\$)(?=[^|)$])")
_INNER_MATCH = re.compile(r"(?<=[^|^\[])(?P<start>\^)|(?P<end>\$)(?=[^|$])")
_BAR = {"regex": re.compile(r"\\.|\|", re.DOTALL), "match": re.compile(r"\|")}

_SAID = {
    "counted": "{0} is not a count here: OS_Regex takes the braces as text ({1})",
    "asked": "the ? of {0} is text here: OS_Regex has no optional characters ({1})",
    "klass": "{0} is no class here, but text ({1})",
    "group": "{0} is no quantifier here, but text: only an escape (\\d+) can be repeated ({1})",
    "dot": "{0} is text here; any characters are \\{0}",
    "plain": "{0} is no quantifier here, but text: only an escape (\\d+) can be repeated ({1})",
}
_SAID_MATCH = {
    "escape": "{0} is text here: OS_Match has no escapes, a backslash is a backslash ({1})",
    "klass": "{0} is no class here, but text ({1})",
    "dot": "{0} is text here: OS_Match finds pieces of text anywhere, without wildcards ({1})",
    "group": "{0} is no group here: the bar separates whole alternatives, the parentheses are text ({1})",
}


class Remark(NamedTuple):
    """One suspicion."""

    column: int  # in the pattern, from 1
    message: str


def lint(kind: Kind, pattern: str) -> list[Remark]:
    """What looks wrong in a pattern that compiles, in order.  A PCRE2 pattern means what it says."""
    if kind == "pcre2" or pattern.isalnum():
        return []
    remarks = [*_suspicions(kind, pattern), *_anchors(kind, pattern)]
    if pattern.startswith("!"):
        remarks.append(Remark(1, "a leading ! is text here: there is no negation"))
    remarks += _empty_branches(kind, pattern)
    return sorted(remarks)


def _suspicions(kind: Kind, pattern: str) -> Iterator[Remark]:
    regex = kind == "regex"
    said = _SAID if regex else _SAID_MATCH
    other = "a <pcre2> can" if regex else "a <regex> can"
    if not regex:
        other = "a <regex> or <match_pcre2> can"
    for found in (_REGEX if regex else _MATCH).finditer(pattern):
        name = found.lastgroup
        if name is not None:
            yield Remark(found.start() + 1, said[name].format(_shown(found[0]), other))


def _anchors(kind: Kind, pattern: str) -> Iterator[Remark]:
    for found in (_INNER if kind == "regex" else _INNER_MATCH).finditer(pattern):
        if found["start"]:
            yield Remark(found.start() + 1, "^ in the middle never matches: it is the start of the text")
        elif found["end"]:
            yield Remark(found.start() + 1, "$ in the middle never matches: it is the end of the text")


def _empty_branches(kind: Kind, pattern: str) -> Iterator[Remark]:
    bars = [found.start() for found in _BAR[kind].finditer(pattern) if found[0] == "|"]
    if bars:
        for before, after in pairwise((-1, *bars, len(pattern))):
            if after == before + 1:
                yield Remark(max(before, 0) + 1, "an empty alternative matches everything")


def _shown(text: str) -> str:
    return text if len(text) <= 20 else text[:20] + "..."


def spelling(char: str) -> str:
    r"""How to write what `\char` was meant to be, where OS_Regex refuses it: `write / for it`."""
    if char in ("n", "r"):
        return "line ends never reach a pattern: they are taken out of every log"
    if char.isalnum():
        return "a <pcre2> may have it"
    return f"write {char} for it"
