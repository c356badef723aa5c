"""ossec-syscheckd: the shell.

One epoll loop.  Workers read files; a scan and the kernel's events give them batches, each on a lane of its own; what
they find goes through the ledger to the queue.  The baseline is committed when nothing waits to be sent.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Mapping

from ossec.config import Configuration, agent_conf, check, load
from ossec.daemon import Context, Service, Timer, code
from ossec.daemon.log import ready_made
from ossec.messages import queue, syscheck
from ossec.queues import Outbox
from ossec.syscheckd.baseline import Baseline
from ossec.syscheckd.copies import Copies
from ossec.syscheckd.entries import Policy, expand_glob
from ossec.syscheckd.examine import Examiner
from ossec.syscheckd.lane import Lane
from ossec.syscheckd.ledger import Ledger
from ossec.syscheckd.live import Live
from ossec.syscheckd.scan import Scan, Survey
from ossec.syscheckd.schedule import DEFAULT_FREQUENCY, Schedule
from ossec.syscheckd.sender import Sender
from ossec.syscheckd.workers import Worker

NAME = "ossec-syscheckd"
LOOK = 0.5  # seconds between two looks at .syscheck_run and the clock
COMMIT_INTERVAL = 1.0  # seconds of changes that a crash may make us tell again
STOP_LIMIT = 3.0  # seconds to hand over what waits at a stop; what is left is told again after the next start
MIB = 1 << 20
ROOTCHECK_LOCATION = b"rootcheck"  # where OSSEC tells of scans
AGENT_TYPE = re.compile(rb'^TYPE="?agent"?\s*$', re.MULTILINE)

log = logging.getLogger("ossec.syscheckd")


def is_agent(context: Context) -> bool:
    """Whether this home is an agent's, to which the server's agent.conf applies."""
    try:
        return AGENT_TYPE.search(context.layout.init_conf.read_bytes()) is not None
    except OSError:
        return False


def load_configuration(context: Context) -> Configuration:
    """ossec.conf and, on an agent, agent.conf; what is to be said of them is logged."""
    if is_agent(context):
        allowed = bool(context.internal.get("logcollector.remote_commands"))
        configuration = agent_conf.load(context.layout, context.config_path, NAME, remote_commands=allowed)
    else:
        configuration = load(context.layout, context.config_path, NAME)
    for line in configuration.warnings:
        log.info("%s", line, extra=ready_made)
    return configuration


class Syscheckd(Service):
    name = NAME
    summary = "Watch files for changes, on a schedule and in real time."
    group = None  # root reads every file; nothing is given up
    flags = "c"
    debug_option = "syscheck.debug"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options = context.internal
        self._pace = options.get("syscheck.sleep"), options.get("syscheck.sleep_after")
        self._max_workers = options.get("syscheck.workers") or len(os.sched_getaffinity(0))
        self._max_file = options.get("syscheck.diff_max_file") * MIB
        self._diff_quota = options.get("syscheck.diff_quota") * MIB
        options.get("rootcheck.sleep")
        self._read(load_configuration(context))
        self._scan: Scan | None = None
        self._survey: Survey | None = None
        self._first = True  # no scan has been completed yet
        self._total = 0  # files that the next scan is expected to meet
        self._last_begin = self._last_end = 0.0

    @classmethod
    def test(cls, context: Context) -> int:
        """`-t`: everything that is wrong, OSSEC's lines first."""
        options = context.internal
        for option in ("syscheck.sleep", "syscheck.sleep_after", "syscheck.debug", "rootcheck.sleep"):
            options.get(option)
        if is_agent(context):
            allowed = bool(options.get("logcollector.remote_commands"))
            lines, status = agent_conf.check(context.layout, context.config_path, NAME, remote_commands=allowed)
        else:
            lines, status = check(context.layout, context.config_path, NAME)
        for line in lines:
            log.info("%s", line, extra=ready_made)
        return status

    def _read(self, configuration: Configuration) -> None:
        settings = configuration.syscheck
        if not settings.directories:
            log.info("No directory provided for syscheck to monitor.", extra=code(1702))
        if settings.disabled or not settings.directories:
            log.warning("Syscheck disabled.")
        for kind, exclusions in (("ignore", settings.ignore), ("nodiff", settings.nodiff)):
            for exclusion in exclusions:
                if not exclusion.text:
                    log.warning("%s: an empty <%s> has no effect.", exclusion.place, kind)
        if configuration.rootcheck.disabled:
            log.info("%s: Rootcheck disabled. Exiting.", "rootcheck", extra=ready_made)
            log.warning("Rootcheck module disabled.")
        self._settings = settings
        self.policy = Policy.make(settings, (lambda _: []) if settings.disabled else expand_glob)
        if settings.disabled:
            self.policy = Policy((), self.policy.ignore, self.policy.nodiff)

    # life
    def prepare(self) -> None:
        """Scheduled as work that nobody waits for, as OSSEC's."""
        try:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        except OSError as error:
            log.debug("The scheduling class stays as it is: %s", error.strerror)

    def open(self) -> None:
        os.chdir("/")
        self.sender = Sender(self.loop, Outbox(self.layout.event_queue), self.layout.wait_file, self._may_send)
        self.sender.connect()
        self.baseline = Baseline(self.layout.syscheck_baseline)
        self._timers: list[Timer] = [
            self.loop.call_every(LOOK, self._look),
            self.loop.call_every(COMMIT_INTERVAL, self._commit),
        ]
        self._begin_work()
        self.loop.call_soon(self._introduce)

    def _begin_work(self) -> None:
        """Workers and lanes for the policy."""
        copies = Copies(os.fsencode(self.layout.diff_dir / "local"), self._max_file)
        examiner = Examiner(copies, self.policy.prefilter)
        self._ledger = Ledger(self.policy, self.baseline, self.sender.send, self._look_again, self._forget_copies)
        self.workers: list[Worker] = []
        self.live: Live | None = None
        if not self.policy.entries:
            return
        count = 1 if self._pace[0] else self._max_workers
        self.workers = [Worker(self.loop, examiner, copies, self._go_on) for _ in range(count)]
        self._lane = Lane(self._ledger, self.workers)
        if any(entry.realtime for entry in self.policy.entries):
            own = Worker(self.loop, examiner, copies, self._go_on)
            try:
                self.live = Live(self.loop, self.policy, self.baseline, Lane(self._ledger, [own]), self._is_free)
            except OSError as error:
                own.close()
                log.error("Unable to initialize real time file monitoring: %s", error.strerror)
            else:
                self.workers.append(own)
                self._ledger.shared = True

    def _end_work(self) -> None:
        for running in (self._scan, self._survey):
            if running is not None:
                running.stop()
        self._scan = self._survey = None
        if self.live is not None:
            self.live.close()
            self.live = None
        for worker in self.workers:
            worker.close()
        self.workers = []

    def _introduce(self) -> None:
        """After `Started`: what is watched; then the first scan, or the survey alone."""
        for entry in self.policy.entries:
            log.info("Monitoring directory: '%s', with options %s.", os.fsdecode(entry.path), entry.describe())
        if self.policy.entries:
            for name in self.policy.ignore.plain:
                log.info("ignoring: '%s'", name)
            for name in self.policy.nodiff.plain:
                log.info("No diff for file: '%s'", name)
        for entry in self.policy.entries:
            if entry.realtime:
                log.info("Directory set for real time monitoring: '%s'.", os.fsdecode(entry.path))
        settings = self._settings
        self.schedule = Schedule(
            settings.frequency if settings.frequency is not None else DEFAULT_FREQUENCY,
            settings.scan_time,
            settings.scan_day,
            time.time(),
        )
        if not self.policy.entries:
            self._say_completed()
        elif settings.scan_on_start:
            self._begin_scan()
        else:
            self._begin_survey(lambda: None)

    def reload(self) -> None:
        """A new policy, and a scan by it: what it no longer covers is forgotten, what is new is told."""
        configuration = load_configuration(self.context)
        self._end_work()
        self._read(configuration)
        self._begin_work()
        self._first = True
        self._introduce()

    def close(self) -> None:
        self._end_work()
        deadline = self.loop.now() + STOP_LIMIT
        while not self.sender.free and self.loop.now() < deadline:
            self.loop.turn(deadline - self.loop.now())
        if self.sender.free:
            self.baseline.commit()
        else:
            log.warning("The queue did not take everything in time; the rest is told again after the next start.")
            self.baseline.rollback()
        self.sender.close()
        self.baseline.close()

    def state(self) -> Mapping[str, object]:
        if not hasattr(self, "baseline"):
            return {}
        scan = self._scan
        done = scan.files if scan is not None else 0
        total = max(self._total, done)
        return {
            "scan": ("first" if self._first else "running") if scan is not None or self._survey is not None else "none",
            "scan_files": done,
            "scan_total": total if scan is not None else 0,
            "scan_percent": 100 * done // total if scan is not None and total else 0,
            "scan_begin": int(self._last_begin),
            "scan_end": int(self._last_end),
            "files": self.baseline.count,
            "messages": self.sender.messages,
            "realtime_folders": len(self.live.watches) if self.live is not None else 0,
            "realtime_waiting": self.live.waiting if self.live is not None else 0,
        }

    # scans
    def _look(self) -> None:
        """Is one due?"""
        asked = self.layout.syscheck_run_file
        if asked.exists():
            asked.unlink(missing_ok=True)
            self.schedule.ask()
        if self.policy.entries and self._scan is None and self._survey is None and self.schedule.due(time.time()):
            self._begin_scan()

    def _begin_scan(self) -> None:
        self._last_begin = time.time()
        if self._first:
            log.info("Starting syscheck scan (forwarding database).")
        else:
            log.info("Starting syscheck scan.")
        self._say(b"Starting syscheck scan.")
        if self._first:
            log.info("Starting syscheck database (pre-scan).")
            self._begin_survey(self._scan_everything)
        else:
            self._scan_everything()

    def _begin_survey(self, then: Callable[[], None]) -> None:
        if self.live is not None:
            log.info("Initializing real time file monitoring (not started).")
            self.live.start()

        def ended() -> None:
            assert self._survey is not None
            self._total = self._survey.files
            self._survey = None
            if self.live is not None:
                log.info("Real time file monitoring started.")
            then()

        self._survey = Survey(self.loop, self.policy, self._entered, ended)
        self._survey.run()

    def _scan_everything(self) -> None:
        self._scan = Scan(
            self.loop,
            self.policy,
            self.baseline,
            self._lane,
            forward=self._first,
            pace=self._pace,
            free=self._is_free,
            entered=self._entered,
            ended=self._scan_ended,
        )
        self._scan.run()

    def _scan_ended(self) -> None:
        assert self._scan is not None
        self._total = self._scan.files
        self._scan = None
        self._last_end = time.time()
        self.schedule.ended(self._last_end)
        self._say(b"Ending syscheck scan.")
        if self._first:
            log.info("Finished creating syscheck database (pre-scan completed).")
            log.info("Ending syscheck scan (forwarding database).")
        else:
            log.info("Ending syscheck scan.")
        self._first = False
        self._say_completed()
        if any(entry.report_changes for entry in self.policy.entries):
            self.workers[0].prune(self._diff_quota)

    def _say(self, text: bytes) -> None:
        self.sender.send([queue.encode(queue.ROOTCHECK, ROOTCHECK_LOCATION, text)])

    def _say_completed(self) -> None:
        self.sender.send([queue.encode(queue.SYSCHECK, syscheck.LOCATION, syscheck.COMPLETED)])

    # what wakes us
    def _entered(self, folder: bytes) -> None:
        if self.live is not None:
            self.live.enter(folder)

    def _is_free(self) -> bool:
        return self.sender.free

    def _may_send(self) -> None:
        self._go_on()

    def _go_on(self) -> None:
        """A worker has room, or the queue."""
        if self.live is not None:
            self.live.run()
        if self._scan is not None:
            self._scan.run()

    def _look_again(self, path: bytes) -> None:
        if self.live is not None:
            self.live.look_again(path)

    def _forget_copies(self, path: bytes) -> None:
        owner = self.policy.owner(path)
        if owner is not None and owner.report_changes:
            self.workers[-1].forget(path)

    def _commit(self) -> None:
        if self.sender.free and self.baseline.changed:
            self.baseline.commit()
