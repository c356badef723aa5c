"""What ossec-authd and agent-auth say to each other inside TLS (spec/protocol.md, section 10).

    request  OSSEC PASS: PASSWORD OSSEC A:'NAME' LF      without a password  OSSEC A:'NAME' LF
    key      OSSEC K:'ID NAME IP KEY' LF LF
    errors   ERROR: TEXT LF LF, closed by               ERROR: Unable to add agent. LF LF

What follows the name's closing quote does not count (Wazuh's agents write more there); the line end may be missing.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

from ossec.errors import RemoteError

MAX_REQUEST = 4096  # bytes; OSSEC reads no more
MAX_REPLY = 4096
PASS_HEAD = b"OSSEC PASS: "
NAME_HEAD = b"OSSEC A:'"
KEY_HEAD = b"OSSEC K:'"
ERROR_HEAD = b"ERROR: "
END = b"\n\n"
LAST_ERROR = b"ERROR: Unable to add agent."

_COMPLETE = re.compile(rb"OSSEC A:'[^'\n]*'")


class BadPassword(RemoteError):
    """The password is missing or wrong."""


class BadRequest(RemoteError):
    """Not the grammar above."""


class BadReply(RemoteError):
    """Neither a key nor an error."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered: a key line, or reasons why there is none."""

    key: str | None
    errors: tuple[str, ...] = ()


def is_complete(data: bytes) -> bool:
    """Whether a request need not wait for more bytes."""
    return b"\n" in data or len(data) >= MAX_REQUEST or _COMPLETE.search(data) is not None


def encode_request(name: str, password: str | None) -> bytes:
    """What an agent asks; a quote or line end in the name would end it, so it is the caller's to refuse."""
    head = b"" if password is None else PASS_HEAD + password.encode("utf-8", "surrogateescape") + b" "
    return head + NAME_HEAD + name.encode("utf-8", "surrogateescape") + b"'\n"


def decode_request(data: bytes, password: str | None) -> str:
    """The name that is asked for; BadPassword, BadRequest.

    `password` None: none is wanted, and a request with one is refused, as OSSEC does.  The comparison takes the same
    time wherever the first difference is.
    """
    rest = data
    if password is not None:
        wanted = password.encode("utf-8", "surrogateescape")
        given = data[len(PASS_HEAD) :]
        right = hmac.compare_digest(given[: len(wanted)], wanted)
        if not (data.startswith(PASS_HEAD) and right and given[len(wanted) : len(wanted) + 1] == b" "):
            raise BadPassword("the password is missing or wrong")
        rest = given[len(wanted) + 1 :]
    if not rest.startswith(NAME_HEAD):
        raise BadRequest(f"no {NAME_HEAD.decode()}NAME'")
    name, quote, _ = rest[len(NAME_HEAD) :].partition(b"\n")[0].partition(b"'")
    if not quote:
        raise BadRequest("the name has no closing quote")
    return name.decode("utf-8", "surrogateescape")


def encode_key(line: str) -> bytes:
    """The success; `line` is that of client.keys."""
    return KEY_HEAD + line.encode("utf-8", "surrogateescape") + b"'" + END


def encode_errors(*texts: str) -> bytes:
    """The failure with its reasons; line ends in them become blanks."""
    lines = [ERROR_HEAD + text.replace("\n", " ").encode("utf-8", "surrogateescape") + END for text in texts]
    return b"".join(lines) + LAST_ERROR + END


def decode_reply(data: bytes) -> Reply:
    """What a server said until it closed; BadReply."""
    errors: list[str] = []
    for line in data.split(b"\n"):
        if line.startswith(KEY_HEAD) and line.endswith(b"'"):
            return Reply(line[len(KEY_HEAD) : -1].decode("utf-8", "surrogateescape"), tuple(errors))
        if line.startswith(ERROR_HEAD):
            errors.append(line[len(ERROR_HEAD) :].decode("utf-8", "surrogateescape"))
    if not errors:
        raise BadReply(f"neither a key nor an error: {data[:60]!r}")
    return Reply(None, tuple(errors))
