"""All sources in passes: what to open, read, send and run, in which order (spec/logcollector.md, sections 4 and 9).

A pass visits the sources in configuration order and takes all that is there.  Between two passes the shell may ask to
`serve` files that it heard of; what they yield belongs to the next pass.  Everything that is to be performed comes
out of generators, one `Batch` or `Run` at a time: while the receiver is behind, the shell does not ask for the next,
so reading pauses and nothing is skipped.  After a batch has been handed over, `Batch.follower.position()` may be saved.

The disk is a port (`Disk`), so that tests drive the same code on a virtual one.
"""

from __future__ import annotations

import functools
import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ossec.logcollector.commands import Command
from ossec.logcollector.follower import Disk, Follower, Seen, Verdict
from ossec.logcollector.positions import MARK_LENGTH, BadPosition, Position
from ossec.logcollector.readers import BadLocation, Complaints, Factory, Reader, Target, prepare
from ossec.logcollector.resume import COMPRESSED, continues, files_between, find_predecessor
from ossec.logcollector.sources import COMMAND_FORMATS, JOURNAL_FORMAT, WINDOWS_FORMATS, Source
from ossec.messages.queue import LOCAL, encode

log = logging.getLogger("ossec.logcollector")

BLOCK = 64 * 1024  # bytes read at a time: what a crash may repeat
MARK_PASSES = 65  # passes between two marks
MAX_MARK = 679  # random characters of a mark
MARK_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!@#$%^&*()_+-=;'[],./?"
LINGER_PASSES = 15  # a replaced or vanished file is still read that long: its writer may not have noticed yet
MAX_LATE = 256  # such files at a time
REMEMBERED = 16  # earlier files of a name that are known to be read: more than rotate in the time that they linger
MAX_FILES = 10_000  # followed at a time; a glob that finds more is cut, with a warning
KNOWN = b"known"  # the saved value of a name that was asked for before: files that are new there begin at byte 0


class Batch(NamedTuple):
    """Datagrams to hand over, in order; then the follower's position may be saved."""

    datagrams: list[bytes]
    follower: Follower | None = None


class Run(NamedTuple):
    """A command to start, beside the readers."""

    command: Command


Step = Batch | Run
Steps = Iterator[Step]


@dataclass(slots=True)
class Tracked:
    """One file that an entry follows."""

    follower: Follower
    renew: Callable[[], Reader]  # makes another reader like the follower's
    handle: int | None = None
    regular: bool = True
    absent: int = 0  # passes since the name led anywhere
    successors: list[bytes] = field(default_factory=list)  # files to read before the one that has the name now
    first: list[bytes] = field(default_factory=list)  # datagrams from before the first read
    read: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # earlier files of the name


@dataclass(slots=True)
class Entry:
    """One source and the files that it gives at the moment."""

    source: Source
    factory: Factory | None = None
    command: Command | None = None
    tracked: dict[bytes, Tracked] = field(default_factory=dict)
    dated_name: bytes = b""
    last_expanded: float = float("-inf")
    cut: bool = False


class Collector:
    """Every source of this host, as plain state around a `Disk`."""

    def __init__(
        self,
        sources: Iterable[Source],
        disk: Disk,
        *,
        local_time: Callable[[float], time.struct_time] = time.localtime,
        host: bytes = b"localhost",
        randomness: random.Random | None = None,
    ) -> None:
        """BadFormat (a ConfigError) for a source whose attributes do not fit its format."""
        self.disk = disk
        self.now = 0.0  # of the wall clock, as last told
        self._local_time = local_time
        self._host = host.partition(b".")[0]
        self._random = randomness or random.Random()
        self.entries = [Entry(source, self._factory(source)) for source in sources]
        self._complaints = Complaints()
        self.passes = 0
        self._late: list[Tracked] = []
        self.names_changed = True  # names came or went: the table of positions lacks some, or has too many
        self.handles_changed = True  # what the shell waits for must be looked at again

    @staticmethod
    def _factory(source: Source) -> Factory | None:
        special = {JOURNAL_FORMAT} | COMMAND_FORMATS | WINDOWS_FORMATS
        return None if source.log_format in special else prepare(source)

    # start
    def start(self, now: float, monotonic: float, saved: Mapping[bytes, bytes]) -> None:
        """Open every file: at its saved position, or (nothing saved) at its end."""
        self.now = now
        if not self.entries:
            log.info("No file configured to monitor.", extra={"ossec_code": 1905})
        for entry in self.entries:
            source = entry.source
            if source.log_format == JOURNAL_FORMAT:
                log.info("Analyzing journald log: '%s'.", _shown(source.location), extra={"ossec_code": 1951})
            elif source.log_format in COMMAND_FORMATS:
                if source.command:
                    entry.command = Command(source, monotonic)
                    entry.command.announce()
            elif entry.factory is not None:
                self._start_files(entry, saved)

    def _start_files(self, entry: Entry, saved: Mapping[bytes, bytes]) -> None:
        source = entry.source
        known = saved.get(source.location) == KNOWN
        if source.is_glob:
            paths = self._glob(entry)
        elif source.is_dated:
            entry.dated_name = source.dated(self._local_time(self.now))
            log.info("Monitoring variable log file: '%s'.", _shown(entry.dated_name), extra={"ossec_code": 1952})
            paths = [entry.dated_name]
        else:
            paths = [source.location]
        entry.last_expanded = self.now
        for path in paths:
            if self._is_followed(path):
                log.warning("Duplicated log file given: '%s'.", _shown(path))
                continue
            self._follow(entry, path, at_end=not known and path not in saved, saved=_decode(saved.get(path)))

    def _is_followed(self, path: bytes) -> bool:
        return any(path in entry.tracked for entry in self.entries)

    def _follow(self, entry: Entry, path: bytes, at_end: bool, saved: Position | None = None) -> Tracked | None:
        """Begin to follow a path; None where the format cannot."""
        assert entry.factory is not None
        renew = functools.partial(entry.factory, Target(path, self._syslog_head, self._complaints))
        try:
            reader = renew()
        except BadLocation:
            handle = self._open(path, complain=True)
            if handle is not None:
                self.disk.close(handle)
            log.info("Analyzing file: '%s'.", _shown(path), extra={"ossec_code": 1950})
            log.error("Invalid DJB multilog file: '%s'.", _shown(path), extra={"ossec_code": 1953})
            return None
        tracked = Tracked(Follower(path, reader), renew)
        self._resume(tracked, at_end, saved)
        entry.tracked[path] = tracked
        self.names_changed = True
        log.info("Analyzing file: '%s'.", _shown(path), extra={"ossec_code": 1950})
        if entry.source.log_format == "djb-multilog":
            program = path.split(b"/")[-2]
            log.info("Using program name '%s' for DJB multilog file: '%s'.", _shown(program), _shown(path))
        return tracked

    def _resume(self, tracked: Tracked, at_end: bool, saved: Position | None) -> None:
        path = tracked.follower.path
        handle = self._open(path, complain=saved is None)
        if saved is None:
            if handle is None:
                tracked.follower.complained = True
            else:
                self._begin(tracked, handle, None if at_end else 0)
            return
        tracked.follower.reader.recall(saved.memory)
        if handle is not None and continues(self.disk, handle, saved):
            self._begin(tracked, handle, saved.offset)
            return
        seen = None if handle is None else self.disk.seen(handle)
        predecessor = find_predecessor(self.disk, path, saved, self._is_followed)
        if predecessor is not None:
            if handle is not None:
                self.disk.close(handle)
            old, tracked.successors = predecessor
            self._begin(tracked, old, saved.offset)
        elif handle is not None and seen is not None:
            self._begin(tracked, handle, 0)
            follower = tracked.follower
            same = seen.identity == (saved.device, saved.inode)
            tracked.first = follower.rewritten() if same else [follower.rotation_note()]

    def _begin(self, tracked: Tracked, handle: int, offset: int | None) -> None:
        """Follow an open file from `offset` (None: its end)."""
        tracked.regular = self.disk.is_regular(handle)
        seen = self.disk.seen(handle)
        head = self.disk.read(handle, 0, MARK_LENGTH) if tracked.regular else b""
        start = (seen.size if offset is None else offset) if tracked.regular else 0
        tracked.handle = handle
        self.handles_changed = True
        tracked.absent = 0
        tracked.follower.seekable = tracked.regular
        tracked.follower.opened(seen, head, start)

    def _open(self, path: bytes, complain: bool) -> int | None:
        try:
            return self.disk.open(path)
        except OSError as error:
            if complain:
                report_unopened(path, error)
            return None

    def _syslog_head(self) -> bytes:
        return time.strftime("%b %d %H:%M:%S ", self._local_time(self.now)).encode("ascii") + self._host + b" "

    # passes
    def run_pass(self, now: float, monotonic: float) -> Steps:
        """One pass over everything, then its timers, then the mark when it is due."""
        self.now = now
        self.passes += 1
        for entry in self.entries:
            if entry.command is not None and entry.command.is_due(self.passes, monotonic):
                yield Run(entry.command)
            elif entry.factory is not None:
                yield from self._expand(entry)
                for tracked in list(entry.tracked.values()):
                    yield from self._visit(tracked)
                    yield from self._tick(tracked)
        yield from self._visit_late()
        self._complaints.tick()
        if self.passes % MARK_PASSES == 0:
            yield Batch([self._mark()])

    def serve(self, now: float, paths: Iterable[bytes]) -> Steps:
        """Read files between two passes; names that nothing follows may be new matches of globs."""
        self.now = now
        wanted = set(paths)
        unknown = wanted.copy()
        for entry in self.entries:
            for path in wanted & entry.tracked.keys():
                unknown.discard(path)
                yield from self._visit(entry.tracked[path])
        for path in sorted(unknown):
            entry_of = next((entry for entry in self.entries if self._would_find(entry, path)), None)
            if entry_of is not None:
                yield from self._follow_new(entry_of, path)
                entry_of.tracked = dict(sorted(entry_of.tracked.items()))
                if path in entry_of.tracked:
                    yield from self._visit(entry_of.tracked[path])
        for late in self._late:
            if late.follower.path in wanted:
                yield from self._drain(late)

    def finish(self) -> Steps:
        """A clean end: what is there is read, what is held is sent as it is; unfinished lines stay in their files."""
        for entry in self.entries:
            for tracked in entry.tracked.values():
                yield from self._visit(tracked)
                yield Batch(tracked.follower.flush(), tracked.follower)
        for late in self._late:
            yield from self._drain(late)
            yield Batch(late.follower.finish())

    def close(self) -> None:
        for entry in self.entries:
            for tracked in entry.tracked.values():
                self._close(tracked)
        for late in self._late:
            self._close(late)
        self._late.clear()

    def stream(self, tracked: Tracked, data: bytes) -> Batch:
        """Bytes from a FIFO."""
        return Batch(tracked.follower.take_stream(data))

    def reopen(self, tracked: Tracked) -> None:
        """A FIFO whose writers have gone: the next pass opens it again."""
        self._close(tracked)

    def all_tracked(self) -> Iterator[Tracked]:
        for entry in self.entries:
            yield from entry.tracked.values()
        yield from self._late

    def saved(self) -> dict[bytes, bytes]:
        """All that the table of positions must hold now."""
        table = {}
        for entry in self.entries:
            if entry.factory is None:
                continue
            table[entry.source.location] = KNOWN
            for path, tracked in entry.tracked.items():
                position = tracked.follower.position()
                table[path] = position.encode() if position is not None else KNOWN
        return table

    # one file
    def _visit(self, tracked: Tracked) -> Steps:
        """Take all that is there, through rotation and truncation."""
        follower = tracked.follower
        if tracked.first:
            datagrams, tracked.first = tracked.first, []
            yield Batch(datagrams, follower)
        while True:
            name_path = tracked.successors[0] if tracked.successors else follower.path
            name = self.disk.look(name_path)
            if name is None and tracked.successors:
                del tracked.successors[0]
                continue
            tracked.absent = 0 if name is not None else tracked.absent
            if tracked.handle is None:
                opened = name is not None and self._open_again(tracked, name_path)
                if tracked.successors:
                    del tracked.successors[0]
                elif not opened:
                    return
                continue
            held = self.disk.seen(tracked.handle)
            if not tracked.regular:
                if name is not None and name.identity != follower.identity:
                    yield from self._replace(tracked)
                    continue
                return
            verdict = follower.judge(held, name)
            if verdict is not Verdict.REWRITTEN and follower.wants_head(held):
                head = self.disk.read(tracked.handle, 0, MARK_LENGTH)
                verdict = verdict if follower.begins_as_before(head) else Verdict.REWRITTEN
            if verdict is Verdict.REWRITTEN:
                yield from self._read_copy(tracked)
                yield Batch(follower.rewritten(), follower)
                continue
            if verdict is not Verdict.IDLE:
                yield from self._drain(tracked)
            if verdict is Verdict.REPLACED:
                yield from self._replace(tracked)
                continue
            if verdict is Verdict.GONE and not follower.complained:
                follower.complained = True
                report_unopened(follower.path, FileNotFoundError(2, os.strerror(2)))
            return

    def _drain(self, tracked: Tracked) -> Steps:
        """Read the open file to its end."""
        follower = tracked.follower
        assert tracked.handle is not None
        while True:
            before = follower.offset
            block = self.disk.read(tracked.handle, follower.read_from, BLOCK)
            datagrams = follower.take(block)
            if datagrams is None:
                yield Batch(follower.rewritten(), follower)
                continue
            if follower.offset == before:
                return
            yield Batch(datagrams, follower)
            if len(block) < BLOCK:
                return

    def _read_copy(self, tracked: Tracked) -> Steps:
        """The file was truncated: if it was copied before (logrotate's copytruncate), read the copies to their ends."""
        follower = tracked.follower
        position = follower.position()
        if position is None or not position.offset:
            return
        read = self._known(tracked)
        found = find_predecessor(self.disk, follower.path, position, self._is_followed, read)
        if found is None:
            return
        truncated = tracked.handle
        tracked.handle, later = found
        while tracked.handle is not None:
            tracked.read.append(self.disk.seen(tracked.handle).identity)
            yield from self._drain(tracked)
            self.disk.close(tracked.handle)
            tracked.handle = self._open(later.pop(0), complain=False) if later else None
            if tracked.handle is not None:
                yield Batch(follower.rewritten(), follower)
        tracked.handle = truncated

    def _replace(self, tracked: Tracked) -> Steps:
        """The name leads to another file: leave the old one to `_late`, open the new one from its beginning."""
        follower = tracked.follower
        if tracked.regular and tracked.handle is not None and not tracked.successors:
            tracked.successors = self._unread_since(tracked, self.disk.seen(tracked.handle))
        if follower.identity is not None:
            tracked.read.append(follower.identity)
        old = follower.split_off(tracked.renew())
        late = Tracked(old, tracked.renew, tracked.handle, tracked.regular)
        yield Batch(follower.replaced(), None)
        tracked.handle = None
        self._linger(late)
        path = tracked.successors.pop(0) if tracked.successors else follower.path
        self._open_again(tracked, path)
        yield Batch([], follower)

    def _unread_since(self, tracked: Tracked, old: Seen) -> list[bytes]:
        """Files that had the name between two looks of ours: rotated away before we saw them."""
        path = tracked.follower.path
        known = self._known(tracked)
        name = self.disk.look(path)
        if name is not None:
            known.add(name.identity)
        return [found for found in files_between(self.disk, path, old.changed, known) if not self._is_followed(found)]

    def _known(self, tracked: Tracked) -> set[tuple[int, int]]:
        """Files that are read or were, as far as we remember."""
        known = {other.follower.identity for other in self.all_tracked() if other.follower.identity is not None}
        return known.union(tracked.read)

    def _open_again(self, tracked: Tracked, path: bytes) -> bool:
        """A file came (back): it is read from its beginning."""
        follower = tracked.follower
        handle = self._open(path, complain=not follower.complained)
        if handle is None:
            follower.complained = True
            return False
        first_time = follower.complained
        self._begin(tracked, handle, 0)
        if first_time:
            log.info("Analyzing file: '%s'.", _shown(follower.path), extra={"ossec_code": 1950})
        return True

    def _tick(self, tracked: Tracked) -> Steps:
        datagrams = tracked.follower.tick()
        if datagrams:
            yield Batch(datagrams, tracked.follower)

    # files whose name is no longer theirs
    def _linger(self, late: Tracked) -> None:
        if late.handle is None:
            return
        if not late.regular or len(self._late) >= MAX_LATE or self._held_elsewhere(late):
            self._close(late)
            return
        late.absent = 0
        self._late.append(late)

    def _held_elsewhere(self, late: Tracked) -> bool:
        """Whether another name of ours leads to the same file (a glob that matches the rotated name as well)."""
        identity = late.follower.identity
        return any(
            tracked.follower.identity == identity and tracked.handle != late.handle
            for entry in self.entries
            for tracked in entry.tracked.values()
        )

    def _visit_late(self) -> Steps:
        for late in list(self._late):
            yield from self._drain(late)
            yield from self._tick(late)
            late.absent += 1
            if late.absent >= LINGER_PASSES:
                self._late.remove(late)
                yield Batch(late.follower.finish())
                self._close(late)

    def _close(self, tracked: Tracked) -> None:
        if tracked.handle is not None:
            self.disk.close(tracked.handle)
            tracked.handle = None
            self.handles_changed = True
        tracked.follower.closed()

    # names that change
    def _glob(self, entry: Entry) -> list[bytes]:
        pattern = entry.source.location
        paths = self.disk.glob(pattern)
        if not paths and entry.source.is_dated:
            paths = self.disk.glob(entry.source.dated(self._local_time(self.now)))
        if not pattern.endswith(COMPRESSED):
            paths = [path for path in paths if not path.endswith(COMPRESSED)]
        if len(paths) > MAX_FILES:
            if not entry.cut:
                entry.cut = True
                log.warning("'%s' matches %d files; %d are followed.", _shown(pattern), len(paths), MAX_FILES)
            paths = paths[:MAX_FILES]
        return paths

    def concerns(self, path: bytes) -> bool:
        """Whether something that happened to this path is for `serve`."""
        return self._is_followed(path) or any(self._would_find(entry, path) for entry in self.entries)

    @staticmethod
    def _would_find(entry: Entry, path: bytes) -> bool:
        source = entry.source
        return (
            entry.factory is not None
            and source.is_glob
            and source.matches(path)
            and len(entry.tracked) < MAX_FILES
            and (not path.endswith(COMPRESSED) or source.location.endswith(COMPRESSED))
        )

    def _expand(self, entry: Entry) -> Steps:
        """New matches of a glob, a new date: followed from the beginning.  Names that vanished are let go."""
        source = entry.source
        if source.is_glob:
            yield from self._expand_glob(entry)
        elif source.is_dated:
            name = source.dated(self._local_time(self.now))
            if name != entry.dated_name and not self._is_followed(name):
                yield from self._let_go(entry, entry.dated_name)
                entry.dated_name = name
                log.info("Monitoring variable log file: '%s'.", _shown(name), extra={"ossec_code": 1952})
                self._follow(entry, name, at_end=False)

    def _expand_glob(self, entry: Entry) -> Steps:
        paths = self._glob(entry)
        present = set(paths)
        for path in [path for path in entry.tracked if path not in present]:
            tracked = entry.tracked[path]
            tracked.absent += 1
            if tracked.absent >= LINGER_PASSES:
                yield from self._let_go(entry, path)
        if present <= entry.tracked.keys():
            return
        for path in paths:
            if path not in entry.tracked and not self._is_followed(path):
                yield from self._follow_new(entry, path)
        entry.tracked = dict(sorted(entry.tracked.items()))

    def _follow_new(self, entry: Entry, path: bytes) -> Steps:
        """A name that was not there before.  If it is a file of ours under a new name, only what is new is read."""
        seen = self.disk.look(path)
        if seen is None:
            return
        owner = next((other for other in self.all_tracked() if other.follower.identity == seen.identity), None)
        if owner is None:
            self._follow(entry, path, at_end=False)
            return
        if owner not in self._late:
            yield from self._visit(owner)  # which may find that its name leads elsewhere now
        old = next((late for late in self._late if late.follower.identity == seen.identity), owner)
        tracked = self._follow(entry, path, at_end=True)
        if tracked is None or tracked.handle is None:
            return
        self._begin(tracked, tracked.handle, old.follower.position_offset())
        if old in self._late:
            self._late.remove(old)
            self._close(old)

    def _let_go(self, entry: Entry, path: bytes) -> Steps:
        tracked = entry.tracked.pop(path, None)
        if tracked is None:
            return
        self.names_changed = True
        if tracked.handle is not None and tracked.regular:
            yield from self._drain(tracked)
        yield Batch(tracked.follower.flush())
        self._linger(tracked)

    def _mark(self) -> bytes:
        characters = self._random.choices(MARK_CHARACTERS, k=self._random.randint(0, MAX_MARK))
        return encode(LOCAL, b"ossec-keepalive", b"--MARK--: " + "".join(characters).encode("ascii"))


def report_unopened(path: bytes, error: OSError) -> None:
    """OSSEC's 1103."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    log.error(
        "Could not open file '%s' due to [(%d)-(%s)].",
        _shown(path),
        error.errno or 0,
        reason,
        extra={"ossec_code": 1103},
    )


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _decode(value: bytes | None) -> Position | None:
    """A saved position; None for a name that only was asked for, or a value that is none."""
    if value is None or value == KNOWN:
        return None
    try:
        return Position.decode(value)
    except BadPosition:
        return None
