"""One event on its way through the engine: filled by predecoding, decoders and rules, read by the outputs.

Everything that came from a log stays bytes.  A field that no decoder set is None; an empty capture is b"".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ossec.analysisd.decoders import Decoder
    from ossec.analysisd.rules import Rule
    from ossec.analysisd.syscheck import FileChange


class Event:
    """Plain state, one object per event; slots because hundreds of thousands live in the correlation windows."""

    __slots__ = (
        "action",
        "agent",
        "command",
        "context",
        "data",
        "decoder",
        "dstgeoip",
        "dstip",
        "dstport",
        "dstuser",
        "fields",
        "file_change",
        "filename",
        "first_seen",
        "full_log",
        "hostname",
        "id",
        "location",
        "log",
        "mark",
        "program_name",
        "protocol",
        "queue",
        "raw",
        "rule",
        "srcgeoip",
        "srcip",
        "srcport",
        "srcuser",
        "status",
        "system_name",
        "time",
        "type",
        "url",
    )

    def __init__(self, queue: bytes, location: bytes, full_log: bytes, time: float) -> None:
        self.queue = queue
        self.location = location  # as it came: '/var/log/auth.log' or '(agent) 10.0.0.1->/var/log/auth.log'
        self.agent = location[:1] == b"("
        self.raw: bytes | None = None  # the line with its control characters, where it had any
        self.full_log = full_log  # the whole line, control characters handled
        self.log = full_log  # what decoders and rules see: without date, host and program
        self.time = time  # arrival, seconds since the epoch
        self.hostname: bytes = b""
        self.program_name: bytes | None = None
        self.decoder: Decoder | None = None
        self.type: str = "syslog"  # category: firewall ids web-log syslog squid windows host-information ossec
        self.srcip: bytes | None = None
        self.dstip: bytes | None = None
        self.srcgeoip: bytes | None = None  # where srcip is, `US / CA`; with a geoip database only
        self.dstgeoip: bytes | None = None
        self.srcport: bytes | None = None
        self.dstport: bytes | None = None
        self.protocol: bytes | None = None
        self.action: bytes | None = None
        self.srcuser: bytes | None = None
        self.dstuser: bytes | None = None
        self.id: bytes | None = None
        self.url: bytes | None = None
        self.status: bytes | None = None
        self.command: bytes | None = None
        self.data: bytes | None = None
        self.system_name: bytes | None = None
        self.filename: bytes | None = None
        self.fields: dict[str, bytes] | None = None  # dynamic fields, in decoder order
        self.file_change: FileChange | None = None  # what a syscheck event found
        self.first_seen = False  # the decoder's fts tuple (or rootcheck text) was new
        self.rule: Rule | None = None  # the rule that finally fired
        self.context: list[bytes] = []  # earlier log lines that an alert shows, newest first
        self.mark = 0  # correlation mark (analysisd.ossec_compat)
