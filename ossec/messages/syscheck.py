"""What syscheckd says of a file: `SUM PATH[\\nDIFF]` on queue 8, location `syscheck` (spec/syscheck.md, 4).

SUM is `SIZE:MODE:UID:GID:MD5:SHA1:SHA256`: decimal numbers (0: not compared), hashes in lower-case hex (`xxx`: not
compared, or not to be had), or `-1` for a file that is gone.  A control byte in a name goes as `\\ooo`, so that a name
cannot forge a diff; a name that would not fit is replaced by its beginning and its hash.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from ossec.errors import RemoteError
from ossec.messages import queue

LOCATION = b"syscheck"
GONE = b"-1"
NOT_KNOWN = b"xxx"
COMPLETED = b"syscheck-db-completed"
MAX_TEXT = queue.MAX_TEXT - len(b"8:syscheck:")  # what one datagram leaves for SUM, PATH and DIFF
KEPT_OF_NAME = 200  # bytes of a name that does not fit, before `...` and its SHA-256

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class FileMessage(NamedTuple):
    """`path` as it is shown: with `\\ooo` for control bytes; `diff` is b"" where there is none."""

    sums: bytes
    path: bytes
    diff: bytes = b""


class BadFileMessage(RemoteError):
    """A text without a blank."""


def show_path(path: bytes) -> bytes:
    """A name with its control bytes as `\\ooo`."""
    return _CONTROL.sub(lambda match: b"\\%03o" % match.group()[0], path)


def encode(message: FileMessage) -> bytes:
    """The text of a message, at most MAX_TEXT; the diff gives way first."""
    path = show_path(message.path)
    if len(message.sums) + 1 + len(path) > MAX_TEXT:
        path = path[:KEPT_OF_NAME] + b"..." + hashlib.sha256(message.path).hexdigest().encode()
    text = message.sums + b" " + path
    if message.diff:
        text += b"\n" + message.diff
    return text[:MAX_TEXT]


def decode(text: bytes) -> FileMessage:
    """The parts of a text; BadFileMessage when it has none."""
    sums, space, rest = text.partition(b" ")
    if not space:
        raise BadFileMessage(f"no file name: {text[:80]!r}")
    path, _, diff = rest.partition(b"\n")
    return FileMessage(sums, path, diff)
