"""Any text is an address, a time, a list of days - or refused."""

from __future__ import annotations

from ossec.config import addresses, times
from ossec.config.sections.analysis import parse_expect, parse_location, parse_offenders


def fuzz_values(data: bytes) -> None:
    """Give the bytes to every checker of values."""
    text = data.decode("utf-8", "surrogateescape")
    entry = addresses.parse(text)
    assert (entry is None) == (addresses.kind_of(text) == 0)
    addresses.AddressList(["10.0.0.0/8", "!::1"]).contains(data)
    for parse in (times.parse_range, times.parse_time, times.parse_days):
        try:
            parse(text)
        except times.BadTime as error:
            assert error.code in (1240, 1241)
    parse_expect(text)
    parse_location(text)
    assert len(parse_offenders(text)) <= 5
