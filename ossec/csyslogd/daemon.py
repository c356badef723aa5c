"""The shell of ossec-csyslogd."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Mapping

from ossec import config
from ossec.alertstream.places import make_directory
from ossec.config.model import SyslogOutput
from ossec.config.schema import Machine
from ossec.csyslogd.destination import PREFIX, Destination, names_of
from ossec.csyslogd.links import tls_context
from ossec.daemon import CleanExit, Context, Service, ready_made
from ossec.errors import ConfigError
from ossec.regex import PatternError, compile_match

NAME = "ossec-csyslogd"
NOTHING = "Remote syslog server not configured. Clean exit."
STOP_LIMIT = 3.0  # seconds at a stop until what was sent has arrived; the rest goes at the next start

LATER = Machine(resolves=lambda _: True)  # a name may get its address after the start; `-t` looks

log = logging.getLogger("ossec.csyslogd")


def load(context: Context) -> tuple[tuple[SyslogOutput, ...], list[ssl.SSLContext | None]]:
    """The destinations and the TLS of each; ConfigError."""
    configuration = config.load(context.layout, context.config_path, NAME, machine=LATER)
    for line in configuration.warnings:
        log.info("%s", line, extra=ready_made)
    contexts: list[ssl.SSLContext | None] = []
    for output in configuration.syslog_outputs:
        try:
            for pattern in (output.group, output.location):
                if pattern is not None:
                    compile_match(pattern)
            contexts.append(tls_context(output.tls_verify, output.tls_ca) if output.tls else None)
        except PatternError as error:
            raise ConfigError(f"<syslog_output>: {error}", output.place.path, output.place.line) from None
        except OSError as error:
            reason = f"<tls_ca> {output.tls_ca} cannot be used: {error}"
            raise ConfigError(reason, output.place.path, output.place.line) from None
    return configuration.syslog_outputs, contexts


class Csyslogd(Service):
    name = NAME
    summary = "Send alerts to syslog servers."
    user = "ossecm"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._outputs, self._contexts = load(context)
        if not self._outputs:
            raise CleanExit(NOTHING)
        self.destinations: list[Destination] = []

    @classmethod
    def test(cls, context: Context) -> int:
        """`-t`: silent where nothing is configured."""
        lines, status = config.check(context.layout, context.config_path, NAME)
        for line in lines:
            log.info("%s", line, extra=ready_made)
        if status == 0:
            load(context)
        return status

    def prepare(self) -> None:
        make_directory(self.layout.readers_dir, self.user, self.group)

    def open(self) -> None:
        host = os.fsencode(socket.gethostname())
        names = names_of(self._outputs)
        for path in self.layout.readers_dir.glob(f"{PREFIX}*"):
            if path.name not in names:  # a destination that comes back begins with new alerts
                path.unlink(missing_ok=True)
        for output, name, context in zip(self._outputs, names, self._contexts, strict=True):
            self.destinations.append(Destination(self.loop, self.layout, output, name, host, context))
        for destination in self.destinations:
            destination.start()

    def reload(self) -> None:
        outputs, contexts = load(self.context)
        if not outputs:
            raise ConfigError("no <syslog_output> is left: stop ossec-csyslogd instead", self.context.config_path)
        self._leave()
        self._outputs, self._contexts = outputs, contexts
        self.destinations = []
        self.open()

    def close(self) -> None:
        self._leave()

    def _leave(self) -> None:
        for destination in self.destinations:
            destination.finish()
        deadline = self.loop.now() + STOP_LIMIT
        while self.loop.now() < deadline and not all(destination.idle for destination in self.destinations):
            self.loop.turn(0.05)
        for destination in self.destinations:
            destination.close()

    def state(self) -> Mapping[str, object]:
        values: dict[str, object] = {"destinations": len(self.destinations)}
        for number, destination in enumerate(self.destinations, 1):
            values[f"destination_{number}"] = destination.label
            values[f"destination_{number}_up"] = int(destination.up)
            values[f"destination_{number}_sent"] = destination.sent
            values[f"destination_{number}_losses"] = destination.losses
        return values
