"""Any file may lie where a database of file events is expected."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ossec.analysisd.filedb import RootcheckDatabase, SyscheckDatabase
from ossec.analysisd.statistics import learn


def fuzz_filedb(data: bytes) -> None:
    """Opening and adding raise nothing, and what was added is found again."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "database"
        path.write_bytes(data)
        files = SyscheckDatabase(path)
        files.add(b"+++", b"1:2:3:4", 5, b"/name", files.get(b"/name"))
        files.close()
        files = SyscheckDatabase(path)
        entry = files.get(b"/name")
        assert entry is not None
        assert entry.sum == b"1:2:3:4"
        files.close()
        path.write_bytes(data)
        texts = RootcheckDatabase(path)
        texts.see(b"text", 1)
        texts.close()
    learn({("hourly-average", "3"): data.decode("latin-1")})
