"""Where an address is: a MaxMind database, asked for each address of an event (spec/analysis.md, 12.1 and 12.4).

The answer is `CC / Region` (`US / CA`), `CC` where the database knows no region, `-` for an address that it does not
know.  The file is mapped into memory, and the answers of late addresses are kept.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

log = logging.getLogger("ossec.analysisd")

UNKNOWN = b"-"
MAX_KEPT = 8192  # addresses whose answer is kept; 200 bytes each
MAX_PART = 64  # bytes of a country or region


class GeoIP:
    """An open database.  `find` is what the engine's events are given."""

    def __init__(self, path: Path) -> None:
        """OSError or ValueError when it cannot be used."""
        import maxminddb

        try:
            self._reader: Any = maxminddb.open_database(str(path))
        except maxminddb.InvalidDatabaseError as error:
            raise ValueError(str(error)) from error
        self.find = lru_cache(MAX_KEPT)(self._find)

    def _find(self, address: bytes) -> bytes:
        try:
            known = self._reader.get(address.decode("ascii"))
        except Exception as error:  # no address, or a database that is broken at that place: both are "not known"
            log.debug("No place for %r: %s", address, error)
            return UNKNOWN
        return describe(known)

    def close(self) -> None:
        self._reader.close()


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
