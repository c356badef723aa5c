"""Writes a small MaxMind database of IPv4 networks, enough for tests."""

from __future__ import annotations

import ipaddress
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = bytes(16)


def encode(networks: dict[str, dict[str, Any]]) -> bytes:
    """The database of networks (`10.0.0.0/8`, not one inside another) and their records."""
    nodes: list[list[tuple[str, int]]] = [[("none", 0), ("none", 0)]]
    data = b""
    for text, record in networks.items():
        network = ipaddress.IPv4Network(text)
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        place = 0
        for bit in bits[:-1]:
            kind, target = nodes[place][int(bit)]
            if kind != "node":
                target = len(nodes)
                nodes[place][int(bit)] = ("node", target)
                nodes.append([("none", 0), ("none", 0)])
            place = target
        nodes[place][int(bits[-1])] = ("data", len(data))
        data += _value(record)
    size = len(nodes)
    numbers = {"none": lambda _: size, "node": lambda target: target, "data": lambda at: at + size + len(SEPARATOR)}
    tree = b"".join(numbers[kind](target).to_bytes(3) for node in nodes for kind, target in node)
    metadata = {
        "node_count": size,
        "record_size": 24,
        "ip_version": 4,
        "database_type": "Test-City",
        "languages": [],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1700000000,
        "description": {},
    }
    return tree + SEPARATOR + data + MARKER + _value(metadata)


# types of numbers: 5 is 16 bits, 6 is 32, 9 (an extended one) is 64
KINDS = {"node_count": 6, "build_epoch": 9}


def _value(value: Any, kind: int = 5) -> bytes:
    if isinstance(value, str):
        return bytes([0b010_00000 | len(value)]) + value.encode()  # up to 28 bytes
    if isinstance(value, int):
        digits = value.to_bytes((value.bit_length() + 7) // 8)
        return (bytes([len(digits), 2]) if kind == 9 else bytes([kind << 5 | len(digits)])) + digits
    if isinstance(value, list):
        return bytes([len(value), 4]) + b"".join(map(_value, value))
    pairs = (_value(key) + _value(inner, KINDS.get(key, 5)) for key, inner in value.items())
    return bytes([0b111_00000 | len(value)]) + b"".join(pairs)
