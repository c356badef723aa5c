"""A pattern's tree written in the syntax of the engines that run it."""

from __future__ import annotations

from functools import cache
from typing import Literal

from ossec.regex.syntax import ALL, INFINITE, UPPER, Alt, Anchor, Group, Node, Seq, Set

Engine = Literal["re", "re2"]


@cache
def _class_text(mask: int, lowered: bool) -> str:
    if lowered:
        mask &= ~UPPER
        if mask == ALL & ~UPPER:
            mask = ALL
    if mask == ALL:
        return "(?s:.)"
    if not mask:
        return "[^\\x00-\\xff]"
    if mask & (mask - 1) == 0:
        return _char_text(mask.bit_length() - 1)
    negative = mask.bit_count() > 128
    if negative:
        mask = ALL & ~mask
        if lowered:
            mask &= ~UPPER
    ranges: list[str] = []
    value = 0
    while value < 256:
        if not mask >> value & 1:
            value += 1
            continue
        last = value
        while last < 255 and mask >> (last + 1) & 1:
            last += 1
        if last - value < 2:
            ranges += [_char_text(one) for one in range(value, last + 1)]
        else:
            ranges.append(f"{_char_text(value)}-{_char_text(last)}")
        value = last + 1
    return f"[{'^' if negative else ''}{''.join(ranges)}]"


def _char_text(value: int) -> str:
    char = chr(value)
    if value < 128 and (char.isalnum() or char in " _@%\"'!,:;/<>=~`"):
        return char
    return f"\\x{value:02x}"


ANCHORS = {
    "re": {"A": "\\A", "z": "\\Z", "$": "$", "b": "\\b", "B": "\\B"},
    "re2": {"A": "\\A", "z": "\\z", "$": "\\z", "b": "\\b", "B": "\\B"},
}


def emit(node: Node, engine: Engine, lowered: bool, captures: bool = True) -> str:
    r"""Write `node` in the syntax of `engine` (`re` or `re2`), all its characters in Latin-1 or escaped.

    `lowered`: for subjects that hold no capital letter.  RE2 has no `$` before a final newline: there it becomes `\z`
    and the caller keeps subjects with a final newline away.
    """
    if isinstance(node, Set):
        return _class_text(node.mask, lowered)
    if isinstance(node, Seq):
        return "".join(
            f"(?:{emit(item, engine, lowered, captures)})"
            if isinstance(item, Alt)
            else emit(item, engine, lowered, captures)
            for item in node.items
        )
    if isinstance(node, Alt):
        return "|".join(emit(branch, engine, lowered, captures) for branch in node.branches)
    if isinstance(node, Group):
        return f"({'' if captures else '?:'}{emit(node.item, engine, lowered, captures)})"
    if isinstance(node, Anchor):
        return ANCHORS[engine][node.kind]
    text = emit(node.item, engine, lowered, captures)
    if not isinstance(node.item, Set | Group):
        text = f"(?:{text})"
    if (node.low, node.high) == (0, INFINITE):
        sign = "*"
    elif (node.low, node.high) == (1, INFINITE):
        sign = "+"
    elif (node.low, node.high) == (0, 1):
        sign = "?"
    elif node.high == INFINITE:
        sign = f"{{{node.low},}}"
    else:
        sign = f"{{{node.low},{node.high}}}"
    return text + sign + ("?" if node.lazy else "")
