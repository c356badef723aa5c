"""Where an address is: a MaxMind database, asked for each address of an event (spec/analysis.md, 12.1 and 12.4).

The answer is `CC / Region` (`US / CA`), `CC` where the database knows no region, `-` for an address that it does not
know.  The database is copied into memory when it is opened, for whoever writes over a mapped file kills its readers;
the answers of late addresses are kept.  `refresh`, called about once a second, opens a database that has changed.
"""

from __future__ import annotations

import logging
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ossec.analysisd.event import Event

log = logging.getLogger("ossec.analysisd")

UNKNOWN = b"-"
MAX_KEPT = 8192  # addresses whose answer is kept; 200 bytes each
MAX_PART = 64  # bytes of a country or region
MAX_DATABASE = 1 << 30  # bytes; a database of the world's cities has some 60 MB


class GeoIP:
    """An open database.  `find` is what the engine's events are given."""

    def __init__(self, path: Path) -> None:
        """OSError or ValueError when it cannot be used."""
        self.path = path
        self._mark = _mark(path)
        self._told = False  # that the file cannot be used; once, for a slow download changes it every second
        self._reader = _open(path)
        self.find = lru_cache(MAX_KEPT)(self._find)

    def locate(self, event: Event) -> None:
        """Set `srcgeoip` and `dstgeoip` of a decoded event."""
        if event.srcip is not None:
            event.srcgeoip = self.find(event.srcip)
        if event.dstip is not None:
            event.dstgeoip = self.find(event.dstip)

    def refresh(self) -> None:
        """Use the database that has taken the place of the old one; one that cannot be used changes nothing."""
        mark = _mark(self.path)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            reader = _open(self.path)
        except (OSError, ValueError) as error:
            if not self._told:
                text = "The geoip database %s has changed and cannot be used, the old one stays: %s"
                log.warning(text, self.path, error)
            self._told = True
            return
        self._told = False
        self._reader.close()
        self._reader = reader
        self.find.cache_clear()
        log.info("The geoip database %s has changed and was read again.", self.path)

    def _find(self, address: bytes) -> bytes:
        try:
            known = self._reader.get(address.decode("ascii"))
        except Exception as error:  # no address, or a database that is broken at that place: both are "not known"
            log.debug("No place for %r: %s", address, error)
            return UNKNOWN
        return describe(known)

    def close(self) -> None:
        self._reader.close()


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _open(path: Path) -> Any:
    """A reader on a copy of the file; OSError, ValueError."""
    import maxminddb

    with path.open("rb") as file, os.fdopen(os.memfd_create("geoip", os.MFD_CLOEXEC), "w+b") as copy:
        if os.fstat(file.fileno()).st_size > MAX_DATABASE:
            raise ValueError(f"it is larger than {MAX_DATABASE} bytes")
        shutil.copyfileobj(file, copy, 1 << 20)
        copy.flush()
        try:
            return maxminddb.open_database(f"/proc/self/fd/{copy.fileno()}")
        except maxminddb.InvalidDatabaseError:
            raise ValueError("it is no MaxMind database") from None


def describe(known: object) -> bytes:
    """A database's record in words."""
    country = _code(_get(known, "country")) or _code(_get(known, "registered_country"))
    if not country:
        return UNKNOWN
    regions = _get(known, "subdivisions")
    region = _code(regions[0]) if isinstance(regions, list) and regions else ""
    text = f"{country} / {region}" if region else country
    return text.replace("\n", " ").encode("utf-8", "replace")


def _get(known: object, key: str) -> object:
    return known.get(key) if isinstance(known, dict) else None


def _code(known: object) -> str:
    code = _get(known, "iso_code")
    return code[:MAX_PART] if isinstance(code, str) else ""


def open_database(path: Path | None) -> GeoIP | None:
    """The database of the configuration; None, and a line in the log, when it cannot be used."""
    if path is None:
        return None
    try:
        return GeoIP(path)
    except (OSError, ValueError, ImportError) as error:
        log.error("The geoip database %s cannot be used, alerts go without: %s", path, error)
        return None
