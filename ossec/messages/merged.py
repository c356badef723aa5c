"""merged.mg: the shared files of a server in one, `!SIZE NAME`⏎ and SIZE bytes each (spec/protocol.md, section 6).

`parse(format(files))` gives the files back.  `safe_name` is what a name may become on an agent's disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

CHUNK = 900  # bytes of a file in one datagram: what fits into an agent's 1,024 after sealing, whatever they are
DIRECTORY = b"9223372036854775807"  # the size by which a server of OSSEC heads a subdirectory; no content follows
_HEAD = re.compile(rb"!\s*(\d{0,19})[^ \n]* ?([^\n]*)\n?")


def format_merged(files: Iterable[tuple[str, bytes]]) -> bytes:
    """The merge of (name, content); a name must have no line end."""
    return b"".join(b"!%d %s\n%s" % (len(content), _bytes(name), content) for name, content in files)


def parse_merged(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name as written, content) of each file.  Lines that are no head are skipped; a cut content is what is left."""
    position = 0
    while position < len(data):
        end = data.find(b"\n", position)
        if end < 0:
            return
        line = data[position : end + 1]
        position = end + 1
        match = _HEAD.match(line)
        if match is None or not match[2] or match[1] == DIRECTORY or line.startswith(b"!-"):
            continue
        size = int(match[1] or 0)
        yield match[2].decode("utf-8", "surrogateescape"), data[position : position + size]
        position += size


def safe_name(name: str) -> str | None:
    """The file that a shared file may become; None for what would leave the directory, hide or break a line."""
    if not name or name in {".", ".."} or name.startswith(".") or any(c in name for c in "/\\\r\n\0"):
        return None
    return name


def chunks(content: bytes) -> list[bytes]:
    """The pieces to send, in order.  None begins like a control message, which would end the transfer."""
    pieces = []
    position = 0
    while position < len(content):
        end = min(position + CHUNK, len(content))
        while end < len(content) and content.startswith(b"#!-", end) and end > position + 1:
            end -= 1
        pieces.append(content[position:end])
        position = end
    return pieces


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
