"""OSSEC's dialect of XML: bytes to a tree of `Node` (spec/configuration.md, section 2).

Theory of operation.  The files are not XML 1.0: several roots, bare `&`, `\\<` as text, `<! ... !>` comments, names and
bytes that XML cannot hold.  `normalise` walks the bytes once by the dialect's own rules and writes well-formed XML with
the same line numbers; lxml parses that; `parse` walks lxml's tree into `Node`s and gives back what was escaped:

* `&`, `<`, `>` and CR become references, so that entities stay undecoded for the caller;
* a comment becomes a comment holding its line ends only; the line ends of a start tag move into one behind it, so that
  `sourceline` is the line where the tag begins;
* a name that XML would refuse (or that starts with `__` or `xml`) becomes `__` and the hexadecimal form of its bytes;
* a byte that XML would refuse becomes a character of `ESCAPES`.

A variable (`<var name="N">text</var>`) never reaches the tree; `variables=True` puts its text where `$N` stands.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from lxml import etree

from ossec.errors import ConfigError

MAX_RUN = 8191  # bytes of a name, a text, an attribute's name or value: OSSEC's buffers
MAX_DEPTH = 1024  # elements open at once, as OSSEC
MAX_VARIABLE_NAME = 255
MAX_FILE = 64 * 1024 * 1024  # far above any rule set; keeps a wrong path (a log, a device) from filling the memory

WIDE_LINES = 65_000  # libxml2 counts lines in 16 bits; a longer file carries its line numbers in an attribute
LINE_MARK = "__line"  # no name of the dialect comes out so: `__` is followed by hexadecimal digits only

ESCAPES = 0xF0000  # ESCAPES + n stands for byte n, in a plane that nobody else's text uses (if it does, it is escaped)
BOM = b"\xef\xbb\xbf"

_OPEN = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.-]{0,120})>")
_CLOSE = re.compile(rb"</([A-Za-z_][A-Za-z0-9_.-]{0,120})>")
_COMMENT_END = re.compile(rb"-->|!>")
_NAME_END = re.compile(rb"[\s>]")
_BLANKS = re.compile(rb"\s*")
_ATTRIBUTE = re.compile(rb"""([^\s=>/]*)=\s*(?:"([^">]*)"|'([^'>]*)')(?=[\s/>])""")
_ATTRIBUTE_NAME = re.compile(rb"[^\s=>/]*")
_PLAIN_NAME = re.compile(rb"(?!__|[xX][mM][lL])[A-Za-z_][A-Za-z0-9_.-]*\Z")
_UNFIT_BYTES = re.compile(rb"[^\t\n -%'-;=?-~]")
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\udc80-\udcff\ufffe\uffff\U000f0000-\U000f00ff]")
_ESCAPED = re.compile("[\U000f0000-\U000f00ff]")
_VARIABLE = re.compile(r"\$([^$.|, ]+)")


class DialectError(ConfigError):
    """A file that the dialect refuses.

    `reason` is OSSEC's text after `XMLERR: `; `variables` tells a mistake in `$NAME` (OSSEC's message 1227) from one of
    reading (1226).  `line` is the line in the file; `reader_line` is the one that OSSEC prints, which counts a line end
    after `--` in a comment twice.
    """

    def __init__(
        self,
        reason: str,
        path: Path | str = "",
        line: int = 0,
        *,
        reader_line: int | None = None,
        variables: bool = False,
    ) -> None:
        super().__init__(reason, path, line)
        self.reason = reason
        self.reader_line = line if reader_line is None else reader_line
        self.variables = variables

    @property
    def code(self) -> int:
        """OSSEC's number for this kind of error."""
        return 1227 if self.variables else 1226

    @property
    def upstream(self) -> str:
        """What OSSEC prints after `NAME(CODE): `."""
        if self.variables:
            return f"ERROR: Error applying XML variables '{self.path}': XMLERR: {self.reason}."
        return f"ERROR: Error reading XML file '{self.path}': XMLERR: {self.reason} (line {self.reader_line})."


class Node:
    """One element.

    `text` is what follows the last child (all of the content when there is none), entities undecoded, decoded as UTF-8
    with surrogateescape.  `line` is where its start tag begins.
    """

    __slots__ = ("attributes", "children", "line", "name", "path", "text")

    def __init__(
        self,
        name: str,
        text: str = "",
        attributes: list[tuple[str, str]] | None = None,
        children: list[Node] | None = None,
        line: int = 0,
        path: Path | str = "",
    ) -> None:
        self.name = name
        self.text = text
        self.attributes = attributes if attributes is not None else []
        self.children = children if children is not None else []
        self.line = line
        self.path = path

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of an attribute (names are compared exactly)."""
        for key, value in self.attributes:
            if key == name:
                return value
        return default

    def __repr__(self) -> str:
        return f"<{self.name} line {self.line}: {len(self.children)} children, {self.text!r:.60}>"


def read(path: Path | str, *, variables: bool = False) -> list[Node]:
    """The roots of a file, in order.  DialectError also when the file cannot be opened (line 0), as OSSEC."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise DialectError(f"File '{path}' not found.", path) from error
    return parse(data, path, variables=variables)


def parse(data: bytes, path: Path | str = "", *, variables: bool = False) -> list[Node]:
    """The roots in a file's bytes, in order.  `variables` applies `<var>`; without it they are dropped unused."""
    if len(data) > MAX_FILE:
        raise DialectError(f"File larger than {MAX_FILE} bytes.", path)
    parser = etree.XMLParser(
        remove_comments=True, huge_tree=True, resolve_entities=False, no_network=True, remove_blank_text=False
    )
    return _nodes(etree.fromstring(normalise(data, path), parser), path, variables)


# --- the dialect, written as XML ---


def normalise(data: bytes, path: Path | str = "") -> bytes:
    """The same tree as well-formed XML with the same lines, below one root element; DialectError when there is none."""
    return _Scanner(data, path).run()


class _Scanner:
    """One walk over the bytes; `out` grows with well-formed XML."""

    def __init__(self, data: bytes, path: Path | str) -> None:
        self.data = data
        self.path = path
        self.out: list[bytes] = [b"<dialect>"]
        self.names: dict[bytes, bytes] = {}
        self.double_counted = 0  # line ends that OSSEC's reader has counted twice so far
        self.lines_until = 0  # how far `line` has been counted, for wide files only
        self.line = 1
        self.wide = data.count(b"\n") > WIDE_LINES

    def error(self, reason: str, position: int) -> DialectError:
        """An error at the byte before `position`, which the reader has consumed."""
        line = 1 + self.data.count(b"\n", 0, position)
        return DialectError(reason, self.path, line, reader_line=line + self.double_counted)

    def run(self) -> bytes:
        data, out = self.data, self.out
        size = len(data)
        position = self._prolog()
        stack: list[bytes] = []
        run = 0  # bytes of the current text, over the comments in it
        written = self._written
        while True:
            start = data.find(b"<", position)
            if start < 0:
                self._text(position, size, run, bool(stack))
                break
            if start > position:
                run = self._text(position, start, run, bool(stack))
            if match := _OPEN.match(data, start):
                if start and data[start - 1] == 0x5C:
                    run = self._text(start, start + 1, run, bool(stack))
                    position = start + 1
                    continue
                name = match[1]
                position = match.end()
                if len(stack) >= MAX_DEPTH:
                    raise self.error("Max recursion level reached.", position)
                stack.append(name)
                out.append(b"<%b%b>" % (written(name), self._mark(start)) if self.wide else b"<%b>" % written(name))
                run = 0
                continue
            following = data[start + 1 : start + 2]
            if following == b"!":
                position = self._comment(start)
                continue
            if start and data[start - 1] == 0x5C:
                run = self._text(start, start + 1, run, bool(stack))
                position = start + 1
                continue
            run = 0
            if following == b"/":
                if match := _CLOSE.match(data, start):
                    name, position = match[1], match.end()
                else:
                    name, position = self._close_name(start, stack)
                if not stack:
                    raise self.error("Element not opened.", position)
                if name != stack[-1]:
                    raise self.error(f"Element '{_shown(stack[-1])}' not closed.", position)
                del stack[-1]
                out.append(b"</%b>" % written(name))
                continue
            opened, position = self._open(start, len(stack))
            if opened is None:
                run = 0
            else:
                stack.append(opened)
        if stack:
            raise self.error("End of file and some elements were not closed.", size)
        out.append(b"</dialect>")
        return b"".join(out)

    def _prolog(self) -> int:
        start = len(BOM) if self.data.startswith(BOM) else 0
        if not self.data.startswith(b"<?xml", start):
            return start
        end = self.data.find(b"?>", start)
        if end < 0:
            raise self.error("XML declaration not closed.", len(self.data))
        self._line_ends(start, end)
        return end + 2

    def _text(self, start: int, end: int, run: int, inside: bool) -> int:
        """Write a piece of text; return the length of its run so far."""
        if not inside:
            self._line_ends(start, end)
            return 0
        run += end - start
        if run > MAX_RUN:
            raise self.error("String overflow.", end - (run - MAX_RUN) + 1)
        self.out.append(_escape(self.data[start:end]))
        return run

    def _line_ends(self, start: int, end: int) -> None:
        """Keep the lines of a stretch that has no place in the tree."""
        if count := self.data.count(b"\n", start, end):
            self.out.append(b"<!--" + b"\n" * count + b"-->")

    def _comment(self, start: int) -> int:
        match = _COMMENT_END.search(self.data, start + 2)
        end = match.end() if match else len(self.data)
        self.double_counted += self.data.count(b"--\n", start + 2, end)
        if match is None:
            raise self.error("Comment not closed.", end)
        self._line_ends(start, end)
        return end

    def _name(self, start: int, stop: re.Pattern[bytes]) -> tuple[bytes, int]:
        """A name from `start` to what `stop` finds (or the end), comments in it taken out."""
        pieces: list[bytes] = []
        while True:
            found = stop.search(self.data, start)
            end = found.start() if found else len(self.data)
            comment = self.data.find(b"<!", start, end + 1)
            if comment < 0:
                pieces.append(self.data[start:end])
                break
            pieces.append(self.data[start:comment])
            start = self._comment(comment)
        name = b"".join(pieces)
        if len(name) > MAX_RUN:
            raise self.error("String overflow.", end)
        return name, end

    def _close_name(self, start: int, stack: list[bytes]) -> tuple[bytes, int]:
        name, end = self._name(start + 2, re.compile(rb">"))
        if end >= len(self.data) and stack:
            raise self.error("End of file and some elements were not closed.", end)
        return name.partition(b"\0")[0], end + 1

    def _open(self, start: int, depth: int) -> tuple[bytes | None, int]:
        """Read a start tag with all it may hold; the name (None: closed in itself) and where the text goes on."""
        data = self.data
        name, position = self._name(start + 1, _NAME_END)
        if position >= len(data):
            raise self.error("End of file and some elements were not closed.", position)
        if depth >= MAX_DEPTH:
            raise self.error("Max recursion level reached.", position)
        closed = False
        attributes: list[tuple[bytes, bytes]] = []
        if data[position] == 0x3E:
            position += 1
            if name.endswith(b"/"):
                name, closed = name[:-1], True
        else:
            while True:
                position = self._skip(position)
                byte = data[position]
                if byte == 0x3E:
                    position += 1
                    break
                if byte == 0x2F:  # the `>` behind it stays, and becomes text of the parent
                    position += 1
                    closed = True
                    break
                position = self._attribute(position, attributes)
        name = name.partition(b"\0")[0]
        tag = [b"<", self._written(name)]
        for key, value in attributes:
            tag += [b" ", self._written(key), b'="', _escape(value, attribute=True), b'"']
        if self.wide:
            tag.append(self._mark(start))
        tag.append(b"/>" if closed else b">")
        self.out.append(b"".join(tag))
        self._line_ends(start, position)
        return (None if closed else name), position

    def _skip(self, position: int) -> int:
        match = _BLANKS.match(self.data, position)
        assert match is not None
        if match.end() >= len(self.data):
            raise self.error("End of file while reading an attribute.", match.end())
        return match.end()

    def _attribute(self, start: int, attributes: list[tuple[bytes, bytes]]) -> int:
        match = _ATTRIBUTE.match(self.data, start)
        if match is None:
            raise self._attribute_error(start)
        key = match[1].partition(b"\0")[0]
        value = match[2] if match[2] is not None else match[3]
        if len(match[1]) > MAX_RUN or len(value) > MAX_RUN:
            raise self.error(f"Overflow attempt at attribute '{_shown(key[:20])}'.", match.end())
        if any(key == other for other, _ in attributes):
            raise self.error(f"Attribute '{_shown(key)}' already defined.", match.end(1))
        attributes.append((key, value.partition(b"\0")[0]))
        return match.end()

    def _attribute_error(self, start: int) -> DialectError:
        """Say why no attribute begins at `start`."""
        data, size = self.data, len(self.data)
        match = _ATTRIBUTE_NAME.match(data, start)
        assert match is not None
        end, name = match.end(), _shown(match[0])
        if len(match[0]) > MAX_RUN:
            return self.error(f"Overflow attempt at attribute '{name[:20]}'.", end)
        if end >= size:
            return self.error("End of file while reading an attribute.", size)
        if data[end] != 0x3D:
            return self.error(f"Attribute '{name}' has no value.", end + 1)
        quote_at = self._skip(end + 1)
        quote = data[quote_at : quote_at + 1]
        if quote not in (b'"', b"'"):
            return self.error(f"Attribute '{name}' not followed by a \" or '.", quote_at + 1)
        ends = [at for at in (data.find(quote, quote_at + 1), data.find(b">", quote_at + 1)) if at >= 0]
        value_end = min(ends, default=size)
        if value_end - quote_at - 1 > MAX_RUN:
            return self.error(f"Overflow attempt at attribute '{name[:20]}'.", quote_at + 1 + MAX_RUN)
        if value_end >= size:
            return self.error("End of file while reading an attribute.", size)
        if data[value_end] == 0x3E:
            return self.error(f"Attribute '{name}' not closed.", value_end + 1)
        value = _shown(data[quote_at + 1 : value_end])
        return self.error(f"Bad attribute closing for '{name}'='{value}'.", value_end + 2)

    def _mark(self, start: int) -> bytes:
        self.line += self.data.count(b"\n", self.lines_until, start)
        self.lines_until = start
        return b' %b="%d"' % (LINE_MARK.encode(), self.line)

    def _written(self, name: bytes) -> bytes:
        try:
            return self.names[name]
        except KeyError:
            fit = name if _PLAIN_NAME.match(name) else b"__" + name.hex().encode()
            self.names[name] = fit
            return fit


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _escape(text: bytes, *, attribute: bool = False) -> bytes:
    """Character data that XML holds, one line end for each in `text` (in an attribute: none, as references)."""
    if _UNFIT_BYTES.search(text) is None and not attribute:
        return text
    escaped = text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    if b"\r" in escaped:
        escaped = escaped.replace(b"\r", b"&#13;")
    if attribute:
        escaped = escaped.replace(b'"', b"&quot;").replace(b"\n", b"&#10;").replace(b"\t", b"&#9;")
    decoded = escaped.decode("utf-8", "surrogateescape")
    return _UNFIT.sub(_escape_character, decoded).encode()


def _escape_character(match: re.Match[str]) -> str:
    return "".join(chr(ESCAPES + byte) for byte in match[0].encode("utf-8", "surrogateescape"))


def _restore(text: str) -> str:
    """The text again as the file has it; a NUL ends it."""
    if _ESCAPED.search(text) is None:
        return text
    raw = _ESCAPED.sub(_restore_character, text).encode("utf-8", "surrogateescape")
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _restore_character(match: re.Match[str]) -> str:
    byte = ord(match[0]) - ESCAPES
    return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)


# --- XML to nodes ---


def _nodes(root: etree._Element, path: Path | str, variables: bool) -> list[Node]:
    """The children of lxml's root as nodes, in document order; by a stack, since Python recurses less deep."""
    roots: list[Node] = []
    values: dict[str, str] = {}
    stack: list[tuple[etree._Element, list[Node]]] = [(element, roots) for element in reversed(root)]
    while stack:
        element, siblings = stack.pop()
        tag = element.tag
        name = _plain(tag) if tag.startswith("__") else tag
        inner = list(element)
        text = (inner[-1].tail if inner else element.text) or ""
        line = cast(int, element.sourceline or 0)  # lxml-stubs give it an odd type
        if not text.isascii():
            text = _restore(text)
        attributes: list[tuple[str, str]] = []
        for key, value in cast("list[tuple[str, str]]", element.items()):
            if key == LINE_MARK:
                line = int(value)
                continue
            if key.startswith("__"):
                key = _plain(key)
            attributes.append((key, value if value.isascii() else _restore(value)))
        if name.lower() == "var":
            if variables:
                _define(values, attributes, text, path, line)
            continue
        if attributes:
            attributes = [(key, value) for key, value in attributes if key.lower() != "var"]
        if values:
            text = _expand(text, values, path, line)
            attributes = [(key, _expand(value, values, path, line)) for key, value in attributes]
        node = Node(name, text, attributes, [], line, path)
        siblings.append(node)
        if inner:
            inner.reverse()
            stack.extend([(child, node.children) for child in inner])
    return roots


def _plain(name: str) -> str:
    return bytes.fromhex(name[2:]).decode("utf-8", "surrogateescape")


def _define(values: dict[str, str], attributes: list[tuple[str, str]], text: str, path: Path | str, line: int) -> None:
    """Remember a variable; the first definition of a name wins."""
    if not attributes:
        raise DialectError("No value set for variable.", path, line, variables=True)
    if any(key.lower() != "name" for key, _ in attributes):
        raise DialectError('Only "name" is allowed as an attribute for a variable.', path, line, variables=True)
    name = attributes[0][1]
    if len(name.encode("utf-8", "surrogateescape")) > MAX_VARIABLE_NAME:
        raise DialectError("Invalid variable name size.", path, line, variables=True)
    values.setdefault(name.lower(), text)


def _expand(text: str, values: dict[str, str], path: Path | str, line: int) -> str:
    """Put each `$NAME`'s text in its place; what came in is not looked at again."""
    if "$" not in text or len(text.encode("utf-8", "surrogateescape")) <= 2:
        return text

    def value_of(match: re.Match[str]) -> str:
        value = values.get(match[1].lower())
        if value is None:
            raise DialectError(f"Unknown variable: '{match[1]}'.", path, line, variables=True)
        return value

    return _VARIABLE.sub(value_of, text)
