"""Fields carried from one event to the next of a transaction (`<accumulate/>`; spec/analysis.md, section 7.5)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ossec.analysisd.event import Event

FIELDS = ("dstuser", "srcuser", "dstip", "srcip", "dstport", "srcport", "data")
MAX_VALUE = 80  # characters kept of each
EXPIRE = 120  # seconds after the last event
MAX_ENTRIES = 8192  # transactions under way, about 1 KB each; the one that was silent longest goes


class Accumulator:
    """What is known of each (host, decoder, id)."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[bytes, str, bytes], tuple[float, dict[str, bytes]]] = OrderedDict()

    def fill(self, event: Event) -> bool:
        """Fill missing and empty fields from earlier events, and note this one's; whether the event takes part."""
        decoder = event.decoder
        if decoder is None or not decoder.accumulate or event.id is None:
            return False
        key = (event.hostname, decoder.name, event.id)
        last, known = self._entries.pop(key, (event.time, {}))
        if event.time - last > EXPIRE:
            known = {}
        for name in FIELDS:
            value = getattr(event, name)
            if value:
                known[name] = value[:MAX_VALUE]
            elif name in known:
                setattr(event, name, known[name])
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.popitem(last=False)
        self._entries[key] = (event.time, known)
        return True
