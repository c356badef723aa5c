"""Any bytes make internal options, good or bad."""

from __future__ import annotations

from pathlib import Path

from ossec.config.internal import OPTIONS, InternalOptions, InvalidOption, parse


def fuzz_internal_options(data: bytes) -> None:
    """Read the bytes and ask for every option."""
    definitions, notices = parse(data, Path("fuzz.conf"))
    options = InternalOptions(definitions, "fuzz", tuple(notices))
    for name, option in OPTIONS.items():
        try:
            assert option.lowest <= options.get(name) <= option.highest
        except InvalidOption:
            continue
