"""Commands and their output (spec/logcollector.md, section 5.10).  The shell runs them beside the readers."""

from __future__ import annotations

import logging

from ossec.logcollector.sources import Source
from ossec.messages.queue import LOCAL, MAX_TEXT

log = logging.getLogger("ossec.logcollector")

MAX_PREFIX = 255  # bytes of `ossec: output: 'NAME': `
MAX_PIECE = 5631  # bytes of one line; a longer one is sent in pieces
MAX_FULL = 5632  # bytes of a full_command's output
EARLY = 0.5  # seconds by which a run may come early: OSSEC counts whole seconds, a timer is never exact


class Command:
    """One `command` or `full_command`: when it is due, and what its output says."""

    def __init__(self, source: Source, started: float) -> None:
        self.source = source
        self.full = source.log_format == "full_command"
        self.name = (source.alias or source.command).replace(b":", b"\\")
        self.running = False
        self._last_run = started  # the start counts as a run: a restart never runs a command early

    def announce(self) -> None:
        kind = "full output" if self.full else "output"
        text = self.source.command.decode("utf-8", "surrogateescape")
        log.info("Monitoring %s of command(%d): %s", kind, self.source.frequency, text)

    def is_due(self, number: int, now: float) -> bool:
        """In the pass with this number (from 1)?  Only every second pass asks; a run still going on is not doubled."""
        return number % 2 == 1 and not self.running and now - self._last_run >= self.source.frequency - EARLY

    def begin(self, now: float) -> CommandOutput:
        """A run starts."""
        self.running = True
        self._last_run = now
        return CommandOutput(self)

    def ended(self) -> None:
        self.running = False


class CommandOutput:
    """The output of one run, as it comes."""

    def __init__(self, command: Command) -> None:
        self.full = command.full
        self._head = LOCAL + b":" + command.name + b":"
        prefix = b"ossec: output: '%b':" % command.name
        self._prefix = (prefix + b"\n" if self.full else prefix + b" ")[:MAX_PREFIX]
        self._pending = b""
        self._too_much = False

    def feed(self, data: bytes) -> list[bytes]:
        """The datagrams of lines that are complete; of a full_command there are none before its end."""
        if self.full:
            room = MAX_FULL - len(self._pending)
            self._too_much = self._too_much or len(data) > room
            self._pending += data[:room]
            return []
        *lines, self._pending = (self._pending + data).split(b"\n")
        datagrams = [datagram for line in lines for datagram in self._pieces(line)]
        while len(self._pending) >= MAX_PIECE:
            datagrams.append(self._datagram(self._pending[:MAX_PIECE]))
            self._pending = self._pending[MAX_PIECE:]
        return datagrams

    def finish(self) -> list[bytes]:
        """The run has ended: what is left."""
        text, self._pending = self._pending, b""
        if not text:
            return []
        if not self.full:
            return self._pieces(text)
        if self._too_much:
            text = text[: text.rfind(b"\n")] if b"\n" in text else text
        text = text.removesuffix(b"\n")
        return [self._datagram(text.replace(b"\r", b"").replace(b"\n\n", b"\n"))]

    def _pieces(self, line: bytes) -> list[bytes]:
        return [self._datagram(line[at : at + MAX_PIECE]) for at in range(0, max(1, len(line)), MAX_PIECE)]

    def _datagram(self, text: bytes) -> bytes:
        return (self._head + self._prefix + text.replace(b"\0", b" "))[:MAX_TEXT] + b"\0"
