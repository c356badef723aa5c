"""What an agent must know to enrol: `etc/authd.pass`, or a random password for this run."""

from __future__ import annotations

import secrets
from pathlib import Path

from ossec.errors import ConfigError

RANDOM_BYTES = 16  # 32 hex digits, OSSEC's length
MAX_FILE = 4096


def parse(data: bytes, path: Path | str) -> str:
    """The first line without its line end, be it LF, CRLF or none; ConfigError when there is nothing in it.

    OSSEC takes the last character of the line whatever it is, and an empty password switches the check off.
    """
    password = data[:MAX_FILE].split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8", "surrogateescape")
    if not password:
        raise ConfigError("holds no password. Write one, remove the file for a random one, or use -n for none", path)
    return password


def read(path: Path) -> str | None:
    """The password in a file, None where there is no file; ConfigError, OSError."""
    try:
        with path.open("rb") as file:
            return parse(file.read(MAX_FILE), path)
    except FileNotFoundError:
        return None


def make() -> str:
    return secrets.token_hex(RANDOM_BYTES)
