r"""OS_Regex and OS_Match patterns as PCRE2 patterns.

In OSSEC 4.3 both are front ends: the text is rewritten to PCRE2 and run there.  `to_pcre2` gives that text exactly (the
tool `ossec-regex-convert` prints it); `to_bytes_syntax` and `to_unicode_syntax` give the same pattern in the form that
our engines read, where OS_Regex's end anchor `(?!\n)$` is written `\z`.  spec/regex.md §3, §4.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["regex", "match", "pcre2"]

ESCAPES = {
    "w": "[A-Za-z0-9@_-]",
    "W": "[^A-Za-z0-9@_-]",
    "d": "[0-9]",
    "D": "[^0-9]",
    "s": "[ ]",
    "S": "[^ ]",
    "t": "\\t",
    "p": "[()*+,.:;\\<=>?\\[\\]!\"'#%&$|{}-]",
    ".": "(?s:.)",
    "\\": "\\\\",
    "$": "\\$",
    "(": "\\(",
    ")": "\\)",
    "[": "\\[",
    "]": "\\]",
    "{": "\\{",
    "}": "\\}",
    "|": "\\|",
    "<": "\\<",
}
"""What a backslash makes of the next character; every other character after it is refused."""

REGEX_SPECIAL = frozenset(".+*?[]{}")
"""Characters that OS_Regex takes literally and PCRE2 does not."""

MATCH_SPECIAL = frozenset("\\.+*?[](){}")
"""Characters that OS_Match takes literally and PCRE2 does not."""

OSSEC_END = "(?!\\n)$"
"""How OSSEC writes `$` of an OS_Regex: the very end, not before a final newline."""


class UnknownEscape(ValueError):
    """An OS_Regex has a backslash before a character that may not follow one."""


def to_pcre2(kind: Kind, pattern: str) -> str | None:
    """Translate `pattern` as OSSEC does; None when the translation itself refuses it (an unknown escape).

    The result may still be no valid PCRE2 pattern (unbalanced parentheses, a backslash at the end).
    """
    try:
        if kind == "regex":
            return translate_regex(pattern, OSSEC_END)
        if kind == "match":
            return translate_match(pattern)
    except UnknownEscape:
        return None
    return pattern


def translate_regex(pattern: str, end: str = "\\z") -> str:
    r"""Rewrite an OS_Regex, with `end` for its `$`.

    `+` and `*` are quantifiers only two places after a backslash, without asking whether that backslash is itself
    escaped (`\\d+` is a backslash and one or more letters d); lazy unless nothing but `)` stands between them and the
    end of their alternative; after `\\` always lazy.
    """
    out: list[str] = []
    size = len(pattern)
    at = 0
    while at < size:
        char = pattern[at]
        if char == "\\":
            at += 1
            if at == size:
                out.append(char)
                break
            escaped = ESCAPES.get(pattern[at])
            if escaped is None:
                raise UnknownEscape(pattern[at])
            out.append(escaped)
        elif char in "+*" and at >= 2 and pattern[at - 2] == "\\":
            out.append(char)
            if pattern[at - 1] == "\\" or not _closes_alternative(pattern, at + 1):
                out.append("?")
        elif char == "$":
            out.append(end)
        elif char in REGEX_SPECIAL:
            out.append("\\" + char)
        else:
            out.append(char)
        at += 1
    return "".join(out)


def translate_match(pattern: str) -> str:
    """Rewrite an OS_Match: everything is literal except `^`, `$` and `|`."""
    return "".join("\\" + char if char in MATCH_SPECIAL else char for char in pattern)


def widen(text: str) -> str:
    """Spell out both cases of every character outside ASCII, for an engine that reads bytes."""
    if text.isascii():
        return text
    return "".join(char if char < "\x80" else f"(?:{'|'.join(_cases(char))})" for char in text)


def _cases(char: str) -> list[str]:
    """`char` and its simple case variants; the dotted and dotless i have none."""
    if char in "\u0130\u0131":
        return [char]
    return [char, *(other for other in {char.lower(), char.upper()} if len(other) == 1 and other != char)]


def _closes_alternative(pattern: str, at: int) -> bool:
    """Tell whether only closing parentheses stand between `at` and a bar or the end."""
    rest = pattern[at:].lstrip(")")
    return not rest or rest[0] == "|"
