"""The families of errors that choose a handler.

`ConfigError`: stop (or keep what is in force) and say where.  `RemoteError`: the peer's fault: drop, count, carry on.
`OSError` is the machine's.  Anything else is our own bug and reaches the top, where the daemon logs it once.
"""

from __future__ import annotations

from pathlib import Path


class OssecError(Exception):
    """Base of every error that this suite raises on purpose."""


class ConfigError(OssecError):
    """Something an administrator wrote cannot be used.

    `path` and `line` say where (line 0: the file as a whole); `str()` gives `path:line: message`.
    """

    def __init__(self, message: str, path: Path | str | None = None, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line

    def __str__(self) -> str:
        if self.path is None:
            return self.message
        if self.line:
            return f"{self.path}:{self.line}: {self.message}"
        return f"{self.path}: {self.message}"


class RemoteError(OssecError):
    """A message from outside does not follow its format: drop it, count it, carry on."""
