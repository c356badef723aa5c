"""A host for the collector's core: real files below a temporary directory, a virtual clock, commands run at once."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from ossec.config import dialect
from ossec.daemon.log import LineFormatter
from ossec.logcollector.collector import Batch, Collector, Step
from ossec.logcollector.disk import LocalDisk
from ossec.logcollector.follower import Seen
from ossec.logcollector.sources import Source

WORDS = {"hourly": 3600, "daily": 86400}
SETTLING = 0.7  # seconds from the start to the first step, as in the recorded runs: less than the first pass


class MappedDisk(LocalDisk):
    """Every absolute path lies below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = os.fsencode(root)

    def look(self, path: bytes) -> Seen | None:
        return super().look(self.root + path) if path else None

    def open(self, path: bytes) -> int:
        return super().open(self.root + path if path else path)

    def glob(self, pattern: bytes) -> list[bytes]:
        return [path.removeprefix(self.root) for path in super().glob(self.root + pattern)]

    def siblings(self, path: bytes) -> list[bytes]:
        return [found.removeprefix(self.root) for found in super().siblings(self.root + path)]


class LogLines(logging.Handler):
    """What ossec.log would say, without the time."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter("ossec-logcollector", dated=False))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Host:
    """One collector on one (temporary) machine."""

    def __init__(self, root: Path, sources: Iterable[Source], loop_timeout: float = 1.0) -> None:
        self.disk = MappedDisk(root)
        self.root = root
        self.now = 1_700_000_000.0
        self.loop_timeout = loop_timeout
        self.messages: list[bytes] = []  # without their NUL
        self.table: dict[bytes, bytes] = {}
        self.collector = self._make(sources)
        self.next_pass = 0.0

    def _make(self, sources: Iterable[Source]) -> Collector:
        return Collector(list(sources), self.disk, host=b"host1.example.org")

    def start(self, saved: Mapping[bytes, bytes] | None = None) -> None:
        self.collector.start(self.now, self.now, saved or {})
        self.next_pass = self.now + self.loop_timeout
        self.table = self.collector.saved()

    def restart(self, sources: Iterable[Source], clean: bool) -> None:
        """End (cleanly, or as SIGKILL does) and start again on what was saved."""
        if clean:
            self.perform(self.collector.finish())
            self.table = self.collector.saved()
        self.collector.close()
        self.collector = self._make(sources)
        self.start(self.table)

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def append(self, path: str, data: bytes) -> None:
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as file:
            file.write(data)

    def perform(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, Batch):
                for datagram in step.datagrams:
                    assert datagram.endswith(b"\0")
                    assert len(datagram) <= 6144
                    self.messages.append(datagram[:-1])
                if step.follower is not None:
                    position = step.follower.position()
                    if position is not None:
                        self.table[step.follower.path] = position.encode()
            else:
                output = step.command.begin(self.now)
                text = os.fsdecode(step.command.source.command)
                run = subprocess.run(["sh", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
                for datagram in output.feed(run.stdout) + output.finish():
                    self.messages.append(datagram[:-1])
                step.command.ended()
        if self.collector.names_changed:
            self.table = self.collector.saved()
            self.collector.names_changed = False

    def run_pass(self) -> None:
        self.perform(self.collector.run_pass(self.now, self.now))

    def wait(self, seconds: float) -> None:
        """Let time go by, with the passes that fall into it."""
        end = self.now + seconds
        while self.next_pass <= end:
            self.now = self.next_pass
            self.run_pass()
            self.next_pass += self.loop_timeout
        self.now = end

    def texts(self) -> list[bytes]:
        """The messages but for marks."""
        return [message for message in self.messages if not message.startswith(b"1:ossec-keepalive:--MARK--: ")]


def read_sources(config: str) -> list[Source]:
    """The localfiles of a configuration without mistakes."""
    sources = []
    for root in dialect.parse(config.encode("latin-1")):
        for section in root.children:
            if section.name != "localfile":
                continue
            values = {child.name.lower(): child.text.encode("utf-8", "surrogateescape") for child in section.children}
            formats = [child for child in section.children if child.name.lower() == "log_format"]
            frequency = values.get("frequency", b"360").decode()
            sources.append(
                Source(
                    log_format=formats[0].text,
                    location=values.get("location", b""),
                    attributes=tuple(formats[0].attributes),
                    command=values.get("command", b""),
                    alias=values.get("alias", b""),
                    frequency=WORDS.get(frequency) or int(frequency),
                )
            )
    return sources
