"""Any bytes in alerts.log are alerts or are skipped."""

from __future__ import annotations

from contextlib import suppress

from ossec.messages import alert as alerts


def fuzz_alert(data: bytes) -> None:
    """`parse` raises BadAlert only; a reader fed in two pieces raises nothing."""
    with suppress(alerts.BadAlert):
        alerts.parse(data)
    header = b"** Alert 1.2: mail  - a,b\n2023 Nov 14 22:13:23 x->y\nRule: 1 (level 2) -> 'c'\n"
    with suppress(alerts.BadAlert):
        alerts.parse(header + data)
    reader = alerts.AlertReader()
    reader.feed(data[: len(data) // 2])
    reader.feed(data[len(data) // 2 :] + header + data)
