"""A daemon for the skeleton's tests: answers what it receives, and reloads a word from its home."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ossec.daemon import CleanExit, Service, run
from ossec.errors import ConfigError
from ossec.queues import Delivery, Inbox, Outbox

log = logging.getLogger("ossec.echod")


class Echod(Service):
    name = "ossec-echod"
    summary = "Answer every datagram with a word."
    flags = "c"

    def read_word(self) -> bytes:
        words = self.context.config_path.read_text().split()
        if not words:
            raise ConfigError("a word is wanted", self.context.config_path, 1)
        if words[0] == "off":
            raise CleanExit("Not configured. Exiting.")
        if words[0] == "bug":
            raise ZeroDivisionError("on purpose")
        return words[0].encode()

    def __init__(self, context) -> None:  # type: ignore[no-untyped-def]
        super().__init__(context)
        self.word = self.read_word()
        self.seen = 0

    def prepare(self) -> None:
        self.inbox = Inbox(self.layout.event_queue)
        self.outbox = Outbox(self.layout.exec_queue)

    def open(self) -> None:
        self.loop.on_readable(self.inbox.fileno(), self.receive)

    def receive(self) -> None:
        for datagram in self.inbox.receive(100):
            self.seen += 1
            assert self.outbox.send(self.word + b" " + datagram) is Delivery.SENT

    def reload(self) -> None:
        self.word = self.read_word()
        log.info("reloaded")

    def close(self) -> None:
        self.inbox.close()

    def state(self) -> Mapping[str, object]:
        return {"seen": self.seen}


if __name__ == "__main__":
    run(Echod)
