"""The position file on disk (part of the shell): renewed in place after every batch, replaced when names change."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from ossec.daemon.process import write_atomically
from ossec.logcollector.positions import Table, decode_table

log = logging.getLogger("ossec.logcollector")

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
            with self.path.open("rb") as file:
                return decode_table(file.read(MAX_FILE))
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._complain(error)
            return {}

    def replace(self, values: Mapping[bytes, bytes]) -> None:
        """The whole table anew, in one step."""
        self._table = Table(values.items())
        try:
            write_atomically(self.path, self._table.whole(), 0o600)
            self.close()
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            self.close()
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
