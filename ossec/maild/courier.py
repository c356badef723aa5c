"""What is sent when: up to `workers` mails at once, the oldest first, and a pause that grows while the server is down.

A worker is a thread that lives for one mail and hands its outcome to the loop.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from ossec.daemon import code, ready_made
from ossec.daemon.loop import Loop, Timer
from ossec.maild.settings import Server
from ossec.maild.spool import BadSpool, Mail, Spool
from ossec.maild.transport import Fate, Outcome, deliver

log = logging.getLogger("ossec.maild")

FIRST_PAUSE = 2.0  # seconds after the first failure
LONGEST_PAUSE = 300.0  # seconds; a server that is back gets its mails within this


class Courier:
    """Sends what `enqueue` names.  `on_room` is called when a mail has left the spool."""

    def __init__(
        self,
        loop: Loop,
        spool: Spool,
        server: Server,
        workers: int,
        on_room: Callable[[], None],
        send: Callable[[Server, Mail], Outcome] = deliver,
    ) -> None:
        self.server = server
        self.workers = workers
        self.sent = 0
        self.refused = 0
        self.failures = 0  # in a row
        self._loop = loop
        self._spool = spool
        self._on_room = on_room
        self._send = send
        self._queue: deque[str] = deque()
        self._busy: set[str] = set()
        self._pause: Timer | None = None

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return not self._busy

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._busy)

    def enqueue(self, names: list[str]) -> None:
        self._queue.extend(names)
        self.pump()

    def retry_now(self) -> None:
        """End a pause: the configuration has changed, or the end is near."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self.pump()

    def pump(self) -> None:
        """Start workers; while the server is down, one to try it."""
        most = 1 if self.failures else self.workers
        while self._queue and self._pause is None and len(self._busy) < most:
            name = self._queue.popleft()
            try:
                mail = self._spool.read(name)
            except FileNotFoundError:
                log.warning("The mail %s has gone from the spool.", name)
                self._spool.count -= 1
                continue
            except BadSpool as error:
                log.error("The mail %s is damaged (%s); it is kept as %s.", name, error, self._spool.refuse(name))
                continue
            except OSError as error:
                self._queue.appendleft(name)
                self._fail(f"{name}: {error}")
                return
            self._busy.add(name)
            worker = threading.Thread(target=self._work, args=(name, mail), name=f"mail {name}", daemon=True)
            worker.start()

    def _work(self, name: str, mail: Mail) -> None:
        """In a thread."""
        try:
            outcome = self._send(self.server, mail)
        except Exception as error:  # a defect of ours: the mail must not vanish with its thread
            outcome = Outcome(Fate.LATER, f"{type(error).__name__}: {error}")
        self._loop.call_from_thread(lambda: self._done(name, mail, outcome))

    def _done(self, name: str, mail: Mail, outcome: Outcome) -> None:
        self._busy.discard(name)
        try:
            self._settle(name, mail, outcome)
        except OSError as error:
            log.error("The spool of mails cannot be written: %s", error)
            self._queue.appendleft(name)
            self._pause_for(LONGEST_PAUSE)
        self.pump()

    def _settle(self, name: str, mail: Mail, outcome: Outcome) -> None:
        if outcome.fate is Fate.LATER:
            if outcome.left and set(outcome.left) != set(mail.recipients):
                self._spool.replace(name, mail._replace(recipients=outcome.left))
            self._queue.appendleft(name)
            self._queue = deque(sorted(self._queue))
            self._fail(outcome.detail, outcome.notes)
            return
        if outcome.fate is Fate.REFUSED:
            self.refused += 1
            self._complain(outcome.notes)
            aside = self._spool.refuse(name)
            log.error("A mail was refused: %s. It is kept as %s, and tried at the next start.", outcome.detail, aside)
        else:
            for note in outcome.notes:
                log.warning("%s", note, extra=ready_made)
            if self.failures:
                log.info("Mail is taken again by %s; %d mails waited.", self.server.name, self.waiting + 1)
            self.failures = 0
            self.sent += 1
            if outcome.left:
                self._spool.replace(name, mail._replace(recipients=outcome.left))
                self._queue.append(name)
                self._pause_for(FIRST_PAUSE)
            else:
                self._spool.remove(name)
        self._on_room()

    def _fail(self, detail: str, notes: tuple[str, ...] = ()) -> None:
        """The server is down; said once, with OSSEC's lines, then only at each doubling."""
        self.failures += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.failures - 1, 10))
        if self.failures & (self.failures - 1) == 0:
            self._complain(notes)
            log.warning("%s: %d mails wait; the next attempt is in %g s.", detail, self.waiting, pause)
        self._pause_for(pause)

    def _complain(self, notes: tuple[str, ...]) -> None:
        for note in notes:
            log.warning("%s", note, extra=ready_made)
        log.error("Error Sending email to %s (smtp server)", self.server.name, extra=code(1223))

    def _pause_for(self, seconds: float) -> None:
        if self._pause is None:
            self._pause = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self.pump()
