"""A host in memory: the policy with a virtual clock, files that are values, scripts that end when the test says."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable, Iterable

from ossec.execd import journal
from ossec.execd.effects import Alert, Effect, Journal, Kill, Log, Outcome, Run, Start, Table
from ossec.execd.journal import Key
from ossec.execd.policy import Policy
from ossec.execd.responses import make_table

BIN = "/var/ossec/active-response/bin"
AR_CONF = "/var/ossec/etc/shared/ar.conf"
START = 1_800_000_000.0
GOOD = Outcome()
LEVELS = {logging.INFO: "INFO", logging.WARNING: "WARN", logging.ERROR: "ERROR"}

Answer = Callable[[Run], tuple[float, Outcome] | None]  # after how long it ends, and how; None: it hangs


def ends_at_once(_: Run) -> tuple[float, Outcome]:
    return 0.0, GOOD


class Host:
    """`calls` and `log` collect what happened; `at` is the time since the start, in seconds."""

    def __init__(
        self,
        ar_conf: str | None = "fw5 - log.sh - 5\n",
        scripts: Iterable[str] = ("log.sh",),
        ladder: tuple[int, ...] = (),
        answer: Answer = ends_at_once,
        earlier: Host | None = None,
        same_boot: bool = True,
        busy: dict[int, int] | None = None,
    ) -> None:
        self.ar_conf = ar_conf
        self.scripts = {f"{BIN}/{script}".encode() for script in scripts}
        self.answer = answer
        self.at = earlier.at if earlier is not None else 0.0
        self.calls: list[tuple[float, tuple[bytes, ...]]] = []
        self.log: list[str] = []
        self.alerts: list[str] = []
        self.kills: list[Kill] = []
        self.runs: list[Run] = []
        self.live: set[Key] = set()
        self.synced = True  # whether all that was written is on the disk
        self.disk = earlier.disk if earlier is not None else b""
        self._ends: list[tuple[float, int, int, Outcome]] = []
        self._order = itertools.count()
        self.policy = Policy(ladder, self.read_table)
        if earlier is not None:
            self.state = journal.replay(self.disk)
            self.perform(self.policy.resume(self.state, same_boot, busy or {}, self.now))
            self.run_to(self.at)

    @property
    def now(self) -> float:
        return START + self.at

    def read_table(self, first: bool) -> Table:
        if self.ar_conf is None:
            text = f"Could not open file '{AR_CONF}' due to [(2)-(No such file or directory)]."
            return {}, [Log(logging.ERROR, text, 1103)]
        data = self.ar_conf.encode("latin-1")
        return make_table(data, AR_CONF, BIN.encode(), self.is_present, first)

    def is_present(self, script: bytes) -> bool:
        return script.replace(b"//", b"/").replace(b"/./", b"/") in self.scripts

    def send(self, message: str | bytes) -> None:
        datagram = message.encode("latin-1") if isinstance(message, str) else message
        self.perform(self.policy.receive(datagram, self.now))
        self.run_to(self.at)

    def run_to(self, at: float) -> None:
        """Let time pass, every end and every timer at its moment."""
        while True:
            wake = self.policy.next_wake()
            moments = [self._ends[0][0]] if self._ends else []
            if wake is not None:
                moments.append(wake)
            if not moments or min(moments) > START + at:
                break
            moment = min(moments)
            self.at = max(self.at, moment - START)
            if self._ends and self._ends[0][0] == moment:
                _, _, number, outcome = heapq.heappop(self._ends)
                self.live -= {run.key for run in self.runs if run.id == number}
                self.perform(self.policy.finished(number, outcome, moment))
            else:
                self.perform(self.policy.tick(moment))
        self.at = at

    def end(self, run: Run, outcome: Outcome = GOOD) -> None:
        """A script for which there was no answer ends now."""
        self.live.remove(run.key)
        self.perform(self.policy.finished(run.id, outcome, self.now))
        self.run_to(self.at)

    def stop(self) -> None:
        self.perform(self.policy.stop(self.now))
        self.run_to(self.at)

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Journal):
                self.disk += b"".join(journal.encode(record) for record in effect.records)
                self.synced = effect.sync
        for effect in effects:
            match effect:
                case Start(run):
                    assert run.key not in self.live, "two scripts at once about the same"
                    self.live.add(run.key)
                    answer = self.answer(run)
                    if answer is None or not answer[1].errno:
                        self.calls.append((self.at, run.argv))
                    self.runs.append(run)
                    if answer is not None:
                        delay, outcome = answer
                        heapq.heappush(self._ends, (self.now + delay, next(self._order), run.id, outcome))
                case Log():
                    self.log.append(line_of(effect))
                case Alert(text):
                    self.alerts.append(text)
                case Kill():
                    self.kills.append(effect)

    def took(self) -> list[str]:
        """The calls so far as short texts, `add - 192.0.2.1 …`; the list starts anew."""
        calls, self.calls = self.calls, []
        return [b" ".join(argv[1:]).decode("latin-1") for _, argv in calls]

    def moments(self) -> list[tuple[float, str]]:
        """The same with their time since the start."""
        calls, self.calls = self.calls, []
        return [(round(at, 6), b" ".join(argv[1:4]).decode("latin-1")) for at, argv in calls]


def line_of(line: Log) -> str:
    """The line in ossec.log, without its date."""
    if line.bare:
        return line.text
    head = f"ossec-execd({line.code}): " if line.code is not None else "ossec-execd: "
    return head + line.text if line.plain else f"{head}{LEVELS[line.level]}: {line.text}"
