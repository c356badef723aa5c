r"""A byte-wise reading of the part of PCRE2's syntax that a linear-time engine can run.

`parse` turns a pattern into a small tree of byte sets, repeats, groups and anchors.  From the tree come the text for
each engine (`emission`), how badly a backtracking engine can behave on it and the literal strings that every match
contains (`analysis`).  What the parser does not know for sure (look-around, back-references, possessive
quantifiers, conditions, …) it refuses with `Unsupported`: such a pattern runs on PCRE2 itself, under a bound.  It also
refuses what is plainly wrong; whether a pattern is wrong is for PCRE2 to say.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import reduce

ALL = (1 << 256) - 1
INFINITE = -1
MAX_NESTING = 200  # deeper groups are left to PCRE2, whose own limit is 250
MAX_COUNT = 1000  # what RE2 accepts in {m,n}


class Unsupported(ValueError):
    """The pattern uses something outside the part of PCRE2 that is read here, or is wrong."""


def _bits(chars: str) -> int:
    return reduce(lambda mask, char: mask | 1 << ord(char), chars, 0)


UPPER = _bits(string.ascii_uppercase)
LOWER = _bits(string.ascii_lowercase)
DIGIT = _bits(string.digits)
WORD = UPPER | LOWER | DIGIT | _bits("_")
SPACE = _bits(" \t\n\v\f\r")
NEWLINE = _bits("\n")
HORIZONTAL = _bits(" \t") | 1 << 0xA0
VERTICAL = _bits("\n\v\f\r") | 1 << 0x85

SETS = {
    "d": DIGIT,
    "D": ALL & ~DIGIT,
    "w": WORD,
    "W": ALL & ~WORD,
    "s": SPACE,
    "S": ALL & ~SPACE,
    "h": HORIZONTAL,
    "H": ALL & ~HORIZONTAL,
    "v": VERTICAL,
    "V": ALL & ~VERTICAL,
}
CONTROLS = {"a": 7, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9}
POSIX = {
    "alpha": UPPER | LOWER,
    "lower": LOWER,
    "upper": UPPER,
    "alnum": UPPER | LOWER | DIGIT,
    "ascii": (1 << 128) - 1,
    "blank": _bits(" \t"),
    "cntrl": (1 << 32) - 1 | 1 << 127,
    "digit": DIGIT,
    "graph": _bits(string.ascii_letters + string.digits + string.punctuation),
    "print": _bits(string.ascii_letters + string.digits + string.punctuation + " "),
    "punct": _bits(string.punctuation),
    "space": SPACE,
    "word": WORD,
    "xdigit": _bits(string.hexdigits),
}


@dataclass(frozen=True, slots=True)
class Set:
    """One byte out of a set; bit n of `mask` stands for byte n."""

    mask: int


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other; empty: the empty string."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """The first alternative that leads to a match."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`low` to `high` (INFINITE: any number of) times."""

    item: Node
    low: int
    high: int
    lazy: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A capture, counted from 1 by its opening parenthesis."""

    item: Node
    index: int


@dataclass(frozen=True, slots=True)
class Anchor:
    r"""A position: `A` start of subject, `z` end, `$` end or before a final newline, `b`, `B` word boundary or not."""

    kind: str


Node = Set | Seq | Alt | Repeat | Group | Anchor
EMPTY = Seq(())
ANYTHING = Repeat(Set(ALL), 0, INFINITE, False)


def fold(mask: int) -> int:
    """Close a set of bytes under ASCII case."""
    return mask | (mask & UPPER) << 32 | (mask & LOWER) >> 32


@dataclass(slots=True)
class _Flags:
    caseless: bool = True
    dotall: bool = False
    multiline: bool = False
    extended: bool = False

    def copy(self) -> _Flags:
        return _Flags(self.caseless, self.dotall, self.multiline, self.extended)


class _Parser:
    def __init__(self, text: bytes, relaxed: bool) -> None:
        self.text = text.decode("latin-1")
        self.relaxed = relaxed
        self.at = 0
        self.groups = 0
        self.names: set[str] = set()

    def parse(self) -> Node:
        node = self._alternatives(_Flags(), 0)
        if self.at < len(self.text):
            raise Unsupported("unbalanced parenthesis")
        return node

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self, token: str) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def _alternatives(self, flags: _Flags, depth: int) -> Node:
        if depth > MAX_NESTING:
            raise Unsupported("nested too deeply")
        branches = [self._sequence(flags, depth)]
        while self._take("|"):
            branches.append(self._sequence(flags, depth))
        return branches[0] if len(branches) == 1 else Alt(tuple(branches))

    def _sequence(self, flags: _Flags, depth: int) -> Node:
        """Read up to a bar, a closing parenthesis or the end; an option set here stays on in the next alternatives."""
        items: list[Node] = []
        while (char := self._peek()) and char not in "|)":
            if flags.extended and (char in " \t\n\v\f\r" or char == "#"):
                self._skip_comment(char)
                continue
            if self._take("\\Q"):
                end = self.text.find("\\E", self.at)
                stop = len(self.text) if end < 0 else end
                items += [self._literal(char, flags) for char in self.text[self.at : stop]]
                self.at = stop if end < 0 else stop + 2
                if self._peek() in ("*", "+", "?", "{") and self._peek():
                    raise Unsupported("quantifier after quoted text")
                continue
            if self._take("(?#"):
                end = self.text.find(")", self.at)
                if end < 0:
                    raise Unsupported("comment without end")
                self.at = end + 1
                if self._peek() in ("*", "+", "?", "{") and self._peek():
                    raise Unsupported("quantifier after a comment")
                continue
            node = self._atom(flags, depth)
            if node is not None:
                items.append(self._quantified(node, flags))
        return items[0] if len(items) == 1 else Seq(tuple(items))

    def _skip_comment(self, char: str) -> None:
        if char == "#":
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end + 1
        else:
            self.at += 1
        if self._peek() in ("*", "+", "?", "{") and self._peek():
            raise Unsupported("quantifier after white space")

    def _literal(self, char: str, flags: _Flags) -> Set:
        mask = 1 << ord(char)
        return Set(fold(mask) if flags.caseless else mask)

    def _atom(self, flags: _Flags, depth: int) -> Node | None:
        char = self.text[self.at]
        self.at += 1
        if char == "(":
            return self._group(flags, depth)
        if char == "[":
            return self._class(flags)
        if char == ".":
            return Set(ALL if flags.dotall else ALL & ~NEWLINE)
        if char == "^":
            return self._line_anchor("A", flags)
        if char == "$":
            return self._line_anchor("$", flags)
        if char == "\\":
            return self._escape(flags)
        if char in "*+?":
            raise Unsupported("quantifier after nothing")
        if char == "{" and self._counts() is not None:
            raise Unsupported("quantifier after nothing")
        return self._literal(char, flags)

    def _line_anchor(self, kind: str, flags: _Flags) -> Node:
        if not flags.multiline:
            return Anchor(kind)
        if self.relaxed:
            return EMPTY
        raise Unsupported("anchor of a line")  # engines differ after a final newline

    def _escape(self, flags: _Flags) -> Node:
        char = self._peek()
        self.at += 1
        if char and char in "AzbB":
            return Anchor(char)
        if char == "Z":
            return Anchor("$")
        if char == "N" and self._peek() != "{":
            return Set(ALL & ~NEWLINE)
        if char in SETS:
            return Set(SETS[char])
        if self.relaxed and char and char in "123456789" and not self._peek().isdigit():
            return ANYTHING
        return Set(self._byte(char, flags))

    def _byte(self, char: str, flags: _Flags) -> int:
        """One character written with a backslash, as a set."""
        if char in CONTROLS and char:
            value = CONTROLS[char]
        elif char == "x":
            value = self._hexadecimal()
        elif char and (char in string.punctuation or char in " \t\n" or ord(char) >= 0x80):
            value = ord(char)
        else:
            raise Unsupported(f"escape \\{char}")
        return fold(1 << value) if flags.caseless else 1 << value

    def _hexadecimal(self) -> int:
        if self._take("{"):
            end = self.text.find("}", self.at)
            digits = self.text[self.at : end] if end > 0 else ""
            self.at = end + 1
        else:
            digits = ""
            while len(digits) < 2 and self._peek() and self._peek() in string.hexdigits:
                digits += self._peek()
                self.at += 1
        if not digits or len(digits) > 6 or set(digits) - set(string.hexdigits) or int(digits, 16) > 0xFF:
            raise Unsupported("hexadecimal escape")
        return int(digits, 16)

    def _class(self, flags: _Flags) -> Set:
        if self._peek() in (":", ".", "="):
            raise Unsupported("POSIX class outside a class")  # maybe: PCRE2 looks for its end
        negative = self._take("^")
        mask = 0
        first = True
        while True:
            char = self._peek()
            if not char:
                raise Unsupported("class without end")
            self.at += 1
            if char == "]" and not first:
                break
            first = False
            if char == "[" and self._peek() in (":", ".", "=") and self._peek():
                mask |= self._posix(flags)
                if self._peek() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                    raise Unsupported("range after a class")
                continue
            low = self._class_item(char, flags)
            if isinstance(low, str):  # a set such as \d
                mask |= SETS[low]
                if self._peek() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                    raise Unsupported("range after a class")
                continue
            if self._peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                char = self._peek()
                self.at += 1
                if char == "[" and self._peek() in (":", ".", "=") and self._peek():
                    raise Unsupported("range to a class")
                high = self._class_item(char, flags)
                if isinstance(high, str) or high < low:
                    raise Unsupported("range")
                part = (1 << high + 1) - (1 << low)
            else:
                part = 1 << low
            mask |= fold(part) if flags.caseless else part
        return Set(ALL & ~mask if negative else mask)

    def _posix(self, flags: _Flags) -> int:
        end = self.text.find(":]", self.at)
        name = self.text[self.at + 1 : end] if end > 0 and self._peek() == ":" else ""
        negative = name.startswith("^")
        mask = POSIX.get(name.removeprefix("^"))
        if mask is None:
            raise Unsupported("POSIX class")
        self.at = end + 2
        if flags.caseless and name.removeprefix("^") in ("lower", "upper"):
            mask = UPPER | LOWER
        return ALL & ~mask if negative else mask

    def _class_item(self, char: str, flags: _Flags) -> int | str:
        """A byte value, or the letter of a set."""
        if char != "\\":
            return ord(char)
        char = self._peek()
        self.at += 1
        if char in SETS:
            return char
        if char == "b":
            return 8
        mask = self._byte(char, _Flags(caseless=False))
        return mask.bit_length() - 1

    def _group(self, flags: _Flags, depth: int) -> Node | None:
        if self._peek() == "*":
            raise Unsupported("verb")
        index = 0
        looking = False
        inner = flags.copy()
        if not self._take("?"):
            self.groups += 1
            index = self.groups
        elif self._take(":"):
            pass
        elif self.relaxed and any(map(self._take, ("=", "!", "<=", "<!"))):
            looking = True
        elif self.relaxed and self._take(">"):
            pass
        elif self.relaxed and self._take("P="):
            end = self.text.find(")", self.at)
            if end < 0:
                raise Unsupported("group name")
            self.at = end + 1
            return ANYTHING
        elif self._take("P<") or (self.text[self.at + 1 : self.at + 2] not in ("=", "!") and self._take("<")):
            end = self.text.find(">", self.at)
            name = self.text[self.at : end] if end > 0 else ""
            legal = name.isascii() and name.isidentifier() and len(name) <= 32
            if not legal or name in self.names:
                raise Unsupported("group name")
            self.names.add(name)
            self.at = end + 1
            self.groups += 1
            index = self.groups
        else:
            inner = self._options(flags)
            if self._take(")"):
                flags.caseless, flags.dotall = inner.caseless, inner.dotall
                flags.multiline, flags.extended = inner.multiline, inner.extended
                if self._peek() in ("*", "+", "?", "{") and self._peek():
                    raise Unsupported("quantifier after an option")
                return None
            if not self._take(":"):
                raise Unsupported("group")
        node = self._alternatives(inner, depth + 1)
        if not self._take(")"):
            raise Unsupported("unbalanced parenthesis")
        if looking:
            return EMPTY
        return Group(node, index) if index else node

    def _options(self, flags: _Flags) -> _Flags:
        new = flags.copy()
        value = True
        while (char := self._peek()) and char not in ":)":
            self.at += 1
            if char == "-" and value:
                value = False
            elif char == "i":
                new.caseless = value
            elif char == "s":
                new.dotall = value
            elif char == "m":
                new.multiline = value
            elif char == "x" and self._peek() != "x":
                new.extended = value
            else:
                raise Unsupported("option")
        return new

    def _counts(self) -> tuple[int, int] | None:
        """The numbers of `{n}`, `{n,}`, `{n,m}` after a brace just read; None if the brace is an ordinary character.

        `{,m}` is ordinary in the PCRE2 of OSSEC 4.3 (10.42), a quantifier since 10.43.
        """
        end = self.text.find("}", self.at)
        inside = self.text[self.at : end] if end > 0 else ""
        low, comma, high = inside.partition(",")
        if not (low.isascii() and low.isdigit()) or (high and not (high.isascii() and high.isdigit())):
            if any(char in " \t" for char in inside) and any(char.isdigit() for char in inside):
                raise Unsupported("blanks in a quantifier")
            return None
        if len(low) > 5 or len(high) > 5:
            raise Unsupported("quantifier too large")
        return int(low), (int(high) if high else INFINITE if comma else int(low))

    def _quantified(self, node: Node, flags: _Flags) -> Node:
        char = self._peek()
        if char == "*":
            low, high = 0, INFINITE
        elif char == "+":
            low, high = 1, INFINITE
        elif char == "?":
            low, high = 0, 1
        elif char == "{":
            self.at += 1
            counts = self._counts()
            if counts is None:
                self.at -= 1
                return node
            low, high = counts
            self.at = self.text.index("}", self.at)
        else:
            return node
        self.at += 1
        if (high != INFINITE and high < low) or max(low, high) > MAX_COUNT:
            raise Unsupported("quantifier")
        lazy = self._take("?")
        if self.relaxed and not lazy:
            self._take("+")
        if self._peek() == "+" or (not lazy and self._peek() in ("*", "?") and self._peek()):
            raise Unsupported("possessive or repeated quantifier")
        if lazy and self._peek() in ("*", "?", "{") and self._peek():
            raise Unsupported("repeated quantifier")
        if not lazy and self._peek() == "{" and self._is_count():
            raise Unsupported("repeated quantifier")
        if self.relaxed and (isinstance(node, Anchor) or nullable(node)):
            return EMPTY if isinstance(node, Anchor) else Repeat(node, low, high, lazy)
        if isinstance(node, Anchor):
            raise Unsupported("repeated anchor")
        if nullable(node):
            raise Unsupported("repeat of what may be empty")  # engines differ in what they capture there
        return Repeat(node, low, high, lazy)

    def _is_count(self) -> bool:
        self.at += 1
        found = self._counts() is not None
        self.at -= 1
        return found


def parse(text: bytes) -> tuple[Node, int]:
    """Read a PCRE2 pattern, caseless, one unit a byte; give its tree and its number of groups."""
    parser = _Parser(text, relaxed=False)
    return parser.parse(), parser.groups


def parse_relaxed(text: bytes) -> Node:
    """Read more of PCRE2's syntax into a tree that matches wherever the pattern does, and elsewhere too.

    Look-around always holds, a back-reference is any text, possessive and atomic groups give back.
    """
    return _Parser(text, relaxed=True).parse()


def nullable(node: Node) -> bool:
    """Tell whether `node` can match the empty string."""
    if isinstance(node, Set):
        return False
    if isinstance(node, Seq):
        return all(nullable(item) for item in node.items)
    if isinstance(node, Alt):
        return any(nullable(branch) for branch in node.branches)
    if isinstance(node, Repeat):
        return node.low == 0 or nullable(node.item)
    if isinstance(node, Group):
        return nullable(node.item)
    return True


def walk(node: Node) -> list[Node]:
    """List `node` and everything inside it."""
    found: list[Node] = [node]
    for one in found:
        if isinstance(one, Seq):
            found.extend(one.items)
        elif isinstance(one, Alt):
            found.extend(one.branches)
        elif isinstance(one, Repeat | Group):
            found.append(one.item)
    return found


def is_caseless(node: Node) -> bool:
    """Tell whether no letter's case matters, so that the pattern may run on the lower-cased subject."""
    return all(one.mask == fold(one.mask) for one in walk(node) if isinstance(one, Set))
