"""Any bytes are an ar.conf, with lines or without."""

from __future__ import annotations

from ossec.config import ar_conf


def fuzz_ar_conf(data: bytes) -> None:
    """Read the bytes as execd does."""
    for line in ar_conf.parse(data):
        if line is not None:
            assert len(line.name) <= ar_conf.MAX_NAME
            assert -(2**31) <= line.timeout < 2**31
