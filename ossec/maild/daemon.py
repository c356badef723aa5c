"""The shell of ossec-maild."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping

from ossec import config
from ossec.alertstream import AlertStream, Entry, Follower
from ossec.alertstream.places import make_directory
from ossec.config.schema import Machine
from ossec.daemon import CleanExit, Context, Service, ready_made
from ossec.errors import ConfigError
from ossec.maild.batching import TICK, Batcher, Draft, Item
from ossec.maild.courier import Courier
from ossec.maild.message import render
from ossec.maild.settings import Settings, build
from ossec.maild.spool import MAX_MAILS, Mail, Spool, State
from ossec.regex import PatternError

NAME = "ossec-maild"
DISABLED = "E-Mail notification disabled. Clean Exit."
STOP_LIMIT = 10.0  # seconds at a stop for mails on their way; the others go at the next start
SAVE = 1.0  # seconds between two saves while only the position moves on, and until a full disk is tried again

LATER = Machine(resolves=lambda _: True)  # a name may get its address after the start; `-t` looks

log = logging.getLogger("ossec.maild")


def load(context: Context) -> Settings | None:
    """None where mail is off; ConfigError."""
    configuration = config.load(context.layout, context.config_path, NAME, machine=LATER)
    for line in configuration.warnings:
        log.info("%s", line, extra=ready_made)
    if not configuration.global_.email_notification:
        return None
    try:
        return build(configuration, context.internal.get)
    except PatternError as error:
        raise ConfigError(f"<email_alerts>: {error}", context.config_path) from None


def clock_hour() -> str:
    return time.strftime("%Y-%m-%d %H")


class Maild(Service):
    name = NAME
    summary = "Send alerts by mail."
    user = "ossecm"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings = load(context)
        if settings is None:
            raise CleanExit(DISABLED)
        self._host = socket.gethostname()
        self._spool = Spool(self.layout)
        self._drafts: list[Draft] = []
        self._changed = False
        self._failed = False
        self._lost_before = 0
        self.batcher = Batcher(settings)
        self._position = State().position
        self._number = 1
        self.courier = Courier(self.loop, self._spool, settings.server, settings.workers, self._make_room)
        self.stream: AlertStream | None = None

    @classmethod
    def test(cls, context: Context) -> int:
        """`-t`: silent where mail is off."""
        lines, status = config.check(context.layout, context.config_path, NAME)
        for line in lines:
            log.info("%s", line, extra=ready_made)
        if status == 0:
            load(context)
        return status

    def prepare(self) -> None:
        make_directory(self.layout.mail_dir, self.user, self.group)

    def open(self) -> None:
        state, names = self._spool.load()
        names = sorted(names + self._spool.take_back())
        self.batcher = Batcher(self.batcher.settings, state.waiting)
        self._number = max([state.number, *(int(name.partition(".")[0]) + 1 for name in names)])
        follower = Follower(self.layout, state.position)
        self._position = follower.position
        self._changed = True
        self._save()
        if names:
            log.info("%d mails have waited since before the start.", len(names))
        self._make_room()
        self.stream = AlertStream(self.loop, follower, self._take)
        self.stream.start()
        self.courier.enqueue(names)
        self.loop.call_every(TICK, self._tick)
        self.loop.call_every(SAVE, self._save)

    def reload(self) -> None:
        settings = load(self.context)
        if settings is None:
            raise ConfigError("<email_notification> says no: stop ossec-maild instead", self.context.config_path)
        self.batcher.settings = settings
        self.courier.server, self.courier.workers = settings.server, settings.workers
        self.courier.enqueue(self._spool.take_back())
        self.courier.retry_now()

    def close(self) -> None:
        """What is there goes out now, as far as that is quick."""
        assert self.stream is not None
        self.stream.read_now()
        self._add(self.batcher.flush())
        self.stream.stop()
        self._changed = True
        self._save()
        self.courier.retry_now()
        deadline = self.loop.now() + STOP_LIMIT
        courier = self.courier
        while self.loop.now() < deadline and not (courier.idle and (courier.failures or not courier.waiting)):
            self.loop.turn(0.1)
        if self.courier.waiting:
            log.info("%d mails wait for the next start.", self.courier.waiting)

    def state(self) -> Mapping[str, object]:
        return {
            "mails_sent": self.courier.sent,
            "mails_waiting": self.courier.waiting,
            "mails_refused": self.courier.refused,
            "alerts_waiting": len(self.batcher.waiting.items),
            "alerts_left_out": self.batcher.left_out,
            "not_alerts": self.stream.follower.dropped if self.stream else 0,
        }

    # alerts
    def _take(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._add(self.batcher.add(Item(entry.record, entry.raw)))
            self._position = entry.position
        self._changed = True
        if self._drafts:
            self._save()

    def _tick(self) -> None:
        drafts = self.batcher.tick(clock_hour())
        if drafts:
            self._add(drafts)
            self._save()
        lost = self.batcher.left_out
        if lost != self._lost_before:
            self._lost_before = lost
            log.warning("email_maxperhour: the next mail only counts %d alerts so far.", lost)

    def _add(self, drafts: list[Draft]) -> None:
        self._drafts += drafts
        self._changed = self._changed or bool(drafts)

    def _make_room(self) -> None:
        """While the spool is full, alerts stay where they are: in the alert files."""
        if self.stream is None:
            return
        if self._failed or self._spool.count >= MAX_MAILS:
            self.stream.pause()
        else:
            self.stream.resume()

    # disk
    def _save(self) -> None:
        """Write the mails, then the state, then let them go; again each second if the disk does not take them."""
        if not self._changed:
            return
        written: list[str] = []
        try:
            for draft in self._drafts:
                number = self._number + len(written)
                written.append(self._spool.write(number, self._mail(draft, number)))
            self._spool.save(State(self._position, self._number + len(written), self.batcher.waiting))
        except OSError as error:
            self._spool.count -= len(written)
            if not self._failed:
                log.error("The spool of mails cannot be written: %s", error)
            self._failed = True
            self._make_room()
            return
        self._number += len(written)
        self._changed = self._failed = False
        self._drafts.clear()
        self._make_room()
        self.courier.enqueue(written)

    def _mail(self, draft: Draft, number: int) -> Mail:
        settings = self.batcher.settings
        message = render(draft, settings, time.time(), self._host, number)
        return Mail(settings.sender, draft.recipients, message)
