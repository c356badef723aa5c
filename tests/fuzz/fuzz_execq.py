"""Any datagram on the response queues is read or refused."""

from __future__ import annotations

from contextlib import suppress

from ossec.messages import execq


def fuzz_execq(data: bytes) -> None:
    """`decode` and `decode_order` raise BadResponse only, and what `decode_order` reads it can write again."""
    with suppress(execq.BadResponse):
        execq.decode(data)
    with suppress(execq.BadResponse):
        order = execq.decode_order(data[: execq.MAX_SENT])
        assert execq.decode_order(execq.encode_order(order)) == order
