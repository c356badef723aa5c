"""ossec-execd: the shell around the policy.

One turn of the loop: take the messages that are there, write down what they change in one go, start the scripts.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from ossec.daemon import CleanExit, Context, Service, Timer, code, plain
from ossec.daemon.log import ready_made
from ossec.execd import leftovers, settings
from ossec.execd.allowed import Allowed
from ossec.execd.effects import Alert, Command, Effect, Journal, Kill, Log, Outcome, Start
from ossec.execd.leftovers import Leftovers
from ossec.execd.policy import Policy
from ossec.execd.responses import make_table
from ossec.execd.scripts import Scripts
from ossec.execd.store import Store, boot_id
from ossec.messages import queue
from ossec.queues import Delivery, Inbox, Outbox

BATCH = 512  # messages per turn: one sync of the journal for all of them
STOP_LIMIT = 30.0  # seconds to undo everything at a stop; ossec-control kills after 45. The journal has what is left
LONGEST_WAIT = 60.0  # seconds between looks at the clock: a timer does not count the time that a machine sleeps
MAX_ALERTS = 256  # events that wait for analysisd; the log has them all
ALERT_RETRY = 5.0  # seconds between attempts to hand them over
MAX_AR_CONF = 16 * 1024 * 1024  # far above any set of responses; keeps a wrong file from filling the memory

log = logging.getLogger("ossec.execd")


class Clock:
    """Seconds since the epoch, going on evenly when somebody sets the machine's clock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> float:
        return self._offset + time.clock_gettime(time.CLOCK_BOOTTIME)


class Execd(Service):
    name = "ossec-execd"
    summary = "Run active responses, and undo them when their time is over."
    group = "ossec"
    flags = "cg"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.settings = load_settings(context)
        if self.settings.disabled:
            log.info("Active response disabled. Exiting.", extra=code(1350))
            raise CleanExit
        self.clock = Clock()
        self.policy = Policy(self.settings.offenders, self._read_table)
        self._effects: list[Effect] = []
        self._timer: Timer | None = None
        self._timer_for = 0.0
        self._alerts: deque[bytes] = deque(maxlen=MAX_ALERTS)
        self._journal_broken = False
        self._listening = False
        self._stopping = False
        self.received = 0

    @classmethod
    def test(cls, context: Context) -> int:
        """As OSSEC: silent also where responses are disabled."""
        load_settings(context)
        return 0

    # --- life ---

    def open(self) -> None:
        os.chdir("/")
        home = os.fsencode(self.layout.home)
        self.scripts = Scripts(self.loop, home, self._script_ended)
        self.leftovers = Leftovers(self.loop, self._leftover_gone)
        self.outbox = Outbox(self.layout.event_queue)
        self.store = Store(self.layout.execd_journal, boot_id())
        if self.store.unreadable is not None:
            text = f"{self.store.path} cannot be read ({self.store.unreadable.strerror}): earlier responses may stay"
            log.error("%s in force.", text)
            self._alert(f"{text} in force.")
        if self.store.damaged:
            log.error("%s: %d damaged records are lost; the others are in force.", self.store.path, self.store.damaged)
        try:
            self.store.open()
        except OSError as error:
            self._journal_failed(error)
        state = self.store.state
        running = leftovers.find(home) if state.entries else {}
        busy = {block: number for number, block in enumerate(sorted(running.keys() & state.entries.keys()), 1)}
        self._effects += self.policy.resume(state, not self.store.earlier_boot, busy, self.clock.now())
        self._effects += self.policy.spare(Allowed(self.settings.allowed), self.clock.now())
        self.leftovers.watch({number: running[block] for block, number in busy.items()})
        self.inbox = Inbox(self.layout.exec_queue)
        self._listen()
        self.loop.after_turn(self._finish_turn)
        self.loop.call_soon(lambda: None)

    def reload(self) -> None:
        """New repeated_offenders, allow list and ar.conf; what is in force stays so, but for who is allowed now."""
        loaded = load_settings(self.context)
        if loaded.disabled:
            log.info("Active response is disabled now. Deleting responses and exiting.", extra=code(1350))
            self.loop.stop()
            return
        self.settings = loaded
        self.policy.set_ladder(loaded.offenders)
        self.policy.forget_table()
        self._effects += self.policy.spare(Allowed(loaded.allowed), self.clock.now())

    def stopping(self) -> None:
        """OSSEC says so before it names the signal, and undoes what is in force."""
        if not self._stopping:
            self._stopping = True
            self.loop.forget(self.inbox.fileno())
            self.inbox.close()
            self._effects += self.policy.stop(self.clock.now())
            self._finish_turn()

    def close(self) -> None:
        self.stopping()
        deadline = self.loop.now() + STOP_LIMIT
        while not self.policy.settled and self.loop.now() < deadline:
            self.loop.turn(deadline - self.loop.now())
        if self.policy.blocks:
            log.error("%d responses are still in force; they are undone at the next start.", self.policy.blocks)
        self.store.close()

    def state(self) -> Mapping[str, object]:
        return {
            "blocks": self.policy.blocks,
            "running": self.policy.running,
            "waiting": self.policy.waiting,
            "messages": self.received,
            "scripts": self.scripts.started,
        }

    # --- what happens ---

    def _listen(self) -> None:
        """Take messages unless too much waits already: then they wait in the socket, and at last in the sender."""
        if self.policy.full == self._listening:
            self._listening = not self._listening
            if self._listening:
                self.loop.on_readable(self.inbox.fileno(), self._receive)
            else:
                self.loop.forget_readable(self.inbox.fileno())

    def _receive(self) -> None:
        now = self.clock.now()
        for datagram in self.inbox.receive(BATCH):
            self.received += 1
            self._effects += self.policy.receive(datagram, now)

    def _script_ended(self, number: int, outcome: Outcome) -> None:
        self._effects += self.policy.finished(number, outcome, self.clock.now())

    def _leftover_gone(self, number: int) -> None:
        self._effects += self.policy.finished(number, None, self.clock.now())

    def _tick(self) -> None:
        self._timer = None
        self._effects += self.policy.tick(self.clock.now())

    def _finish_turn(self) -> None:
        while self._effects:
            effects, self._effects = self._effects, []
            self._perform(effects)
        self._arm()
        if self.inbox.fileno() >= 0:
            self._listen()

    def _perform(self, effects: list[Effect]) -> None:
        journals = [effect for effect in effects if isinstance(effect, Journal)]
        if journals:
            try:
                self.store.append(
                    (record for effect in journals for record in effect.records),
                    any(effect.sync for effect in journals),
                )
            except OSError as error:
                self._journal_failed(error)
            else:
                self._journal_works()
        for effect in effects:
            match effect:
                case Start(run):
                    outcome = self.scripts.start(run)
                    if outcome is not None:
                        self._script_ended(run.id, outcome)
                case Log():
                    _write(effect)
                case Kill(number, hard):
                    if not self.leftovers.give_up(number):
                        self.scripts.kill(number, hard)
                case Alert(text):
                    self._alert(text)

    def _arm(self) -> None:
        """One timer, for what comes next."""
        when = self.policy.next_wake()
        if when is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        if self._timer is not None:
            if self._timer_for == when:
                return
            self._timer.cancel()
        self._timer_for = when
        self._timer = self.loop.call_later(min(max(when - self.clock.now(), 0.0), LONGEST_WAIT), self._tick)

    # --- files and queues ---

    def _read_table(self, first: bool) -> tuple[dict[bytes, Command], list[Log]]:
        path = self.layout.ar_conf
        try:
            with path.open("rb") as file:
                data = file.read(MAX_AR_CONF)
        except OSError as error:
            text = f"Could not open file '{path}' due to [({error.errno})-({error.strerror})]."
            return {}, [Log(logging.ERROR, text, 1103)]
        return make_table(data, str(path), os.fsencode(self.layout.active_response_bin), _is_present, first)

    def _journal_failed(self, error: OSError) -> None:
        if not self._journal_broken:
            self._journal_broken = True
            text = (
                f"{self.layout.execd_journal} cannot be written ({error.strerror}): responses go on, but are not undone"
            )
            log.error("%s if this process is killed.", text)
            self._alert(f"{text} if execd is killed.")

    def _journal_works(self) -> None:
        if self._journal_broken:
            self._journal_broken = False
            log.info("%s is written again.", self.layout.execd_journal)

    def _alert(self, text: str) -> None:
        message = f"ossec: active response: {text}".encode("utf-8", "surrogateescape")
        self._alerts.append(queue.encode(queue.LOCAL, self.name.encode(), message))
        if len(self._alerts) == 1:
            self._hand_over()

    def _hand_over(self) -> None:
        while self._alerts:
            if self.outbox.send(self._alerts[0]) is not Delivery.SENT:
                self.loop.call_later(ALERT_RETRY, self._hand_over)
                return
            self._alerts.popleft()


def load_settings(context: Context) -> settings.Settings:
    """Read ossec.conf and list the ladder of offenders; SettingsError."""
    loaded = settings.load(context.config_path)
    for number, minutes in enumerate(loaded.offenders, 1):
        log.info("Adding offenders timeout: %d (for #%d)", minutes, number)
    return loaded


def _write(line: Log) -> None:
    if line.bare:
        extra = ready_made
    elif line.plain:
        extra = plain
    elif line.code is not None:
        extra = code(line.code)
    else:
        extra = {}
    log.log(line.level, "%s", line.text, extra=extra)


def _is_present(script: bytes) -> bool:
    return Path(os.fsdecode(script)).is_file() and os.access(script, os.R_OK)
