"""Any line of alerts.json is an object or is refused."""

from __future__ import annotations

from contextlib import suppress

from ossec.messages import alert_json


def fuzz_alert_json(data: bytes) -> None:
    """`parse` raises BadAlertJson only; `text` makes text that UTF-8 can carry."""
    with suppress(alert_json.BadAlertJson):
        alert_json.parse(data)
    alert_json.text(data).encode("utf-8")
