"""Any bytes are a journal: what can be read is, what cannot is counted."""

from __future__ import annotations

import zlib

from ossec.execd import journal


def fuzz_execd_journal(data: bytes) -> None:
    """`decode` raises BadRecord only; `replay` nothing; what it read can be written and read again."""
    for line in (data, b"%08x %b" % (zlib.crc32(data), data)):
        try:
            record = journal.decode(line)
        except journal.BadRecord:
            continue
        assert journal.decode(journal.encode(record)) == record
    state = journal.replay(data)
    again = journal.replay(b"".join(journal.encode(record) for record in state.records()))
    assert (again.entries, again.offenders, again.damaged) == (state.entries, state.offenders, 0)
