"""repeated_offenders: who comes back is blocked for longer (spec/active-response.md, section 4)."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from ossec.execd.journal import Key, Offender, Record

MAX_OFFENDERS = 65_536  # remembered offenders; the one not seen for longest is forgotten
FORGOTTEN = -1  # the count in the journal of one who is no offender any more


class Offenders:
    """Counts per key.  Without a ladder nobody is counted."""

    def __init__(self, ladder: Sequence[int]) -> None:
        self.set_ladder(ladder)
        self._counts: OrderedDict[Key, int] = OrderedDict()

    def set_ladder(self, ladder: Sequence[int]) -> None:
        """Minutes for the second block, the third, …; it ends at the first 0, and its last step lasts."""
        self._ladder = tuple(itertools.takewhile(lambda minutes: minutes > 0, ladder))

    def resume(self, offenders: Iterable[Offender]) -> None:
        """Take over those of the journal, the one seen last at the end."""
        self._counts.update((offender.key, offender.count) for offender in offenders)

    def climb(self, key: Key, length: float, records: list[Record], now: float) -> float:
        """Count an offence and add what to journal; how many seconds it blocks, `length` the first time."""
        if not self._ladder:
            return length
        count = self._counts.pop(key, -1) + 1
        self._counts[key] = count
        records.append(Offender(key, count, now))
        if len(self._counts) > MAX_OFFENDERS:
            oldest, _ = self._counts.popitem(last=False)
            records.append(Offender(oldest, FORGOTTEN, now))
        if count == 0:
            return length
        return 60.0 * self._ladder[min(count, len(self._ladder)) - 1]

    def forget(self, key: Key, records: list[Record], now: float) -> None:
        """An operator has lifted the block: it was a mistake."""
        if self._counts.pop(key, None) is not None:
            records.append(Offender(key, FORGOTTEN, now))
