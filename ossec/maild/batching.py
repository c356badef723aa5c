"""Which alerts go together into one mail, when, and to whom (spec/outputs.md, 4.3 and 4.4).

Theory of operation.  A tick comes every 5 seconds, as OSSEC polls.  Alerts that came since the last tick join what is
pending at the next; two ticks without a further one, or twelve after the first, and what is pending is one mail.  An
alert for a recipient with do_not_delay sends what is pending at once; one with do_not_group goes alone, at once.

When `per_hour` mails have been made in this clock hour, alerts wait; 96 are kept, of older ones the number by rule.
They go as one mail when the hour changes.

Who is in `<global>` gets every mail.  A recipient of `<email_alerts>` gets the alerts that match: in the same mail if
all of it matches, else in one of its own.  OSSEC gives everybody the whole batch (`share`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ossec.alertstream.records import Record
from ossec.maild.settings import Extra, Settings

TICK = 5.0  # seconds; OSSEC's poll
QUIET = 2  # ticks without another alert, then a batch goes
LONGEST = 12  # ticks after which it goes though more come: a minute
MAX_BATCH = 96  # alerts in one mail, as in OSSEC
MAX_LEFT_OUT = 100  # rules whose alerts are counted while they cannot be kept; more count as one
OTHER_RULES = 0


class Item(NamedTuple):
    """An alert that waits, and its text, by which it is kept over a restart."""

    record: Record
    raw: bytes


class LeftOut(NamedTuple):
    """Alerts of one rule that a mail could not hold."""

    rule: int
    comment: str
    number: int


class Draft(NamedTuple):
    """A mail to write."""

    recipients: tuple[str, ...]
    records: tuple[Record, ...]
    sms: bool = False
    left_out: tuple[LeftOut, ...] = ()


@dataclass(slots=True)
class Waiting:
    """What outlives a restart."""

    items: list[Item] = field(default_factory=list)
    hour: str = ""  # the clock hour that `made` belongs to
    made: int = 0  # batches in it
    held: bool = False  # alerts had to wait for the next hour
    left_out: dict[int, tuple[str, int]] = field(default_factory=dict)  # rule -> description, number


class Batcher:
    """`add` alerts and `tick`; both return what to send."""

    def __init__(self, settings: Settings, waiting: Waiting | None = None) -> None:
        self.settings = settings
        self.waiting = waiting or Waiting()
        self.left_out = 0  # alerts that could not be kept, ever
        self._fresh = 0  # of the items, how many came since the last tick
        self._quiet = 0
        self._age = 0

    @property
    def may_send(self) -> bool:
        return self.waiting.made < self.settings.per_hour

    def add(self, item: Item) -> list[Draft]:
        """An alert of the stream; one without the mail flag is none of ours."""
        if not item.record.mail:
            return []
        waiting = self.waiting
        if not self.may_send:
            self._hold(item)
            return []
        urgency = self._urgency(item.record)
        if not self.settings.grouping or (urgency is not None and urgency.alone):
            waiting.made += 1
            return self._address([item.record])
        waiting.items.append(item)
        self._fresh += 1
        if urgency is not None or len(waiting.items) >= MAX_BATCH:
            return self.flush()
        return []

    def tick(self, hour: str) -> list[Draft]:
        """Every TICK seconds; `hour` names the clock hour."""
        waiting = self.waiting
        if hour != waiting.hour:
            waiting.hour = hour
            waiting.made = 0
        if not self.may_send:
            return []
        if waiting.held:
            return self.flush()
        self._quiet += 1
        self._age += 1
        older = len(waiting.items) - self._fresh
        drafts: list[Draft] = []
        if older and (self._quiet >= QUIET or self._age >= LONGEST):
            drafts = self._send(older)
        if self._fresh:
            if not older or drafts:
                self._age = 0
            self._fresh = 0
            self._quiet = 0
        return drafts

    def flush(self) -> list[Draft]:
        """All that waits, now, as far as the hour's number allows."""
        return self._send(len(self.waiting.items)) if self.waiting.items and self.may_send else []

    def _send(self, count: int) -> list[Draft]:
        waiting = self.waiting
        records = [item.record for item in waiting.items[:count]]
        del waiting.items[:count]
        self._fresh = min(self._fresh, len(waiting.items))
        waiting.made += 1
        waiting.held = False
        left_out = tuple(LeftOut(rule, *values) for rule, values in waiting.left_out.items())
        waiting.left_out = {}
        return self._address(records, left_out)

    def _hold(self, item: Item) -> None:
        waiting = self.waiting
        waiting.held = True
        waiting.items.append(item)
        self._fresh = 0
        if len(waiting.items) > MAX_BATCH:
            record = waiting.items.pop(0).record
            rule = record.rule
            if rule not in waiting.left_out and len(waiting.left_out) >= MAX_LEFT_OUT:
                rule = OTHER_RULES
            comment = "other rules" if rule == OTHER_RULES else (record.comment or b"").decode("utf-8", "replace")
            waiting.left_out[rule] = comment, waiting.left_out.get(rule, (comment, 0))[1] + 1
            self.left_out += 1

    def _urgency(self, record: Record) -> Extra | None:
        """The last matching block that asks for haste."""
        found = None
        for extra in self.settings.extras:
            if (extra.now or extra.alone) and self._gets(extra, record):
                found = extra
        return found

    @staticmethod
    def _gets(extra: Extra, record: Record) -> bool:
        return not extra.filter.empty and extra.filter.wants(record)

    def _address(self, records: list[Record], left_out: tuple[LeftOut, ...] = ()) -> list[Draft]:
        """One mail for those who get everything, one for each other selection."""
        settings = self.settings
        everybody = dict.fromkeys(settings.recipients)
        chosen: dict[tuple[bool, tuple[int, ...]], dict[str, None]] = {}
        for extra in settings.extras:
            indexes = tuple(index for index, record in enumerate(records) if self._gets(extra, record))
            if not indexes or (extra.address in everybody and not extra.sms):
                continue
            if settings.recipients and not extra.sms and (settings.share or len(indexes) == len(records)):
                everybody[extra.address] = None
            else:
                chosen.setdefault((extra.sms, indexes), {})[extra.address] = None
        drafts = [Draft(tuple(everybody), tuple(records), False, left_out)] if everybody else []
        for (sms, indexes), addresses in _merge(chosen).items():
            drafts.append(Draft(tuple(addresses), tuple(records[index] for index in indexes), sms))
        return drafts


def _merge(
    chosen: dict[tuple[bool, tuple[int, ...]], dict[str, None]],
) -> dict[tuple[bool, tuple[int, ...]], dict[str, None]]:
    """A recipient of several blocks gets what any of them chose, once."""
    wanted: dict[tuple[bool, str], set[int]] = {}
    for (sms, indexes), addresses in chosen.items():
        for address in addresses:
            wanted.setdefault((sms, address), set()).update(indexes)
    merged: dict[tuple[bool, tuple[int, ...]], dict[str, None]] = {}
    for (sms, address), numbers in wanted.items():
        merged.setdefault((sms, tuple(sorted(numbers))), {})[address] = None
    return merged
