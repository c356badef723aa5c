"""What execd takes from ossec.conf: is it off, and `repeated_offenders` (spec/active-response.md, section 4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ossec.config import dialect
from ossec.config.dialect import Node
from ossec.errors import ConfigError

MAX_OFFENDERS_STEPS = 5  # OSSEC's table; what follows the fifth comma is lost
PROGRAM = "ossec-execd"
ALLOW_LISTS = ("allow_list", "white_list")

_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Settings:
    """`offenders`: minutes, as written (0 for what is no number); the ladder ends at the first 0.  `allowed`: the texts
    of every allow list."""

    disabled: bool
    offenders: tuple[int, ...]
    allowed: tuple[str, ...] = ()


class SettingsError(ConfigError):
    """Carries the lines to print, OSSEC's first."""

    def __init__(self, message: str, path: Path | str, line: int, lines: Sequence[str]) -> None:
        super().__init__(message, path, line)
        self.lines = [*lines, f"{PROGRAM}: ERROR: {self}"]


def load(path: Path) -> Settings:
    """The settings in an ossec.conf; SettingsError."""
    try:
        roots = dialect.read(path)
    except dialect.DialectError as error:
        raise SettingsError(error.message, path, error.line, [f"{PROGRAM}({error.code}): {error.upstream}"]) from error
    return choose(roots, path)


def choose(roots: Sequence[Node], path: Path | str) -> Settings:
    """The settings in a tree.

    OSSEC looks at the first `active-response` of each root only.  There a bad `disabled` is refused as it does; but the
    daemon is off only if no block is on, and `repeated_offenders` may stand in any block.
    """
    first = next((node for blocks in _blocks(roots) for node in _named(blocks[:1], "disabled")), None)
    if first is not None and first.text not in ("yes", "no"):
        raise SettingsError(
            f"<disabled> wants yes or no, got '{first.text}'",
            path,
            first.line,
            [
                f"{PROGRAM}(1235): ERROR: Invalid value for element 'disabled': {first.text}.",
                f"{PROGRAM}(1202): ERROR: Configuration error at '{path}'. Exiting.",
            ],
        )
    everywhere = [block for blocks in _blocks(roots) for block in blocks]
    off = first is not None and first.text == "yes" and not any(_is_on(block) for block in everywhere)
    offenders = next((node.text for node in _named(everywhere, "repeated_offenders")), "")
    allowed = tuple(node.text for root in roots for node in _children(root, "global") if node.name in ALLOW_LISTS)
    return Settings(off, parse_offenders(offenders), allowed)


def parse_offenders(text: str) -> tuple[int, ...]:
    """Minutes in a list with commas: the leading number of each piece, 0 without one."""
    if not text:
        return ()
    return tuple(
        int(match[1]) if (match := _NUMBER.match(piece)) else 0 for piece in text.split(",", MAX_OFFENDERS_STEPS - 1)
    )


def _children(root: Node, section: str) -> Iterator[Node]:
    for node in root.children:
        if node.name == section:
            yield from node.children


def _blocks(roots: Sequence[Node]) -> Iterator[list[Node]]:
    for root in roots:
        blocks = [node for node in root.children if node.name == "active-response"]
        if blocks:
            yield blocks


def _named(blocks: Sequence[Node], name: str) -> Iterator[Node]:
    for block in blocks:
        for node in block.children:
            if node.name == name:
                yield node
                break


def _is_on(block: Node) -> bool:
    """Whether a block asks for responses: it names a command or says `disabled no`, and does not say `yes`."""
    values = [node.text for node in block.children if node.name == "disabled"]
    return "yes" not in values and ("no" in values or any(node.name == "command" for node in block.children))
