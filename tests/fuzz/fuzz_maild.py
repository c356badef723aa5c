"""Any bytes in a spool are a mail, a state, or refused; any log is one well-formed mail."""

from __future__ import annotations

import re
from contextlib import suppress

from ossec.alertstream import RecordReader
from ossec.maild.batching import Draft
from ossec.maild.message import render
from ossec.maild.settings import Server, Settings
from ossec.maild.spool import BadSpool, Mail, decode_state

SETTINGS = Settings(server=Server("mail"), sender="a@b", recipients=("c@d",), idsname="i")


def fuzz_maild(data: bytes) -> None:
    """The decoders raise BadSpool only; a mail has no bare CR or LF, no long line, no line that is a dot."""
    with suppress(BadSpool):
        Mail.decode(data)
    with suppress(BadSpool):
        decode_state(data)
    reader = RecordReader()
    line = data.replace(b"\n", b"\r")
    text = b"** Alert 1.2: mail  - a\n2023 Nov 14 22:13:23 %b->y\nRule: 1 (level 2) -> '%b'\n" % (line, line)
    for parsed in reader.feed(text + data + b"\n\n") + reader.finish():
        for sms in (False, True):
            message = render(Draft(("c@d", "e@f"), (parsed.record,), sms), SETTINGS, 0, "host", 1)
            if re.search(rb"\r(?!\n)|(?<!\r)\n|(?m:^\.\r?$)|[^\n]{1000}|[^\t\r\n -~]", message):
                raise AssertionError(f"no mail: {message!r}")
            if message.count(b"\nSubject: ") != 1 or b"\nBcc:" in message.partition(b"\r\n\r\n")[0]:
                raise AssertionError(f"headers: {message!r}")
