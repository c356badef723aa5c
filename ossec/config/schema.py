"""How a section is described and read: a table of elements, each with the value that it takes.

An `Element` reads one value; a `Section` says which elements there are, which of them a program checks, and what
becomes of the values at the end of the section (`finish`).  `Reading` is the state of one pass over a file for one
program.
"""

from __future__ import annotations

import glob
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ossec.config.dialect import Node
from ossec.config.model import Place
from ossec.config.problems import IN_SECTION, Problems, Refusal, nearest
from ossec.layout import Layout

EVERYBODY: frozenset[str] = frozenset()


TRUST_NAMES = "OSSEC_TRUST_NAMES"  # in the environment: take host names as they are; a resolver may be down just now


def resolves(name: str) -> bool:
    """Whether the machine's resolver knows a host name (asked at start by the programs that connect to it)."""
    if os.environ.get(TRUST_NAMES):
        return True
    try:
        return bool(socket.getaddrinfo(name, None))
    except (OSError, UnicodeError):
        return False


def globs(pattern: str) -> bool:
    """Whether a shell pattern finds any file."""
    return any(True for _ in glob.iglob(pattern))  # noqa: PTH207 - a pattern from the root on, not of a folder


@dataclass(frozen=True, slots=True)
class Machine:
    """What a configuration is checked against besides itself; tests give their own."""

    resolves: Callable[[str], bool] = resolves
    globs: Callable[[str], bool] = globs
    exists: Callable[[Path], bool] = os.path.exists  # (Path.exists raises for some names that cannot be)


@dataclass(slots=True)
class Reading:
    """One pass over a file for one program.

    `values` gathers what all sections of a name share, `items` what is one each.
    """

    program: str | None  # None: all sections, no look at the machine
    layout: Layout
    problems: Problems
    machine: Machine
    kind: str = "server"
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, list[Any]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    broken_commands: set[str] = field(default_factory=set)
    remote_commands: bool = True  # False: what is read was written by others, who may not run commands here

    def is_for(self, *programs: str) -> bool:
        """Whether one of these programs reads."""
        return self.program in programs

    def gathered(self, section: str) -> dict[str, Any]:
        """The values that all sections of a name share."""
        return self.values.setdefault(section, {})

    def warn(self, message: str, node: Node) -> None:
        self.problems.warn(message, place_of(node))


Parse = Callable[[Reading, Node], Any]
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos);")


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a section.

    `field`: the name of its value (None: read and thrown away).  `many`: values grow into a list.  `only`: the programs
    that refuse a bad value; the others take no notice.  `attributes`: the ones it may have (None: it looks itself).
    """

    field: str | None
    parse: Parse
    many: bool = False
    only: frozenset[str] = EVERYBODY
    attributes: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of section.  `merged`: all sections of the name share their values."""

    name: str
    readers: frozenset[str]
    elements: Mapping[str, Element]
    finish: Callable[[Reading, dict[str, Any], Node], None]
    merged: bool = False
    caseless: frozenset[str] = frozenset()  # elements whose name may be in any case
    partial: Mapping[str, frozenset[str]] = field(default_factory=dict)  # what programs look at that skip the rest
    signs: str | None = None  # who says OSSEC's last line, if not the program


def place_of(node: Node) -> Place:
    """Where an element stands."""
    return Place(node.path, node.line)


def read_section(section: Section, node: Node, reading: Reading) -> None:
    """Read one section; mistakes go to the problems, and what is whole to the values."""
    values = reading.gathered(section.name) if section.merged else {}
    reading.places.setdefault(section.name, place_of(node))
    before = reading.problems.refusals
    if node.attributes:
        reading.warn(f"attributes of <{section.name}> are ignored", node)
    looks_at = section.partial.get(reading.program or "")
    given: dict[str, str] = {}
    for child in node.children:
        name = child.name
        if name.lower() in section.caseless:
            name = name.lower()
        if looks_at is not None and name not in looks_at:
            continue
        element = section.elements.get(name)
        if element is None:
            hint = nearest(child.name, section.elements)
            refusal = Refusal(
                f"<{section.name}> has no element '{child.name}'{hint}",
                f"(1230): ERROR: Invalid element in the configuration: '{child.name}'.",
            )
            reading.problems.refuse(refusal, place_of(child), IN_SECTION, section.signs)
            continue
        _read_element(section, element, name, child, values, given, reading)
    if reading.problems.refusals == before:
        try:
            section.finish(reading, values, node)
        except Refusal as refusal:
            reading.problems.refuse(refusal, place_of(node), IN_SECTION, section.signs)


def _read_element(
    section: Section,
    element: Element,
    name: str,
    child: Node,
    values: dict[str, Any],
    given: dict[str, str],
    reading: Reading,
) -> None:
    if child.children:
        reading.warn(f"elements inside <{name}> are ignored", child)
    if element.attributes is not None:
        for key, _ in child.attributes:
            if key not in element.attributes:
                reading.warn(f"<{name}> has no attribute '{key}'; it is ignored", child)
    if element.field and not element.many and given.get(name, child.text) != child.text:
        reading.warn(f"<{name}> is given twice in this section; the last one counts", child)
    given[name] = child.text
    if (entity := _ENTITY.search(child.text)) is not None:
        reading.warn(f"<{name}> has '{entity[0]}', which stands for itself: entities are not decoded", child)
    try:
        value = element.parse(reading, child)
    except Refusal as refusal:
        if element.only and reading.program not in element.only:
            reading.warn(refusal.message, child)
        else:
            reading.problems.refuse(refusal, place_of(child), IN_SECTION, section.signs)
        return
    if element.field is None:
        return
    if element.many:
        values.setdefault(element.field, []).append(value)
    else:
        values[element.field] = value


# --- values ---


def bad_value(node: Node, wanted: str) -> Refusal:
    """The refusal of a value that is not what the element wants."""
    return Refusal(
        f"<{node.name}> wants {wanted}, got {_quoted(node.text)}",
        f"(1235): ERROR: Invalid value for element '{node.name}': {node.text}.",
    )


def _quoted(text: str) -> str:
    if text.strip() != text:
        return f"{text!r} (blanks and line ends count)"
    return f"'{text}'"


def text(reading: Reading, node: Node) -> str:
    """Any text."""
    return node.text


def ignored(reading: Reading, node: Node) -> None:
    """Accepted, without effect."""


def unsupported(reading: Reading, node: Node) -> None:
    """Known to builds of OSSEC with a feature that is not here."""
    reading.warn(f"<{node.name}> has no effect here", node)


def yes_no(reading: Reading, node: Node) -> bool:
    """`yes` or `no`, exactly."""
    if node.text not in ("yes", "no"):
        raise bad_value(node, "yes or no")
    return node.text == "yes"


def quiet_yes_no(reading: Reading, node: Node) -> bool:
    """The same, where OSSEC does not say what is wrong."""
    if node.text not in ("yes", "no"):
        raise Refusal(bad_value(node, "yes or no").message)
    return node.text == "yes"


def is_number(value: str) -> bool:
    """OSSEC's test: digits only, or nothing."""
    return not value or (value.isascii() and value.isdigit())


def natural(value: str) -> int:
    """Digits as a number, nothing as 0; beyond 18 digits only that it is large counts."""
    digits = value.lstrip("0")
    return int(digits or "0") if len(digits) <= 18 else 10**18


def wrapped(number: int) -> int:
    """A number as OSSEC's 32 bits hold it."""
    return (number + 2**31) % 2**32 - 2**31


def leading_integer(value: str) -> int:
    """What C's atoi makes of a text."""
    match = re.match(r"\s*([+-]?[0-9]{1,40})", value)
    return wrapped(int(match[1])) if match else 0


def number(reading: Reading, node: Node) -> int:
    """Digits; nothing counts as 0.  (2**32 divides 10**40, so the last 40 digits wrap as all would.)"""
    if not is_number(node.text):
        raise bad_value(node, "a number")
    return wrapped(int(node.text[-40:] or "0"))


def byte(reading: Reading, node: Node) -> int:
    """A number that OSSEC keeps in 8 bits."""
    value = number(reading, node)
    if value > 255:
        reading.warn(f"<{node.name}> {value} is more than 8 bits hold: it counts as {value % 256}", node)
    return value % 256


def between(low: int, high: int) -> Parse:
    """A number of a range."""

    def parse(reading: Reading, node: Node) -> int:
        if not is_number(node.text) or not low <= natural(node.text) <= high:
            raise bad_value(node, f"a number from {low} to {high}")
        return natural(node.text)

    return parse


def port(reading: Reading, node: Node) -> int:
    """1 to 65535, with OSSEC's odd line for the others."""
    if not is_number(node.text):
        raise bad_value(node, "a port, 1 to 65535")
    value = natural(node.text)
    if not 1 <= value <= 65535:
        raise Refusal(
            f"<{node.name}> wants a port, 1 to 65535, got '{node.text}'",
            f"(1205): INFO: No port specified. Using default: '{node.text or 0}'.",
        )
    return value


def one_of(*known: str, any_case: bool = False) -> Parse:
    """One of some words, exactly or (`any_case`) in any case."""

    def parse(reading: Reading, node: Node) -> str:
        word = node.text.lower() if any_case else node.text
        if word not in known:
            hint = nearest(node.text, known)
            raise bad_value(node, f"{', '.join(known[:-1])} or {known[-1]}{hint} -")
        return word

    return parse


def present(reading: Reading, node: Node) -> bool:
    """On by being there."""
    return True


_ID = re.compile(r"[ ,]*([0-9]{1,9})[^,]*")


def rule_ids(reading: Reading, node: Node) -> tuple[int, ...]:
    """A list of rule ids; what is odd about it draws a warning.

    Blanks before an id and doubled commas are skipped, what follows its digits up to a comma does not count; any other
    character where an id should begin ends the list.
    """
    matches: list[re.Match[str]] = []
    while match := _ID.match(node.text, matches[-1].end() if matches else 0):
        matches.append(match)
    rest = node.text[matches[-1].end() :] if matches else node.text
    odd = [match[0].strip(" ,") for match in matches if not match[0].strip(" ,").isdigit()]
    if rest.strip(" ,"):
        reading.warn(f"<{node.name}> ends at '{rest.strip(' ,')}': only numbers and commas count", node)
    if odd:
        reading.warn(f"<{node.name}>: '{odd[0]}' is taken for its leading number; separate ids by commas", node)
    return tuple(int(match[1]) for match in matches)
