"""What a response is about, told to a script besides its arguments: environment and JSON (spec "better", 12).

A location with a blank makes two words and a file name may make several, so the place of an argument says little.
Here every field has a name, and a file name is as it is on the disk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ossec.execd.effects import Run

VERSION = 1
PREFIX = "OSSEC_AR_"
NOTHING = ("", "-", "(null)")

_ESCAPED = re.compile(rb"\\([\\\"'`\s;><|#*\[\]{}&$!:()])")  # what analysisd escapes in file names
_END_OF_ESCAPE = re.compile(rb"(?<!\\)(\\\\)*\\\Z")


def fields_of(run: Run, home: bytes) -> dict[str, str]:
    """The fields by name, as text (surrogateescape), `""` for what the message does not have.

    `name` of the response, `action`, `user`, `ip`, `alert_id`, `rule_id`, `location`, `filename`, `timeout` in seconds,
    `expires` in seconds since the epoch, `block` (the journal's number), `home`.
    """
    user, address, *rest = run.words
    location, filename = split_place(rest[2:])
    values = {
        "version": b"%d" % VERSION,
        "home": home,
        "name": run.name,
        "action": run.action,
        "user": user,
        "ip": address,
        "alert_id": rest[0] if rest else b"",
        "rule_id": rest[1] if len(rest) > 1 else b"",
        "location": location,
        "filename": filename,
        "timeout": b"%d" % run.timeout,
        "expires": b"%.3f" % run.expires if run.timeout else b"",
        "block": b"%d" % run.block if run.block else b"",
    }
    texts = {key: value.decode("utf-8", "surrogateescape") for key, value in values.items()}
    return {key: "" if text in NOTHING else text for key, text in texts.items()}


def split_place(words: Sequence[bytes]) -> tuple[bytes, bytes]:
    """(location, file name) from the words behind the rule: the file name is the last word and what its escaped blanks
    tie to it."""
    if len(words) < 2:
        return b" ".join(words), b""
    start = len(words) - 1
    while start > 1 and _END_OF_ESCAPE.search(words[start - 1]):
        start -= 1
    return b" ".join(words[:start]), _ESCAPED.sub(rb"\1", b" ".join(words[start:]))


def environment(fields: dict[str, str]) -> dict[bytes, bytes]:
    """`OSSEC_AR_USER` and so on."""
    return {(PREFIX + key.upper()).encode(): value.encode("utf-8", "surrogateescape") for key, value in fields.items()}


def encode(fields: dict[str, str], argv: Sequence[bytes]) -> bytes:
    """One line of JSON for standard input: the fields that are there, numbers as numbers, and the arguments.

    Bytes that are no UTF-8 stand as U+DC80 to U+DCFF (Python's surrogateescape).
    """
    value: dict[str, object] = {key: text for key, text in fields.items() if text}
    for key in ("version", "timeout", "block"):
        if key in value:
            value[key] = int(fields[key])
    if "expires" in value:
        value["expires"] = float(fields["expires"])
    value["arguments"] = [word.decode("utf-8", "surrogateescape") for word in argv[1:]]
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
