"""The conversation of manage_agents (spec/protocol.md, section 9): OSSEC's prompts and texts, on plain streams.

`Manager` asks through a `Console`; answers may also come from flags and from the environment, which are tried before
the terminal.  An answer that was given in advance and is wrong ends the run with exit 1: nobody is there to be asked
again (OSSEC asks for ever).  Each change is one `KeyStore.change`, so two at once cannot give one ID twice.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn, TextIO

from ossec import COMPATIBLE_VERSION, __version__
from ossec.agents import keyfile, traces
from ossec.agents.keyfile import AddressTaken, AgentError, BadKey, KeyFile, NameTaken, Row, UnknownId
from ossec.agents.store import KeyStore, install_key
from ossec.crypto.keys import AgentKey, KeyLineError
from ossec.errors import OssecError
from ossec.layout import Layout
from ossec.messages import queue
from ossec.queues import Outbox

MAX_ANSWER = 511  # bytes of a line; OSSEC takes a longer one for the end
QUIT = "\\q"
TOO_LARGE = "manage_agents: Input too large. Not adding it."
EXITING = "manage_agents: Exiting."
RESTART = "\n** You must restart OSSEC for your changes to take effect.\n"
PRESS_ENTER = "** Press ENTER to return to the main menu.\n"
NO_AGENT = "\n** No agent available. You need to add one first.\n"
BAD_KEY = "\n** Invalid authentication key. Starting over again.\n"
ONLY_MASTER = {
    "a": "Agent adding only available on a master",
    "e": "Key export only available on a master",
    "r": "Key removal only available on a master",
    "f": "Bulk generate keys only available on a master",
}
ONLY_AGENT = "Key import only available on an agent"

_HEAD = f"""

****************************************
* OSSEC HIDS {COMPATIBLE_VERSION} Agent manager.     *
* The following options are available: *
****************************************
"""
SERVER_MENU = (
    _HEAD
    + """\
   (A)dd an agent (A).
   (E)xtract key for an agent (E).
   (L)ist already added agents (L).
   (R)emove an agent (R).
   (V)ersion of this program (V).
   (Q)uit.
Choose your action: A,E,L,R,V or Q: """
)
AGENT_MENU = (
    _HEAD
    + """\
   (I)mport key from the server (I).
   (L)ist the key that is in use (L).
   (V)ersion of this program (V).
   (Q)uit.
Choose your action: I,L,V or Q: """
)
VERSION = f"\nOSSEC HIDS {COMPATIBLE_VERSION} - OSSEC Foundation\n\nOSSEC in Python {__version__}\n"

# numbers of the errors in JSON, as OSSEC gives them
JSON_ERRORS = {"name": (76, "Invalid name for agent"), "ip": (77, "Invalid IP for agent")}
JSON_DUPLICATED = (79, "Duplicated IP for agent")
JSON_NO_FILE = 71
JSON_NOT_EXPORTED = 70
JSON_NOT_REMOVED = 78
JSON_OTHER = 75  # what OSSEC has no number for


class Leave(OssecError):
    """End the run with `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class BackToMenu(OssecError):
    """`\\q`."""


class Console:
    """Prompts out, answers in."""

    def __init__(self, stdin: BinaryIO, out: TextIO, err: TextIO) -> None:
        self.stdin = stdin
        self.out = out
        self.err = err

    def say(self, text: str) -> None:
        self.out.write(text)

    def complain(self, text: str, code: int | None = None) -> None:
        """A line on standard error, dated as OSSEC's tools do."""
        self.out.flush()
        program = "manage_agents" if code is None else f"manage_agents({code})"
        self.err.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {program}: {text}\n")

    def ask(self) -> str:
        """One line without blanks around it; the end of the input or a line of 512 bytes ends the run."""
        self.out.flush()
        line = self.stdin.readline(MAX_ANSWER + 2)
        if not line or len(line) > MAX_ANSWER:
            self.say(TOO_LARGE + "\n")
            raise Leave(1)
        return line.decode("utf-8", "surrogateescape").strip()

    def wait_for_enter(self) -> None:
        self.say(PRESS_ENTER)
        self.out.flush()
        self.stdin.readline(MAX_ANSWER + 2)


@dataclass(frozen=True, slots=True)
class Given:
    """Answers given in advance: by flags and environment.  None: ask."""

    name: str | None = None
    address: str | None = None
    identity: str | None = None
    key: str | None = None
    confirmed: str | None = None
    force_after: int | None = None  # -F: seconds of silence after which a duplicate is removed

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Given:
        """OSSEC_AGENT_NAME and so on; a number that is none counts as not given."""
        duplicates = environment.get("OSSEC_REMOVE_DUPLICATED", "")
        return cls(
            name=environment.get("OSSEC_AGENT_NAME"),
            address=environment.get("OSSEC_AGENT_IP"),
            identity=environment.get("OSSEC_AGENT_ID"),
            key=environment.get("OSSEC_AGENT_KEY"),
            confirmed=environment.get("OSSEC_ACTION_CONFIRMED"),
            force_after=int(duplicates) if duplicates.isascii() and duplicates.isdigit() else None,
        )


@dataclass(slots=True)
class Manager:
    """One run.  `agent_side`: the home is an agent's.  Methods that end the run raise Leave."""

    layout: Layout
    console: Console
    agent_side: bool = False
    given: Given = field(default_factory=Given)
    as_json: bool = False
    clock: Callable[[], float] = time.time
    changed: bool = False

    @property
    def store(self) -> KeyStore:
        return KeyStore(self.layout.client_keys)

    # the menu
    def run(self, action: str | None = None) -> None:
        """Serve the menu until the end; with `action` (from OSSEC_ACTION) do that one thing."""
        while True:
            self._say(AGENT_MENU if self.agent_side else SERVER_MENU)
            choice = action if action is not None else self.console.ask()
            if self._choose(choice[:1], scripted=action is not None) or action is not None:
                self.finish()

    def _choose(self, letter: str, scripted: bool) -> bool:
        """Do what a letter stands for; True: quit."""
        lower = letter.lower()
        try:
            match lower:
                case "q":
                    return True
                case "v":
                    self.console.say(VERSION)
                case "l":
                    if not self._show_agents():
                        self.console.say(NO_AGENT)
                    self.console.say("\n")
                    self.console.wait_for_enter()
                case "a" | "e" | "r" if self.agent_side:
                    self.console.say(f"\n ** {ONLY_MASTER[lower]} ** \n\n")
                case "i" if not self.agent_side:
                    self.console.say(f"\n ** {ONLY_AGENT} ** \n\n")
                case "a":
                    self.add()
                case "e":
                    self._extract_by_menu()
                case "r":
                    self.remove(self.given.identity if scripted else None)
                case "i":
                    self.import_key(None, menu=True)
                case _:
                    self.console.say("\n ** Invalid Action ** \n\n")
        except BackToMenu:
            pass
        return False

    def finish(self, status: int = 0) -> NoReturn:
        """The last words, and exit."""
        if self.as_json:
            self.console.say(f"{EXITING}\n")
        else:
            if self.changed:
                self.console.say(RESTART)
            self.console.say(f"\n{EXITING}\n{EXITING}\n")
        raise Leave(status)

    def refuse_side(self, flag: str) -> None:
        """A flag of the other side: exit 1."""
        text = None
        if self.agent_side and flag in ONLY_MASTER:
            text = ONLY_MASTER[flag]
        elif not self.agent_side and flag == "i":
            text = ONLY_AGENT
        if text is not None:
            self.console.complain(f"{text}.")
            raise Leave(1)

    # list and extract
    def list_agents(self) -> None:
        """`-l`."""
        if self.as_json:
            listed = [{"id": row.id, "name": row.name, "ip": row.ip} for row in self.store.read().agents]
            self._answer(listed)
            return
        if not self._show_agents():
            self.console.say(NO_AGENT)
        self.console.say("\n")

    def extract(self, identity: str) -> None:
        """`-e`: print the key of one agent."""
        row = self.store.read().find(identity)
        if row is None:
            self._fail(UnknownId(keyfile.pad(identity)), JSON_NOT_EXPORTED)
        if self.as_json:
            self._answer(_export(row))
        else:
            self._show_key(row)

    def _extract_by_menu(self) -> None:
        row = self._pick("Provide the ID of the agent to extract the key (or '\\q' to quit): ", None)
        if row is not None:
            self._show_key(row)
            self.console.say("\n")
        self.console.wait_for_enter()

    def _show_key(self, row: Row) -> None:
        self.console.say(f"\nAgent key information for '{row.id}' is: \n{_export(row)}\n")

    def _show_agents(self) -> bool:
        agents = self.store.read().agents
        if agents:
            self.console.say("\nAvailable agents: \n")
            for row in agents:
                self.console.say(f"   ID: {row.id}, Name: {row.name}, IP: {row.ip}\n")
        return bool(agents)

    def _pick(self, prompt: str, identity: str | None) -> Row | None:
        """List the agents and let one be chosen; None when there is none.  An `identity` given is echoed; UnknownId."""
        if not self._show_agents():
            self.console.say(NO_AGENT + "\n")
            return None
        while True:
            self.console.say(prompt)
            if identity is not None:
                self.console.say(f"{identity}\n")
            answer = self.console.ask() if identity is None else identity
            if answer == QUIT:
                raise BackToMenu
            row = self.store.read().find(answer)
            if row is not None:
                return row
            unknown = UnknownId(keyfile.pad(answer))
            if identity is not None:
                raise unknown
            self.console.say(f"\n** {unknown}\n")

    # add
    def add(self) -> None:
        """Ask for what was not given, and add the agent.  BackToMenu."""
        if not self.as_json:
            self.console.say("\n- Adding a new agent (use '\\q' to return to the main menu).\n")
            self.console.say("  Please provide the following:\n")
        known = self.store.read()
        given = self.given
        name = self._answered("   * A name for the new agent: ", given.name, known.check_name)
        address = self._answered("   * The IP Address of the new agent: ", given.address, self._check_address)
        default = known.default_id()
        identity = self._answered(
            f"   * An ID for the new agent[{default}]: ",
            given.identity,
            lambda text: None if text in ("", "0") else known.check_id(text),
            keyfile.pad,
        )
        chosen = default if identity in ("", "0") else identity
        self._show(Row(chosen, name, address, ""))
        if not self._confirmed("Confirm adding it?(y/n): "):
            self._say("Not Adding.\n")
            return
        row = self._add_row(name, address, None if identity in ("", "0") else identity)
        self.changed = True
        if self.as_json:
            self._answer(f"Agent added with ID {row.id}")
        else:
            self.console.say(f"Agent added with ID {row.id}.\n")

    def _check_address(self, address: str) -> None:
        """As `KeyFile.check_address`, but a duplicate that has been silent for long enough may go."""
        try:
            self.store.read().check_address(address)
        except AddressTaken as error:
            if not self._may_replace(error.owner):
                self._report_duplicate(address)
                raise

    def _may_replace(self, owner: Row) -> bool:
        if self.given.force_after is None:
            return False
        seen = traces.last_contact(self.layout, owner)
        return seen is None or self.clock() - seen > self.given.force_after

    def _report_duplicate(self, address: str) -> None:
        """An event, where analysisd listens."""
        outbox = Outbox(self.layout.event_queue)
        outbox.send(queue.encode(queue.LOCAL, b"manage_agents", b"ossec: Duplicated IP " + os.fsencode(address)))
        outbox.close()

    def _add_row(self, name: str, address: str, identity: str | None) -> Row:
        """Add it for good, after looking once more whether it may be; AgentError."""
        added: list[Row] = []
        replaced: list[Row] = []

        def edit(known: KeyFile) -> KeyFile:
            try:
                known.check_address(address)
            except AddressTaken as error:
                if not self._may_replace(error.owner):
                    raise
                traces.back_up(self.layout, error.owner, self.clock())
                replaced.append(error.owner)
                known = known.without(error.owner.id)
            known.check_name(name)
            chosen = identity if identity is not None else known.default_id()
            known.check_id(chosen)
            added.append(Row(chosen, name, address, keyfile.make_secret()))
            return known.added(added[0])

        self.store.change(edit)
        for row in replaced:
            self._remove_traces(row)
        self.layout.rids(added[0].id).unlink(missing_ok=True)  # of an agent that was removed by hand
        return added[0]

    def add_many(self, lines: Iterable[bytes]) -> int:
        """`-f`: `IP,NAME` lines, all in one change; a bad one is said and left out.  Returns how many were."""
        wanted = [raw.decode("utf-8", "surrogateescape").strip() for raw in lines]
        outcome: list[Row | AgentError] = []

        def edit(known: KeyFile) -> KeyFile:
            names = {row.name for row in known.agents}
            taken = known.taken_ids()
            number = int(known.default_id())
            for line in wanted:
                if len(line) < 2:
                    continue
                address, _, name = (part.strip() for part in line.partition(","))
                try:
                    if name in names:
                        raise NameTaken(name)
                    KeyFile().check_name(name)
                    KeyFile().check_address(address, unique=False)
                except AgentError as error:
                    outcome.append(error)
                    continue
                names.add(name)
                while keyfile.pad(str(number)) in taken:  # those beyond the default's bound
                    number += 1
                row = Row(keyfile.pad(str(number)), name, address, keyfile.make_secret())
                number += 1
                outcome.append(row)
            return KeyFile((*known.lines, *(row.format() for row in outcome if isinstance(row, Row))))

        self.store.change(edit)
        for result in outcome:
            if isinstance(result, Row):
                self.layout.rids(result.id).unlink(missing_ok=True)
                self._show(result)
                self.console.say(f"Agent added with ID {result.id}.\n")
            else:
                self.console.say(f"\n** {result}\n\n")
        return sum(isinstance(result, AgentError) for result in outcome)

    def add_from(self, source: str) -> None:
        """`-f FILE`, `-f -`: exit 1 if a line was left out."""
        self.console.say(f"Bulk load file: {source}\n")
        if source == "-":
            self.console.say("Reading bulk agents from stdin\n")
            raise Leave(1 if self.add_many(self.console.stdin) else 0)
        self.console.say(f"Opening: [{source}]\n")
        try:
            with Path(source).open("rb") as file:
                refused = self.add_many(file)
        except OSError as error:
            text = f"ERROR: Could not open file '{source}' due to [({error.errno})-({error.strerror})]."
            self.console.complain(text, 1103)
            raise Leave(1) from None
        raise Leave(1 if refused else 0)

    # remove
    def remove(self, identity: str | None) -> None:
        """Remove an agent; one that is named goes without further questions.  BackToMenu."""
        scripted = identity is not None
        if self.as_json and identity is not None:
            row = self.store.read().find(identity)
            if row is None:
                self._fail(UnknownId(keyfile.pad(identity)), JSON_NOT_REMOVED)
        else:
            try:
                row = self._pick("Provide the ID of the agent to be removed (or '\\q' to quit): ", identity)
            except UnknownId as error:
                self.console.say(f"\n** {error}\n")
                self.finish(1)
            if row is None:
                if scripted:
                    self.finish(1)
                self.console.wait_for_enter()
                return
            if scripted:
                self.console.say("Confirm deleting it?(y/n): y\n")
            elif not self._confirmed("Confirm deleting it?(y/n): "):
                self.console.say("Not removing.\n")
                return
        traces.back_up(self.layout, row, self.clock())
        self.store.change(lambda known: known.without(row.id))
        self._remove_traces(row)
        self.changed = True
        if self.as_json:
            self._answer("Agent removed")
        else:
            self.console.say(f"Agent '{row.id}' removed.\n")

    def _remove_traces(self, row: Row) -> None:
        for failure in traces.remove(self.layout, row):
            self.console.complain(f"ERROR: {failure}")

    # import, on an agent
    def import_key(self, key: str | None, *, menu: bool) -> None:
        """`-i`: take over a key from the server.  BackToMenu."""
        if key is None:
            self.console.say("\n* Provide the Key generated by the server.\n")
            self.console.say("* The best approach is to cut and paste it.\n")
            self.console.say("*** OBS: Do not include spaces or new lines.\n\n")
            self.console.say("Paste it here (or '\\q' to quit): ")
            key = self.given.key if self.given.key is not None else self.console.ask()
            if key == QUIT:
                raise BackToMenu
        try:
            row = decode_export(key)
            keyfile.check_import(row)
        except BadKey as error:
            self.console.say(BAD_KEY)
            self.console.complain(f"not taken: {error}")
            if not menu:
                raise Leave(1) from None
            self.console.wait_for_enter()
            return
        self.console.say("\n")
        self._show(row)
        if not self._confirmed("Confirm adding it?(y/n): "):
            self.console.say("Not Adding.\n")
            return
        install_key(self.layout, row)
        self.changed = True
        self.console.say("Added.\n")
        self.console.wait_for_enter()

    # questions
    def _answered(
        self,
        prompt: str,
        preset: str | None,
        check: Callable[[str], None],
        tidy: Callable[[str], str] = str.strip,
    ) -> str:
        """An answer that `check` accepts: the one given in advance, or asked for until it is right."""
        while True:
            self._say(prompt)
            if preset is not None:
                answer = preset.strip()
            else:
                answer = self.console.ask()
                if answer == QUIT:
                    raise BackToMenu
            answer = tidy(answer) if answer not in ("", "0") else answer
            try:
                check(answer)
            except AgentError as error:
                if preset is not None:
                    self._fail(error, None)
                self._say(f"\n** {error}\n\n")
                continue
            return answer

    def _confirmed(self, prompt: str) -> bool:
        self._say(prompt)
        answer = self.given.confirmed if self.given.confirmed is not None else self.console.ask()
        return answer[:1] in ("y", "Y")

    def _show(self, row: Row) -> None:
        self._say(f"Agent information:\n   ID:{row.id}\n   Name:{row.name}\n   IP Address:{row.ip}\n\n")

    def _say(self, text: str) -> None:
        """What JSON leaves out."""
        if not self.as_json:
            self.console.say(text)

    def _answer(self, response: object) -> None:
        self.console.say(json.dumps({"error": 0, "response": response}, separators=(",", ":")))

    def _fail(self, error: AgentError, number: int | None) -> NoReturn:
        """Say why, and exit 1."""
        if not self.as_json:
            self.console.say(f"\n** {error}\n")
        else:
            text = str(error).rstrip(".")
            if number is None:
                number, text = JSON_ERRORS.get(error.field, (JSON_OTHER, text))
                if isinstance(error, AddressTaken):
                    number, text = JSON_DUPLICATED
            self.console.say(json.dumps({"error": number, "description": text}, separators=(",", ":")))
        raise Leave(1)


def decode_export(text: str) -> Row:
    """The line of an exported key, pasted with blanks or without its padding; BadKey."""
    try:
        key = AgentKey.from_export(text)
    except (KeyLineError, ValueError) as error:
        raise BadKey(str(error)) from None
    return Row(key.id, key.name, key.ip, key.secret)


def _export(row: Row) -> str:
    return AgentKey(row.id, row.name, row.ip, row.secret).export()


def standard_console() -> Console:
    return Console(sys.stdin.buffer, sys.stdout, sys.stderr)
