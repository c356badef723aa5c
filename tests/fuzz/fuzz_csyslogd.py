"""Any log is one message of bounded length in every format."""

from __future__ import annotations

import json

from ossec.alertstream import RecordReader
from ossec.csyslogd.formats import FORMATS, MAX_MESSAGE
from ossec.csyslogd.links import one_line


def fuzz_csyslogd(data: bytes) -> None:
    """No message is too long, none is two lines of a stream; JSON is JSON."""
    line = data.replace(b"\n", b" ")
    head = b"** Alert 1.2: - a%b\n2023 Nov 14 22:13:23 %b->y\nRule: 1 (level 2) -> '%b'\n" % (line, line, line)
    reader = RecordReader()
    for parsed in reader.feed(head + data + b"\n\n" + head + data * 30 + b"\n\n") + reader.finish():
        for name, form in FORMATS.items():
            message = form(parsed.record, b"host")
            if len(message) > MAX_MESSAGE or b"\n" in one_line(message):
                raise AssertionError(f"{name}: {message!r}")
            if name == "json":
                json.loads(message.partition(b"ossec: ")[2])
