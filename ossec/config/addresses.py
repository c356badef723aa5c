"""Addresses, networks and lists of them, with OSSEC's meaning (spec/configuration.md, section 6).

An entry is an optional `!`, then `any`, an address as `inet_aton` and `inet_pton` read it (`10.1` is one), or an
address with `/` and up to three characters taken as a number.  In a list the first matching entry decides; when none
matches the answer is the opposite of the last entry's sign, so that a list that ends in `!x` holds everything else.

An IPv4-mapped IPv6 address is the IPv4 address.  Nothing here asks the DNS: a host name is in no list, except by the
rule of the opposite sign.  `AddressList.contains` is called for each event.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from ossec.errors import ConfigError

IPV4, IPV6 = 4, 6
CACHED_SUBJECTS = 8192  # addresses of events come in bursts; an entry costs about 200 bytes

ADDRESS, NETWORK = 1, 2  # what `kind_of` answers, as OSSEC's checker numbers them

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_LEADING_INTEGER = re.compile(r"\s*([+-]?[0-9]+)")
_BITS = {IPV4: 32, IPV6: 128}


class BadAddress(ConfigError):
    """A text that is neither an address nor a network."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid ip address: '{text}'.")
        self.text = text


@dataclass(frozen=True, slots=True)
class Entry:
    """One address or network; `prefix` as written (the full length when there was none), `mask` what to compare."""

    text: str
    family: int
    number: int
    prefix: int
    single: bool
    negated: bool = False

    @property
    def mask(self) -> int:
        bits = _BITS[self.family]
        return ((1 << self.prefix) - 1) << (bits - self.prefix)


def parse(text: str) -> Entry | None:
    """The entry that a text stands for, None when it is none (a host name, a netmask, white space around it)."""
    negated = text.startswith("!")
    body = text[1:] if negated else text
    if body == "any":
        return Entry(text, IPV6, 0, 0, False, negated)
    host, slash, length = body.partition("/")
    address = parse_address(host)
    if address is None or len(length) > 3:
        return None
    family, number = address
    bits = _BITS[family]
    prefix, single = bits, True
    if slash:
        match = _LEADING_INTEGER.match(length)
        given = int(match[1]) if match else 0
        if given > bits:
            return None
        if given >= 0:
            prefix, single = given, False
    return Entry(text, family, number, prefix, single, negated)


def kind_of(text: str) -> int:
    """0: not an address, 1: one address, 2: a network (also `any`)."""
    entry = parse(text)
    if entry is None:
        return 0
    return ADDRESS if entry.single else NETWORK


def parse_address(text: str) -> tuple[int, int] | None:
    """Family and number of an address in any numeric form, mapped ones still IPv6; never asks the DNS."""
    if ":" in text:
        host, percent, zone = text.partition("%")
        if percent and not zone:
            return None
        try:
            return IPV6, int.from_bytes(socket.inet_pton(socket.AF_INET6, host))
        except (OSError, ValueError):
            return None
    return _parse_ipv4(text)


def _parse_ipv4(text: str) -> tuple[int, int] | None:
    """The classic forms: one to four numbers (decimal, octal, hexadecimal), the last of which fills what is left."""
    parts = text.split(".")
    if len(parts) > 4:
        return None
    number = 0
    for index, part in enumerate(parts):
        if len(part) > 16 or not _NUMBER.fullmatch(part):
            return None
        value = int(part, 16 if part[1:2] in ("x", "X") else 8 if part[0] == "0" else 10)
        last = index == len(parts) - 1
        if value >= (1 << (8 * (5 - len(parts))) if last else 256):
            return None
        number = number << (8 * (5 - len(parts)) if last else 8) | value
    return IPV4, number


def _plain(family: int, number: int) -> tuple[int, int]:
    """The IPv4 address of a mapped one."""
    if family == IPV6 and number >> 32 == 0xFFFF:
        return IPV4, number & 0xFFFFFFFF
    return family, number


@lru_cache(CACHED_SUBJECTS)
def _subject(text: str | bytes) -> tuple[int, int] | None:
    """What a list compares of an event's address; its own `!` and prefix do not count."""
    decoded = text.decode("latin-1") if isinstance(text, bytes) else text
    entry = parse(decoded) if len(decoded) <= 64 else None
    return None if entry is None else _plain(entry.family, entry.number)


class AddressList:
    """A list of addresses and networks in order, ready to be asked often."""

    __slots__ = ("_compiled", "_exact", "_otherwise", "entries")

    def __init__(self, entries: Iterable[Entry | str] = ()) -> None:
        """BadAddress when a text is no entry."""
        parsed = []
        for given in entries:
            entry = parse(given) if isinstance(given, str) else given
            if entry is None:
                raise BadAddress(str(given))
            parsed.append(entry)
        self.entries: tuple[Entry, ...] = tuple(parsed)
        self._otherwise = bool(parsed) and parsed[-1].negated
        # (family or 0 for all, mask, network, answer); None in the list of networks when addresses are looked up first
        self._exact: frozenset[tuple[int, int]] = frozenset()
        rows: list[tuple[int, int, int, bool]] = []
        exact: set[tuple[int, int]] = set()
        plain_list = not any(entry.negated for entry in parsed)
        for entry in parsed:
            if entry.prefix == 0:
                rows.append((0, 0, 0, not entry.negated))
                continue
            family, number, mask = entry.family, entry.number, entry.mask
            if entry.prefix == 128:
                family, number = _plain(family, number)
                mask = (1 << _BITS[family]) - 1
            elif family == IPV6 and number >> 32 == 0xFFFF and entry.prefix <= _BITS[IPV4]:
                # a mapped network is an IPv4 network, its prefix as written (vectors: ::ffff:12.0.0.0/8 holds 12.1.1.1)
                family, number = _plain(family, number)
                mask = Entry("", IPV4, number, entry.prefix, False).mask
            if plain_list and entry.prefix == _BITS[entry.family]:
                exact.add((family, number))
            else:
                rows.append((family, mask, number & mask, not entry.negated))
        self._exact = frozenset(exact)
        self._compiled = tuple(rows)

    def contains(self, address: str | bytes) -> bool:
        """Whether an event's address is in the list (a text that is no address: by the last entry's sign alone)."""
        subject = _subject(address)
        if subject is None:
            return self._otherwise
        if subject in self._exact:
            return True
        family, number = subject
        for entry_family, mask, network, answer in self._compiled:
            if (entry_family == family or entry_family == 0) and number & mask == network:
                return answer
        return self._otherwise

    __contains__ = contains

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressList) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"AddressList({[entry.text for entry in self.entries]!r})"
