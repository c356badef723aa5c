"""Addresses, lists of them, times and days, against OSSEC's own checkers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ossec.config import addresses, times
from ossec.config.schema import is_number

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "config" / "values.jsonl"
ROWS = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]

OURS = {"!monday": [0, 1, 0, 0, 0, 0, 0, 1], "! monday": [0, 1, 0, 0, 0, 0, 0, 1]}  # documented, refused by OSSEC


def rows(function: str) -> list[dict[str, Any]]:
    found = [row for row in ROWS if row["fn"] == function]
    assert found
    return found


@pytest.mark.parametrize("row", rows("valid_ip"), ids=lambda row: repr(row["in"]))
def test_an_address_is_what_ossec_takes_for_one(row: dict[str, Any]) -> None:
    entry = addresses.parse(row["in"])
    assert addresses.kind_of(row["in"]) == row["ret"]
    assert (entry.prefix if entry else -1) == row["prefix"]


@pytest.mark.parametrize("row", rows("ip_in_list"), ids=lambda row: f"{row['ip']} in {row['list']}")
def test_a_list_holds_what_ossec_says(row: dict[str, Any]) -> None:
    address_list = addresses.AddressList(row["list"])
    assert address_list.contains(row["ip"]) is bool(row["ret"])
    assert (row["ip"].encode() in address_list) is bool(row["ret"])


@pytest.mark.parametrize(
    ("address", "entries", "held"),
    [
        ("10.0.0.5", [], False),
        ("host.name", ["!10.0.0.5"], True),
        ("10.1.2.3", ["10.0.0.1", "10.1.2.3"], True),
        ("10.1.2.4", ["10.0.0.1", "10.1.2.3"], False),
        ("2001:db8::7", ["10.0.0.0/8", "2001:db8::/32"], True),
        ("1.2.3.4.5", ["any"], False),
        ("9" * 100, ["any"], False),
    ],
)
def test_lists_of_several_entries(address: str, entries: list[str], held: bool) -> None:
    assert addresses.AddressList(entries).contains(address) is held


def test_a_name_is_no_entry() -> None:
    with pytest.raises(addresses.BadAddress, match=r"Invalid ip address: '10\.0\.0\.300'\."):
        addresses.AddressList(["10.0.0.300"])


@pytest.mark.parametrize("row", rows("is_num"), ids=lambda row: repr(row["in"]))
def test_a_number_is_digits_or_nothing(row: dict[str, Any]) -> None:
    assert is_number(row["in"]) is bool(row["ret"])


@pytest.mark.parametrize("row", rows("time_range"), ids=lambda row: repr(row["in"]))
def test_a_range_of_times(row: dict[str, Any]) -> None:
    try:
        found: str | None = str(times.parse_range(row["in"]))
    except times.BadTime as error:
        assert error.code == 1240
        found = None
    assert found == row["ret"]


@pytest.mark.parametrize("row", rows("time_unique"), ids=lambda row: repr(row["in"]))
def test_one_time(row: dict[str, Any]) -> None:
    try:
        found: str | None = str(times.parse_time(row["in"]))
    except times.BadTime:
        found = None
    assert found == row["ret"]


@pytest.mark.parametrize("row", rows("on_time"), ids=lambda row: f"{row['now']} in {row['range']}")
def test_on_time(row: dict[str, Any]) -> None:
    hour, minute = row["now"].split(":")
    assert times.parse_range(row["range"]).contains(int(hour), int(minute)) is bool(row["ret"])


@pytest.mark.parametrize("row", rows("day"), ids=lambda row: repr(row["in"]))
def test_days(row: dict[str, Any]) -> None:
    try:
        found: list[int] | None = times.parse_days(row["in"]).flags()
    except times.BadTime as error:
        assert error.code == 1241
        found = None
    assert found == OURS.get(row["in"], row["ret"])


def test_negated_days_are_the_others() -> None:
    days = times.parse_days("!weekends")
    assert [day for day in range(7) if days.contains(day)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("12 am - 1 am", (0, 30), (12, 30)),
        ("12:30 am-1:00 AM", (0, 45), (0, 15)),
        ("11 pm - 12 am", (23, 30), (0, 30)),
        ("12 pm - 1 pm", (12, 30), (0, 30)),
        ("!23:00-1:00", (12, 0), (0, 30)),
        ("! 10 pm - 6 am", (6, 0), (5, 59)),
        ("!9-17", (8, 59), (9, 0)),
    ],
)
def test_a_range_as_meant(text: str, inside: tuple[int, int], outside: tuple[int, int]) -> None:
    found = times.parse_range(text, as_meant=True)
    assert found.contains(*inside)
    assert not found.contains(*outside)
