"""Who is blocked, until when, and which script runs next (spec/active-response.md, sections 4 and "better", 2 to 5).

Theory of operation.  A *block* is a response with a timeout: its key (script, user, address), the words of the message
that made it, and when it expires.  A *lane* is all that concerns one key: at most one script runs in it, so a `delete`
never overtakes its `add`.  Whenever something happened to a lane (a message, the end of a script, a time that came)
`_advance` looks at its block and decides anew what it lacks:

    expires in the future, add not confirmed -> run add     (failed: again after ADD_PAUSES, then say so)
    expires in the future, add confirmed     -> wait until it expires
    expired                                  -> run delete  (failed: again after DELETE_PAUSES, until it succeeds)
    deleted                                  -> forget

A message for a key that is blocked runs nothing and moves the expiry (never to an earlier time).  Responses without a
timeout are run and forgotten.  Every entry and every change is journalled in the same list of effects as the script
that it is about; the shell writes the journal first.

Times are seconds since the epoch, on a clock that does not jump while the daemon lives (the shell's business).
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from ossec.execd.allowed import Allowed
from ossec.execd.effects import ADD, DELETE, Alert, Command, Effect, Journal, Kill, Log, Outcome, Run, Start, Table
from ossec.execd.journal import Gone, Key, Record, State
from ossec.execd.lanes import Block, Lane
from ossec.execd.offenders import Offenders
from ossec.execd.words import (
    ABSENT,
    alert_of,
    call_of,
    is_event,
    key_of,
    places_of,
    reason_of,
    refuse,
    show,
    times,
)
from ossec.messages import execq

MAX_WORDS = 29  # words after `add` that a script gets; OSSEC's argv has room for no more
MAX_PARALLEL = 32  # of one script at once: a storm is no thousand processes, a hanging script delays itself
MAX_WAITING = 10_000  # calls that wait for their turn; above it the shell leaves messages in the socket
MAX_BLOCKS = 65_536  # blocks in force; above it the one that would end first ends now, for the newest attacker
RUN_LIMIT = 180.0  # seconds for a script that makes or undoes a block: OSSEC's own retry for 15 s
ONCE_LIMIT = 3600.0  # seconds for one that nothing will undo: it may collect, scan, report
KILL_GRACE = 5.0  # seconds between asking a hanging script to end and ending it
ADD_PAUSES = (1.0, 5.0, 20.0)  # between attempts to block: an attack runs now
DELETE_PAUSES = (60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)  # between attempts to release; the last one for ever
ALERT_AT = 3  # failed attempts to release until somebody is told
ALERT_AGAIN = 24  # and again each time that many more have failed: once a day
ALERT_PAUSE = 60.0  # seconds between alerts about one response that cannot be made; the rest is counted


class Policy:
    """Every response of this host, as plain state.  Each method returns what to do, in order."""

    def __init__(self, ladder: Sequence[int], read_table: Callable[[bool], Table]) -> None:
        """`ladder` is repeated_offenders in minutes; `read_table(first)` reads ar.conf with what it has to say."""
        self._offenders = Offenders(ladder)
        self._read_table = read_table
        self._table: Mapping[bytes, Command] | None = None
        self._lanes: dict[Key, Lane] = {}
        self._blocks: dict[int, Key] = {}
        self._shared: dict[tuple[bytes, str, bytes], set[Key]] = {}  # blocks by script and user, script and address
        self._running: dict[int, tuple[Run, float, bool]] = {}  # with the time at which it is killed; asked already
        self._places: dict[bytes, int] = {}
        self._queues: dict[bytes, deque[Key]] = {}
        self._heap: list[tuple[float, int, Key | int]] = []
        self._order = itertools.count()
        self._last_run = 0
        self._last_block = 0
        self._stopping = False
        self.waiting = 0  # calls that wait for their turn
        self._told: dict[bytes, tuple[float, int]] = {}  # by response: last alert about an add, failures since
        self._effects: list[Effect] = []
        self.allowed = Allowed()

    # --- what the shell asks ---

    @property
    def blocks(self) -> int:
        return len(self._blocks)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def full(self) -> bool:
        """Whether messages should stay in the socket for now."""
        return self.waiting >= MAX_WAITING

    def next_wake(self) -> float | None:
        """When `tick` wants to be called."""
        return self._heap[0][0] if self._heap else None

    @property
    def settled(self) -> bool:
        """After `stop`: whether every block is undone, or has failed to be."""
        return not any(run.block for run, _, _ in self._running.values()) and all(
            self._block_of(key).parked for key in self._blocks.values()
        )

    def set_ladder(self, ladder: Sequence[int]) -> None:
        """repeated_offenders in minutes."""
        self._offenders.set_ladder(ladder)

    def forget_table(self) -> None:
        """Read ar.conf again at the next message."""
        if self._table is not None:
            self._table = {}

    def spare(self, allowed: Allowed, now: float) -> list[Effect]:
        """Nobody in `allowed` is blocked from now on; who is, is released."""
        self.allowed = allowed
        for number in [number for number, key in self._blocks.items() if allowed.contains(key.address)]:
            if number in self._blocks:  # or lifted with the one before it
                block = self._block_of(key := self._blocks[number])
                self._lift(block.name, Command(key.script, block.timeout), block.words, now)
        return self._done()

    # --- what happens ---

    def resume(self, state: State, same_boot: bool, busy: Mapping[int, int], now: float) -> list[Effect]:
        """Take over what the journal says.  `busy`: blocks whose scripts of the last life still run, with a number to
        give to `finished` when they have ended."""
        self._last_block = max(state.last_id, int(now * 1000))  # no number comes twice, also after a short journal
        self._last_run = max(busy.values(), default=0)
        self._offenders.resume(state.offenders.values())
        restored = overdue = kept = 0
        for entry in state.entries.values():
            words = entry.words
            key = key_of(entry.script, words)
            length = max(entry.expires - entry.started, 0.0)
            expires = min(entry.expires, now + length)  # a clock that was set back must not lengthen a block
            block = Block(entry.id, entry.name, words, entry.started, expires, int(length) or -1)
            block.alert, block.made, block.touched, block.fresh = entry.alert, entry.made, True, False
            block.held = entry.made and same_boot
            if expires <= now:
                block.failures = entry.failures
                block.releasing = True
                overdue += 1
            elif block.held:
                kept += 1
            else:
                restored += 1
            self._insert(key, block)
            number = busy.get(entry.id)
            if number is not None:
                unknown = Run(number, key, entry.name, b"", words, block.timeout, expires, entry.id)
                self._lanes[key].running = unknown
                self._places[key.script] = self._places.get(key.script, 0) + 1
                self._watch(unknown, now)
        if self._blocks:
            self._say(
                logging.INFO,
                f"{len(self._blocks)} responses of an earlier run are in force: {kept} kept, {restored} to make again, "
                f"{overdue} to undo now.",
            )
        for key in list(self._lanes):
            self._advance(key, now)
        return self._done()

    def receive(self, datagram: bytes, now: float) -> list[Effect]:
        """A message from execq."""
        try:
            response = execq.decode(datagram)
        except execq.BadResponse:
            text = show(datagram[: execq.MAX_READ].partition(b"\0")[0])
            self._say(logging.WARNING, f"Invalid active response (execd) message '{text}'.", 1310)
            return self._done()
        name = response.name
        command = self._look_up(name)
        if command is None:
            self._say(logging.ERROR, f"Invalid command name '{show(name)}' provided.", 1311)
        elif not command.script:
            pass  # known, but not for this system: said when ar.conf was read
        elif len(response.words) < 2:
            self._effects.append(Log(logging.ERROR, "Invalid number of arguments.", plain=True))
        elif (refusal := refuse(response.words, None if response.lifts else self.allowed)) is not None:
            self._effects.append(refusal)
        else:
            words = response.words[:MAX_WORDS]
            if response.lifts:
                self._lift(name, command, words, now)
            else:
                self._respond(name, command, words, now)
        return self._done()

    def finished(self, number: int, outcome: Outcome | None, now: float) -> list[Effect]:
        """A script ended; None: one of an earlier life, of which nothing more is known."""
        run, _, killed = self._running.pop(number)
        lane = self._lanes[run.key]
        lane.running = None
        self._places[run.script] -= 1
        block = lane.block
        if block is not None and block.id != run.block:
            block = None
        if outcome is not None:
            self._judge(run, lane, block, outcome, killed, now)
        if run.key in self._lanes:
            self._advance(run.key, now)
        self._fill(run.script, now)
        return self._done()

    def tick(self, now: float) -> list[Effect]:
        """Time has passed."""
        while self._heap and self._heap[0][0] <= now:
            when, _, what = heapq.heappop(self._heap)
            if isinstance(what, int):
                self._lose_patience(what, now)
            elif what in self._lanes:
                block = self._lanes[what].block
                if block is not None and block.timer == when:
                    block.timer = 0.0
                self._advance(what, now)
        return self._done()

    def stop(self, now: float) -> list[Effect]:
        """A clean stop undoes everything.  Keep feeding `finished` and `tick` until `settled`."""
        self._stopping = True
        self._say(logging.INFO, "Shutdown received. Deleting responses.", 1314)
        records: list[Record] = []
        for key in list(self._blocks.values()):
            block = self._block_of(key)
            block.retry_at = 0.0
            if block.expires > now:
                block.expires = now
                block.fresh = False
                block.cancelled = not block.touched
                records.append(block.entry(key))
        if records:
            self._effects.append(Journal(tuple(records), True))
        for key in list(self._blocks.values()):
            self._advance(key, now)
        return self._done()

    # --- messages ---

    def _look_up(self, name: bytes) -> Command | None:
        command = self._table.get(name) if self._table is not None else None
        if command is None:
            self._table, lines = self._read_table(self._table is None)
            self._effects.extend(lines)
            command = self._table.get(name)
        return command

    def _respond(self, name: bytes, command: Command, words: tuple[bytes, ...], now: float) -> None:
        key = key_of(command.script, words)
        lane = self._lanes.get(key)
        block = lane.block if lane is not None else None
        if block is not None and not self._is_over(block, now):
            self._repeat(key, block, command, words, now)
        elif command.timeout == 0 and block is None:
            self._once(key, name, ADD, words, now)
        else:
            self._block(key, block, name, command, words, now)

    def _is_over(self, block: Block, now: float) -> bool:
        return block.releasing or block.expires <= now

    def _repeat(self, key: Key, block: Block, command: Command, words: tuple[bytes, ...], now: float) -> None:
        """It is blocked: nothing runs, the block lasts longer."""
        length = float(command.timeout or block.timeout)
        records: list[Record] = []
        alert = alert_of(words)
        if alert != block.alert or not is_event(alert):  # two responses to one event are one offence
            if command.timeout > 0 and not key.address.startswith(b"-"):
                length = self._offenders.climb(key, length, records, now)
            block.alert = alert
        block.expires = max(block.expires, now + length)
        if block.spent:  # blocking has failed so far; this is a reason to try again
            block.spent = False
            block.failures = 0
            block.retry_at = 0.0
        records.append(block.entry(key))
        self._effects.append(Journal(tuple(records), False))
        self._advance(key, now)

    def _block(
        self, key: Key, old: Block | None, name: bytes, command: Command, words: tuple[bytes, ...], now: float
    ) -> None:
        """Make a block, or make one again that is about to be undone."""
        records: list[Record] = []
        timeout = command.timeout or (old.timeout if old is not None else 0)
        length = float(timeout)
        if timeout > 0:
            length = self._offenders.climb(key, length, records, now)
        if old is None:
            self._last_block += 1
            block = Block(self._last_block, name, words, now, now + length, timeout)
            self._make_room(now)
            self._insert(key, block)
        else:
            block = old
            block.name, block.words, block.alert = name, words, alert_of(words)
            block.started, block.expires, block.timeout = now, now + length, timeout
            block.releasing = block.spent = block.held = block.cancelled = block.parked = False
            block.fresh, block.failures, block.retry_at = True, 0, 0.0
        records.append(block.entry(key))
        self._effects.append(Journal(tuple(records), True))
        self._advance(key, now)

    def _lift(self, name: bytes, command: Command, words: tuple[bytes, ...], now: float) -> None:
        """An operator ends a block.  A user of `-` means every user's block on that address."""
        wanted = key_of(command.script, words)
        keys = [wanted]
        if wanted.user in ABSENT and wanted.address not in ABSENT:
            keys += self._shared.get((wanted.script, "address", wanted.address), ())
        records: list[Record] = []
        lifted = []
        for key in dict.fromkeys(keys):
            self._offenders.forget(key, records, now)
            lane = self._lanes.get(key)
            if lane is None or lane.block is None:
                continue
            block = lane.block
            block.expires = min(block.expires, now)
            block.retry_at = 0.0
            block.fresh = False
            block.cancelled = not block.touched
            records.append(block.entry(key))
            lifted.append(key)
        if records:
            self._effects.append(Journal(tuple(records), True))
        for key in lifted:
            self._advance(key, now)
        if not lifted:  # not one of ours any more, or never: the script knows best
            self._once(wanted, name, DELETE, words, now)

    def _once(self, key: Key, name: bytes, action: bytes, words: tuple[bytes, ...], now: float) -> None:
        self._last_run += 1
        if key.user in ABSENT and key.address in ABSENT:
            key = key._replace(serial=self._last_run)
        self._lane(key).once.append(Run(self._last_run, key, name, action, words, 0, 0.0))
        self.waiting += 1
        self._advance(key, now)

    # --- lanes ---

    def _lane(self, key: Key) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane()
        return lane

    def _insert(self, key: Key, block: Block) -> None:
        self._lane(key).block = block
        self._blocks[block.id] = key
        for place in places_of(key):
            self._shared.setdefault(place, set()).add(key)

    def _forget(self, key: Key, block: Block) -> None:
        lane = self._lanes[key]
        lane.block = None
        del self._blocks[block.id]
        for place in places_of(key):
            keys = self._shared[place]
            keys.discard(key)
            if not keys:
                del self._shared[place]
        self._effects.append(Journal((Gone(block.id),), False))

    def _make_room(self, now: float) -> None:
        if len(self._blocks) < MAX_BLOCKS:
            return
        first = min(
            (key for key in self._blocks.values() if not self._block_of(key).releasing),
            key=lambda key: self._block_of(key).expires,
            default=None,
        )
        if first is not None:
            block = self._block_of(first)
            what = f"'{show(block.name)}' {show(first.user)} {show(first.address)}"
            self._say(logging.ERROR, f"{MAX_BLOCKS} responses in force: {what} ends before its time.")
            block.expires = now
            self._advance(first, now)

    def _block_of(self, key: Key) -> Block:
        block = self._lanes[key].block
        assert block is not None
        return block

    def _advance(self, key: Key, now: float) -> None:
        """Decide what a lane lacks, and start it."""
        lane = self._lanes[key]
        if lane.running is not None or lane.queued:
            return
        if lane.once:
            if self._take_place(key, lane):
                self.waiting -= 1
                self._start(lane, lane.once.popleft(), now)
            return
        block = lane.block
        action = self._wanted(key, block, now) if block is not None else None
        if block is None or lane.block is None:
            del self._lanes[key]
        elif action is not None and self._take_place(key, lane):
            if action == ADD:
                block.touched, block.fresh = True, False
            self._last_run += 1
            self._start(
                lane,
                Run(self._last_run, key, block.name, action, block.words, block.timeout, block.expires, block.id),
                now,
            )

    def _wanted(self, key: Key, block: Block, now: float) -> bytes | None:
        """The action that a block lacks now; None after arranging for the time when it will lack one."""
        if block.expires > now and not block.releasing:
            if block.held or block.spent:
                self._wake(key, block, block.expires)
            elif block.retry_at > now:
                self._wake(key, block, min(block.retry_at, block.expires))
            else:
                return ADD
            return None
        if block.cancelled:
            self._forget(key, block)
            return None
        if block.fresh:
            return ADD  # a negative timeout: OSSEC runs both, ours in this order
        if not block.releasing:
            block.releasing = True
            block.failures = 0
            block.retry_at = 0.0
        if block.parked:
            return None
        if block.retry_at > now:
            self._wake(key, block, block.retry_at)
            return None
        return DELETE

    def _wake(self, key: Key, block: Block, when: float) -> None:
        if not block.timer or when < block.timer:
            block.timer = when
            heapq.heappush(self._heap, (when, next(self._order), key))

    def _take_place(self, key: Key, lane: Lane) -> bool:
        """One of the script's places, or a place in its queue."""
        if self._places.get(key.script, 0) < MAX_PARALLEL:
            return True
        lane.queued = True
        lane.counted = not lane.once
        self.waiting += lane.counted
        self._queues.setdefault(key.script, deque()).append(key)
        return False

    def _fill(self, script: bytes, now: float) -> None:
        """Let the next in the script's queue go."""
        queue = self._queues.get(script)
        while queue and self._places[script] < MAX_PARALLEL:
            key = queue.popleft()
            lane = self._lanes[key]
            lane.queued = False
            self.waiting -= lane.counted
            self._advance(key, now)
        if not queue:
            self._queues.pop(script, None)
            if not self._places.get(script):
                self._places.pop(script, None)

    def _start(self, lane: Lane, run: Run, now: float) -> None:
        lane.running = run
        self._places[run.script] = self._places.get(run.script, 0) + 1
        self._watch(run, now)
        self._effects.append(Start(run))

    def _watch(self, run: Run, now: float) -> None:
        limit = RUN_LIMIT if run.block else ONCE_LIMIT
        self._running[run.id] = (run, now + limit, False)
        heapq.heappush(self._heap, (now + limit, next(self._order), run.id))

    def _lose_patience(self, number: int, now: float) -> None:
        found = self._running.get(number)
        if found is None or found[1] > now:
            return
        run, _, asked = found
        if not asked:
            limit = RUN_LIMIT if run.block else ONCE_LIMIT
            self._say(
                logging.ERROR, f"{call_of(run)}: still running after {limit:g} seconds, ended with what it started."
            )
        self._running[number] = (run, now + KILL_GRACE, True)
        heapq.heappush(self._heap, (now + KILL_GRACE, next(self._order), number))
        self._effects.append(Kill(number, asked))

    # --- results ---

    def _judge(self, run: Run, lane: Lane, block: Block | None, outcome: Outcome, killed: bool, now: float) -> None:
        """Say how a call went, and draw the consequences for its block."""
        reason = reason_of(outcome, (RUN_LIMIT if run.block else ONCE_LIMIT) if killed else None)
        if outcome.errno:
            self._say(logging.ERROR, f"Error executing '{show(run.script)}': {os.strerror(outcome.errno)}", 1312)
        if outcome.good:
            self._say(logging.INFO, f"{call_of(run)}: {reason}")
            if block is not None:
                self._succeeded(run, block, now)
            return
        if block is None:
            self._complain(run, outcome, reason)
            self._tell(run, f"{call_of(run)} failed: {reason}.", now)
            return
        block.failures += 1
        if run.action == ADD:
            self._add_failed(run, block, outcome, reason, now)
        else:
            self._delete_failed(run, block, outcome, reason, now)
        if run.key in self._lanes and lane.block is block:
            self._effects.append(Journal((block.entry(run.key),), False))

    def _succeeded(self, run: Run, block: Block, now: float) -> None:
        failures, block.failures, block.retry_at = block.failures, 0, 0.0
        if run.action == ADD:
            if not block.releasing:
                block.made = block.held = True
                self._effects.append(Journal((block.entry(run.key),), False))
            return
        if not block.releasing:  # it was asked for again in the meantime
            return
        if failures >= ALERT_AT:
            self._effects.append(Alert(f"{call_of(run)} succeeded after {failures} failed attempts"))
        self._forget(run.key, block)
        self._heal(run.key, now)

    def _heal(self, key: Key, now: float) -> None:
        """What was undone for one user or address may have served another block of the same script: make it again."""
        for place in places_of(key):
            for other in list(self._shared.get(place, ())):
                block = self._block_of(other)
                if block.held and not self._is_over(block, now):
                    block.held = False
                    self._advance(other, now)

    def _add_failed(self, run: Run, block: Block, outcome: Outcome, reason: str, now: float) -> None:
        tries = block.failures
        if block.releasing or self._is_over(block, now) or self._stopping:
            self._complain(run, outcome, reason)
        elif outcome.hopeless or tries > len(ADD_PAUSES):
            block.spent = True
            self._complain(run, outcome, f"{reason}, given up after {tries} attempts" if tries > 1 else reason)
            self._tell(run, f"{call_of(run)} failed ({times(tries)}): {reason}. It is not in force.", now)
        else:
            pause = ADD_PAUSES[tries - 1]
            block.retry_at = now + pause
            self._complain(run, outcome, f"{reason}, tried again in {pause:g} seconds")

    def _delete_failed(self, run: Run, block: Block, outcome: Outcome, reason: str, now: float) -> None:
        if not block.releasing:  # it was asked for again in the meantime: no need to release
            block.failures = 0
            self._complain(run, outcome, reason)
            return
        tries = block.failures
        if self._stopping:
            block.parked = True
            self._complain(run, outcome, f"{reason}, tried again at the next start")
            return
        if not block.made and (outcome.hopeless or tries >= len(DELETE_PAUSES)):
            self._complain(run, outcome, f"{reason}; its add never succeeded either, so there is nothing to undo")
            self._forget(run.key, block)
            return
        pause = DELETE_PAUSES[min(tries, len(DELETE_PAUSES)) - 1]
        block.retry_at = now + pause
        self._complain(run, outcome, f"{reason}, tried again in {pause:g} seconds")
        if tries == ALERT_AT or (tries > ALERT_AT and tries % ALERT_AGAIN == 0):
            self._effects.append(
                Alert(f"{call_of(run)} failed ({times(tries)}): {reason}. It stays in force; next try in {pause:g} s.")
            )

    def _tell(self, run: Run, text: str, now: float) -> None:
        """Alert, but not a thousand times when a thousand calls of one response fail."""
        told, more = self._told.get(run.name, (now - ALERT_PAUSE, 0))
        if now - told < ALERT_PAUSE:
            self._told[run.name] = (told, more + 1)
            return
        self._told[run.name] = (now, 0)
        self._effects.append(Alert(f"{text} {more} more calls failed before it." if more else text))

    def _complain(self, run: Run, outcome: Outcome, text: str) -> None:
        if outcome.errno and text == reason_of(outcome):
            return  # line 1312 has said it
        self._say(logging.ERROR, f"{call_of(run)}: {text}")

    # --- effects ---

    def _say(self, level: int, text: str, code: int | None = None) -> None:
        self._effects.append(Log(level, text, code))

    def _done(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
