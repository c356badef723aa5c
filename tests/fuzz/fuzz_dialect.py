"""Any bytes end in a tree or in DialectError, and the tree comes from well-formed XML."""

from __future__ import annotations

from ossec.config import dialect


def fuzz_dialect(data: bytes) -> None:
    """Read the bytes with and without variables."""
    for variables in (False, True):
        try:
            roots = dialect.parse(data, "fuzz.xml", variables=variables)
        except dialect.DialectError:
            continue
        nodes = list(roots)
        while nodes:
            node = nodes.pop()
            node.name.encode("utf-8", "surrogateescape")
            node.text.encode("utf-8", "surrogateescape")
            assert 1 <= node.line <= 1 + data.count(b"\n")
            nodes += node.children
