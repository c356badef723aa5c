"""The position file on disk (part of the shell): renewed in place after every batch, replaced when names change."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from ossec.logcollector.positions import Table, decode_table

log = logging.getLogger("ossec.logcollector")

# We are root in a directory that others of the suite may write to: never follow what they might have put there.
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MAX_FILE = 256 * 1024 * 1024  # far above MAX_POSITIONS lines: a wrong file must not fill the memory


class PositionStore:
    """`queue/ossec/.logcollector_pos`.  A disk that refuses is reported once; reading goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table = Table()
        self._descriptor: int | None = None
        self._complained = False

    def load(self) -> dict[bytes, bytes]:
        """What an earlier process saved; empty where there is nothing."""
        try:
            with os.fdopen(os.open(self.path, READ), "rb") as file:
                return decode_table(file.read(MAX_FILE))
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._complain(error)
            return {}

    def replace(self, values: Mapping[bytes, bytes]) -> None:
        """The whole table anew, in one step."""
        self._table = Table(values.items())
        self.close()
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            temporary.unlink(missing_ok=True)
            self._descriptor = os.open(temporary, CREATE, 0o600)
            _write_all(self._descriptor, self._table.whole())
            temporary.rename(self.path)
        except OSError as error:
            self.close()
            temporary.unlink(missing_ok=True)
            self._complain(error)

    def put(self, name: bytes, value: bytes) -> None:
        """Set one value."""
        place, line = self._table.put(name, value)
        if self._descriptor is not None:
            try:
                os.pwrite(self._descriptor, line, place)
            except OSError as error:
                self._complain(error)

    @property
    def values(self) -> Mapping[bytes, bytes]:
        return self._table.values

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("%s: %s. A restart may repeat or miss lines.", self.path, error.strerror)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
