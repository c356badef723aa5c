"""ossec-logcollector: the shell.

One epoll loop: inotify and FIFOs say what to read at once, a timer makes the passes, pipes bring what commands and the
journal say.  All of it becomes work for `HandOver`, which sends it in order and waits when the queue is behind; after
each batch the position that it reached is saved.
"""

from __future__ import annotations

import functools
import logging
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Mapping

from ossec.config import Configuration, agent_conf, check, load
from ossec.config.kind import Kind, home_kind
from ossec.config.model import Localfile
from ossec.daemon import Context, Service
from ossec.daemon.log import ready_made
from ossec.errors import ConfigError
from ossec.logcollector.children import CommandRun, Inputs, JournalReader
from ossec.logcollector.collector import KNOWN, Batch, Collector, Run, Steps, Tracked
from ossec.logcollector.disk import LocalDisk
from ossec.logcollector.handover import HandOver, Parcel
from ossec.logcollector.journal import CURSOR_SHAPE, Journal
from ossec.logcollector.readers import BadFormat, is_file_format, prepare
from ossec.logcollector.sources import JOURNAL_FORMAT, Source
from ossec.logcollector.store import PositionStore
from ossec.logcollector.watches import Watches
from ossec.queues import Outbox

NAME = "ossec-logcollector"
STOP_LIMIT = 5.0  # seconds to hand over what is there at a stop; what is left is read again at the next start
JOURNAL_KEY = b"journald:"  # the journal's name in the table of positions; no path begins like it
MAX_STALE = 1000  # names that have gone, in the table of positions
READ_SIZE = 64 * 1024  # bytes taken from a FIFO at a time
JOURNAL_DIRECTORY = "OSSEC_JOURNAL_DIRECTORY"  # environment: another journal than the machine's

log = logging.getLogger("ossec.logcollector")


class RefusedFormat(ConfigError):
    """A format's attributes are wrong; `lines` are ready to print."""

    def __init__(self, source: Source, error: BadFormat, path: object) -> None:
        super().__init__(error.message)
        refused = f"{NAME}(1202): ERROR: Configuration error at '{path}'. Exiting."
        self.lines = (
            f"{NAME}: ERROR: {source.place + ': ' if source.place else ''}{error.message}",
            f"{NAME}(1235): ERROR: Invalid value for element 'log_format': {source.log_format}.",
            refused,
            refused,
        )


def to_source(localfile: Localfile) -> Source:
    """The core's view of a `<localfile>`."""

    def raw(text: str | None) -> bytes:
        return (text or "").encode("utf-8", "surrogateescape")

    return Source(
        log_format=localfile.log_format,
        location=raw(localfile.location),
        attributes=localfile.attributes,
        command=raw(localfile.command),
        alias=raw(localfile.alias),
        frequency=localfile.frequency,
        place=str(localfile.place),
    )


def is_agent(context: Context) -> bool:
    """Whether this home is an agent's, to which the server's agent.conf applies (on a server it is for others)."""
    return home_kind(context.layout) is Kind.AGENT


def load_configuration(context: Context) -> Configuration:
    """ossec.conf and, on an agent, agent.conf."""
    if is_agent(context):
        allowed = bool(context.internal.get("logcollector.remote_commands"))
        return agent_conf.load(context.layout, context.config_path, NAME, remote_commands=allowed)
    return load(context.layout, context.config_path, NAME)


def load_sources(context: Context) -> list[Source]:
    """What the configuration asks for; a ConfigError with the lines to print."""
    configuration = load_configuration(context)
    for line in configuration.warnings:
        log.info("%s", line, extra=ready_made)
    sources = [to_source(localfile) for localfile in configuration.localfiles]
    refuse_bad_formats(sources, context)
    return sources


def refuse_bad_formats(sources: list[Source], context: Context) -> None:
    for source in sources:
        if is_file_format(source.log_format):
            try:
                prepare(source)
            except BadFormat as error:
                raise RefusedFormat(source, error, context.config_path) from None


class Logcollector(Service):
    name = NAME
    summary = "Follow log files, commands and the journal, and pass on what they say."
    group = None  # root reads every log; nothing is given up
    flags = "c"
    debug_option = "logcollector.debug"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._options = context.internal
        self.loop_timeout = self._options.get("logcollector.loop_timeout")
        self._options.get("logcollector.open_attempts")  # checked as OSSEC does; ours never gives a file up
        self._resumes = bool(self._options.get("logcollector.resume"))
        self._command_timeout = self._options.get("logcollector.command_timeout")
        self._sources = load_sources(context)
        self.disk = LocalDisk()
        self.collector = self._make(self._sources)
        self.journal: JournalReader | None = None
        self._cursor: bytes | None = None

    @classmethod
    def test(cls, context: Context) -> int:
        """`-t`: everything that is wrong, OSSEC's lines first."""
        for option in ("loop_timeout", "open_attempts", "remote_commands", "debug", "resume", "command_timeout"):
            context.internal.get(f"logcollector.{option}")
        if is_agent(context):
            allowed = bool(context.internal.get("logcollector.remote_commands"))
            lines, status = agent_conf.check(context.layout, context.config_path, NAME, remote_commands=allowed)
        else:
            lines, status = check(context.layout, context.config_path, NAME)
        for line in lines:
            log.info("%s", line, extra=ready_made)
        if status == 0:
            configuration = load_configuration(context)
            refuse_bad_formats([to_source(localfile) for localfile in configuration.localfiles], context)
        return status

    def _make(self, sources: list[Source]) -> Collector:
        return Collector(sources, self.disk, host=os.fsencode(socket.gethostname()))

    # life
    def prepare(self) -> None:
        """Thousands of files may be open at once: take as many descriptors as we may."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def open(self) -> None:
        os.chdir("/")
        self.inputs = Inputs(self.loop)
        self.store = PositionStore(self.layout.logcollector_positions)
        self.runs: set[CommandRun] = set()
        self._fifos: dict[int, tuple[Tracked, Callable[[], None]]] = {}
        self._pass_waits = False
        self._serve_waits = False
        self._dirty: set[bytes] = set()  # names to read; bounded by the names that are followed or would be
        self.handover = HandOver(self.loop, Outbox(self.layout.event_queue), self.layout.wait_file, self.inputs.pause)
        self.handover.connect()
        self.watches = Watches(self.loop, self._changed)
        self._start(self.store.load() if self._resumes else {})
        self.loop.after_turn(self._follow_handles)
        self.loop.call_every(self.loop_timeout, self._tick)

    def _start(self, saved: Mapping[bytes, bytes]) -> None:
        """Open what the collector follows, at the saved positions."""
        self.collector.start(time.time(), self.loop.now(), saved)
        self.journal = self._open_journal(saved)
        self.collector.names_changed = False
        if self._resumes:
            self.store.replace(self._saved())
        self._follow_handles()
        self._changed(None)  # what grew while we were away

    def _open_journal(self, saved: Mapping[bytes, bytes]) -> JournalReader | None:
        wanted = [source.location for source in self._sources if source.log_format == JOURNAL_FORMAT]
        if not wanted:
            return None
        cursor = saved.get(JOURNAL_KEY, b"")
        self._cursor = cursor if CURSOR_SHAPE.match(cursor) else None
        reader = JournalReader(
            Journal(wanted),
            self.loop,
            self.inputs,
            self.handover.add_parcel,
            self._keep_cursor,
            self._cursor,
            os.environ.get(JOURNAL_DIRECTORY),
        )
        reader.start()
        return reader

    def reload(self) -> None:
        """New sources; what both configurations follow goes on where it was."""
        sources = load_sources(self.context)
        new = self._make(sources)
        self.handover.add(self._switch(sources, new))

    def _switch(self, sources: list[Source], new: Collector) -> Iterator[Parcel]:
        old = self.collector
        yield from self._parcels(old, old.finish())
        saved = self._saved()
        old.close()
        if self.journal is not None:
            self.journal.close()
            if self.journal.cursor is not None:
                saved[JOURNAL_KEY] = self.journal.cursor  # what was read beyond the kept one is on its way
        last_runs = {entry.source: entry.command for entry in old.entries if entry.command is not None}
        self._sources, self.collector = sources, new
        self._start(saved)
        for entry in new.entries:
            before = last_runs.get(entry.source)
            if entry.command is not None and before is not None:
                entry.command = before
        log.info("The configuration was read again: %d sources.", len(sources))

    def close(self) -> None:
        """Read what is there, send what is held; then only what was sent counts as read."""
        if self.journal is not None:
            self.journal.close()
        for run in list(self.runs):
            run.kill()
        self.handover.add(self._parcels(self.collector, self.collector.finish()))
        deadline = self.loop.now() + STOP_LIMIT
        while not self.handover.idle and self.loop.now() < deadline:
            self.loop.turn(deadline - self.loop.now())
        if not self.handover.idle:
            log.warning("The queue did not take everything in time; the rest is read again at the next start.")
        self.handover.close()
        self.watches.close()
        self.collector.close()
        self.store.close()

    def state(self) -> Mapping[str, object]:
        return {
            "sources": len(self._sources),
            "files": sum(tracked.handle is not None for tracked in self.collector.all_tracked()),
            "messages": self.handover.messages,
            "passes": self.collector.passes,
        }

    # what wakes us
    def _tick(self) -> None:
        """A pass, unless the one before still waits for the queue."""
        if not self._pass_waits:
            self._pass_waits = True
            self.watches.follow_directories(self.collector)
            self.handover.add(self._one_pass(self.collector))

    def _one_pass(self, collector: Collector) -> Iterator[Parcel]:
        yield from self._parcels(collector, collector.run_pass(time.time(), self.loop.now()))
        self._pass_waits = False

    def _changed(self, paths: set[bytes] | None) -> None:
        """Something happened to these files (None: perhaps to all): read them as soon as what waits is sent."""
        collector = self.collector
        if paths is None:
            self._dirty.update(tracked.follower.path for tracked in collector.all_tracked())
        else:
            self._dirty.update(path for path in paths if collector.concerns(path))
        if self._dirty and not self._serve_waits:
            self._serve_waits = True
            self.handover.add(self._serve())

    def _serve(self) -> Iterator[Parcel]:
        self._serve_waits = False
        paths, self._dirty = self._dirty, set()
        yield from self._parcels(self.collector, self.collector.serve(time.time(), paths))

    def _parcels(self, collector: Collector, steps: Steps) -> Iterator[Parcel]:
        """The collector's steps as work; those of a collector that was replaced meanwhile come to nothing."""
        while collector is self.collector:
            step = next(steps, None)
            if step is None:
                self._save_new_names()  # now: all that came out has been sent, so positions are true
                return
            if isinstance(step, Run):
                self._run(step)
            else:
                yield self._parcel(step)

    def _parcel(self, batch: Batch) -> Parcel:
        follower = batch.follower
        if follower is None or not self._resumes:
            return Parcel(batch.datagrams)

        def save() -> None:
            position = follower.position()
            if position is not None:
                self.store.put(follower.path, position.encode())

        return Parcel(batch.datagrams, save)

    def _save_new_names(self) -> None:
        """Names that came are known from now on; the table is written anew when too many of its names have gone."""
        collector = self.collector
        if not collector.names_changed or not self._resumes:
            return
        collector.names_changed = False
        values = self.store.values
        for entry in collector.entries:
            for path, tracked in entry.tracked.items():
                if path not in values:
                    position = tracked.follower.position()
                    self.store.put(path, KNOWN if position is None else position.encode())
        if len(values) > 2 * sum(len(entry.tracked) + 1 for entry in collector.entries) + MAX_STALE:
            self.store.replace(self._saved())

    def _follow_handles(self) -> None:
        """Watches and FIFOs follow the files that are open, once per turn of the loop."""
        if self.collector.handles_changed:
            self.collector.handles_changed = False
            self._follow_fifos()
            new = self.watches.follow(self.collector)
            if new:
                self._changed(new)

    def _saved(self) -> dict[bytes, bytes]:
        saved = self.collector.saved()
        if self.journal is not None and self._cursor is not None:
            saved[JOURNAL_KEY] = self._cursor
        return saved

    def _keep_cursor(self, cursor: bytes) -> None:
        self._cursor = cursor
        if self._resumes:
            self.store.put(JOURNAL_KEY, cursor)

    # FIFOs and commands
    def _follow_fifos(self) -> None:
        wanted = {
            tracked.handle: tracked
            for tracked in self.collector.all_tracked()
            if not tracked.regular and tracked.handle is not None and self.disk.is_stream(tracked.handle)
        }
        for handle, (tracked, read) in list(self._fifos.items()):
            if wanted.get(handle) is not tracked:
                self.inputs.remove(handle, read)
                del self._fifos[handle]
        for handle, tracked in wanted.items():
            if handle not in self._fifos:
                read = functools.partial(self._read_fifo, handle)
                self._fifos[handle] = tracked, read
                self.inputs.add(handle, read)

    def _read_fifo(self, handle: int) -> None:
        try:
            data = os.read(handle, READ_SIZE)
        except OSError:
            return
        tracked, _ = self._fifos[handle]
        if not data:  # opened for reading only, and its writers have gone: the next pass opens it again
            self.inputs.remove(handle)
            del self._fifos[handle]
            self.collector.reopen(tracked)
            return
        batch = self.collector.stream(tracked, data)
        if batch.datagrams:
            self.handover.add_parcel(batch.datagrams, None)

    def _run(self, step: Run) -> None:
        try:
            run = CommandRun(step.command, self.loop, self.inputs, self.handover.add_parcel, self._run_ended)
        except OSError as error:
            shown = step.command.source.command.decode("utf-8", "surrogateescape")
            log.error("The command '%s' cannot be run: %s", shown, error.strerror)
            return
        self.runs.add(run)
        if self._command_timeout:
            run.limit(self.loop, self._command_timeout)

    def _run_ended(self, run: CommandRun) -> None:
        """Its output has ended; the process itself may take a moment more."""
        self.runs.discard(run)
        self._reap(run)

    def _reap(self, run: CommandRun) -> None:
        if run.process.poll() is None:
            self.loop.call_later(self.loop_timeout, lambda: self._reap(run))
