"""What agent_control does (spec/protocol.md, section 11): show agents, and send them orders.

Orders go to remoted's queue `alerts/ar`; those for this host (`000`) straight to execd's queue `alerts/execq`, so they
work on a local home and on an agent too.  Nothing reports back from an agent: an order is sent when remoted has it.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ossec.agents import listing, maintenance, status
from ossec.agents.maintenance import Marker
from ossec.agents.status import LOCAL_ID, Agent, State
from ossec.agents.store import KeyStore
from ossec.config import ar_conf
from ossec.daemon.process import write_atomically
from ossec.errors import OssecError
from ossec.layout import Layout
from ossec.messages import execq
from ossec.messages.execq import Order, Response
from ossec.queues import Delivery, Outbox

PROGRAM = "agent_control"
LOCAL_NAMES = ("0", "00", LOCAL_ID, "local")
MAX_AGENTS = 2048  # what OSSEC is built for; ours has no limit
PATIENCE = 3.0  # seconds that a daemon which is being restarted has to come back
RELEASE_PATIENCE = 10.0  # seconds to wait for the undoing of a block on this host
LOOK_AGAIN = 0.05  # seconds between two looks
RESTART_NAME = b"restart-ossec0"
MESSAGE_ORIGIN = b"(msg_to_agent) []"
BY_HAND = (b"(from_the_server)", b"(no_rule_id)")
SCAN_ORDER = b"syscheck restart"
SCAN_FILE = "/var/run/.syscheck_run\n"
ABSENT = b"-"

# numbers of errors in JSON; those of OSSEC that are known
BAD_ID, NO_AGENT_GIVEN, BAD_ACTION, NOT_WRITTEN, NOT_DELIVERED = 40, 44, 45, 46, 47
BAD_COMBINATION, UNKNOWN_RESPONSE, BAD_TARGET, NOT_BLOCKED, NOT_RELEASED = 30, 50, 51, 52, 53

COMPATIBILITY_NOTE = "   Agents of OSSEC's C program cannot undo a response: they log 1311 and change nothing.\n"


class Refused(OssecError):
    """The command cannot be done: exit 1.  `usage`: the help follows."""

    def __init__(self, text: str, number: int, *, usage: bool = False) -> None:
        super().__init__(text)
        self.number = number
        self.usage = usage


class InForce(Protocol):
    """A response that is in force on this host, as execd's journal tells it."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> bytes: ...
    @property
    def words(self) -> tuple[bytes, ...]: ...
    @property
    def expires(self) -> float: ...
    @property
    def made(self) -> bool: ...
    @property
    def failures(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Request:
    """A command line.  None and False: not given."""

    list_agents: bool = False
    active_only: bool = False
    csv: bool = False
    as_json: bool = False
    ends: bool = False
    long: bool = False
    info: str | None = None
    restart: str | None = None
    scan: bool = False
    everyone: bool = False
    agent: str | None = None
    block: str | None = None
    user: str | None = None
    response: str | None = None
    unblock: str | None = None
    unblock_user: str | None = None
    blocks: bool = False
    responses: bool = False
    limit: bool = False
    maintenance: str | None = None
    reset_counter: str | None = None
    force: bool = False


@dataclass(slots=True)
class Control:
    """One run.  `read_blocks` reads execd's journal; `out` and `complain` are standard output and error."""

    layout: Layout
    out: Callable[[str], None]
    complain: Callable[[str], None]
    read_blocks: Callable[[], Sequence[InForce]]
    clock: Callable[[], float] = time.time
    notify_time: int = status.NOTIFY_TIME
    agent_side: bool = False
    request: Request = field(default_factory=Request)

    def run(self, request: Request) -> None:
        """Do what was asked for; Refused, OSError."""
        self.request = request
        if self.agent_side and self._is_about_others():
            raise Refused("This is an agent: only -u 000, --blocks and -L work here.", BAD_ID)
        if request.limit:
            self._show_limit()
        elif request.responses:
            self._show_responses()
        elif request.list_agents:
            self._list()
        elif request.blocks:
            self._show_blocks()
        elif request.maintenance is not None:
            self._maintain(request.maintenance)
        elif request.info is not None:
            self._show(request.info)
        elif request.reset_counter is not None:
            self._reset_counter(request.reset_counter)
        elif request.scan and (request.everyone or request.agent is not None):
            self._scan()
        elif request.restart is not None:
            self._restart(request.restart)
        elif (request.unblock or request.unblock_user) and (request.everyone or request.agent is not None):
            self._unblock(request.unblock, request.unblock_user)
        elif self._is_response():
            self._respond()
        else:
            raise Refused("Invalid argument combination.", BAD_COMBINATION, usage=True)

    def _is_response(self) -> bool:
        request = self.request
        target = request.block is not None or request.user is not None
        return target and request.response is not None and (request.everyone or request.agent is not None)

    def _is_about_others(self) -> bool:
        request = self.request
        named = (request.info, request.restart, request.agent, request.reset_counter)
        others = any(identity is not None and identity not in LOCAL_NAMES for identity in named)
        return others or request.list_agents or request.everyone

    # agents
    def agents(self) -> list[Agent]:
        """This host first."""
        known = KeyStore(self.layout.client_keys).read()
        silence = status.silent_after(self.notify_time)
        return [status.local_agent(self.layout), *status.survey(self.layout, known, self.clock(), silence)]

    def find(self, identity: str) -> Agent:
        """The agent of an ID in any form; Refused."""
        if identity in LOCAL_NAMES:
            return status.local_agent(self.layout)
        row = KeyStore(self.layout.client_keys).read().find(identity)
        if row is None:
            raise Refused(f"Invalid agent id '{identity}'.", BAD_ID, usage=True)
        return next(agent for agent in self.agents() if agent.row == row)

    def _list(self) -> None:
        request = self.request
        agents = [agent for agent in self.agents() if agent.state is State.ACTIVE or not request.active_only]
        devices = None if request.active_only else status.agentless(self.layout)
        if request.as_json:
            self.out(listing.answer(listing.list_values(agents, devices)))
        elif request.csv:
            self.out(listing.list_csv(agents, devices, long=request.long))
        else:
            self.out(listing.list_text(PROGRAM, agents, devices, long=request.long))

    def _show(self, identity: str) -> None:
        request = self.request
        agent = self.find(identity)
        if agent.row.id != LOCAL_ID:
            agent = next(listed for listed in self.agents() if listed.row == agent.row)
        scans = status.scans(self.layout, agent)
        if request.as_json:
            self.out(listing.answer(listing.info_values(agent, scans, ends=request.ends)))
        elif request.csv:
            self.out(listing.info_csv(agent, scans))
        else:
            self.out(listing.info_text(PROGRAM, agent, scans, ends=request.ends))
            if request.long and agent.superseded_by is not None:
                self.out(f"   Superseded by:         {agent.superseded_by}\n")

    def _show_limit(self) -> None:
        if self.request.as_json:
            self.out(json.dumps({"error": 0, "data": {"max_agents": MAX_AGENTS}}, separators=(",", ":")))
        else:
            self.out(f"{MAX_AGENTS}\n" if self.request.csv else f"Limit of agents: {MAX_AGENTS}\n")

    def _reset_counter(self, identity: str) -> None:
        """Remoted sees within a second that the file is gone, and counts from anew."""
        agent = self.find(identity)
        if agent.row.id == LOCAL_ID:
            raise Refused("The server itself has no counter.", BAD_ID)
        self.layout.rids(agent.row.id).unlink(missing_ok=True)
        self._confirm(f"Counter of agent {agent.row.id} reset.", "Counter reset")

    # responses
    def known_responses(self) -> list[ar_conf.Line]:
        """What ar.conf names, but for the restart."""
        try:
            lines = list(ar_conf.parse(self.layout.ar_conf.read_bytes()[: ar_conf.MAX_FILE]))
        except FileNotFoundError:
            return []
        return [line for line in lines if line is not None and line.name != RESTART_NAME]

    def _show_responses(self) -> None:
        known = [
            (_text(line.name), _text(line.executable).removeprefix("-"), line.timeout)
            for line in self.known_responses()
        ]
        if self.request.as_json:
            values = [{"name": name, "command": command, "timeout": timeout} for name, command, timeout in known]
            self.out(listing.answer(values))
            return
        if not self.request.csv:
            self.out(f"\nOSSEC HIDS {PROGRAM}. Available active responses:\n")
        self.out("\n")
        for name, command, _ in known:
            self.out(f"   Response name: {name}, command: {command}\n")
        self.out("\n")

    def _respond(self) -> None:
        request = self.request
        assert request.response is not None
        name = self._checked_response(request.response)
        user = ABSENT if request.user is None else self._checked_user(request.user)
        address = ABSENT if request.block is None else self._checked_address(request.block)
        response = Response(name, (user, address, *BY_HAND))
        self._dispatch([response], f"Running active response '{request.response}' on")

    def _checked_response(self, name: str) -> bytes:
        wanted = name.encode("utf-8", "surrogateescape")
        if not self.request.force and wanted not in {line.name for line in self.known_responses()}:
            raise Refused(
                f"Unknown response '{name}': {PROGRAM} -L lists them. --force sends it all the same.", UNKNOWN_RESPONSE
            )
        return _word(name)

    def _checked_address(self, text: str) -> bytes:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            if not self.request.force:
                raise Refused(f"'{text}' is no IP address. --force sends it all the same.", BAD_TARGET) from None
        return _word(text)

    def _checked_user(self, name: str) -> bytes:
        if not name or name.startswith("-"):
            raise Refused(f"'{name}' is no user name.", BAD_TARGET)
        return _word(name)

    def _dispatch(self, responses: Sequence[Response], doing: str, note: str = "") -> Agent | None:
        """Send to the agents that were named and say so; the agent, None for all of them."""
        if self.request.everyone:
            for response in responses:
                self._order(b"ANN", None, execq.text_of(response))
            self._confirm(f"{doing} all agents.", f"{doing} all agents", note)
            return None
        assert self.request.agent is not None
        agent = self.find(self.request.agent)
        for response in responses:
            if agent.row.id == LOCAL_ID:
                self._execute(response)
            else:
                self._order(b"NNS", agent, execq.text_of(response))
        remote_note = "" if agent.row.id == LOCAL_ID else note
        self._confirm(f"{doing}: {agent.row.id}", doing.removesuffix(" on"), remote_note)
        return agent

    def _restart(self, identity: str) -> None:
        agent = self.find(identity)
        response = Response(RESTART_NAME, (ABSENT, b"null", *BY_HAND))
        if agent.row.id == LOCAL_ID:
            self._execute(response)
        else:
            self._order(b"NNS", agent, execq.text_of(response))
        self._confirm(f"Restarting agent: {agent.row.id}", "Restarting agent")

    # blocks
    def _show_blocks(self) -> None:
        agent = self.request.agent
        if agent is not None and self.find(agent).row.id != LOCAL_ID:
            raise Refused(
                f"Agent {agent} does not report its blocks to the server: run {PROGRAM} --blocks on it.", BAD_ID
            )
        blocks = sorted(self.read_blocks(), key=lambda block: block.expires)
        if self.request.as_json:
            self.out(listing.answer([_block_values(block) for block in blocks]))
            return
        if not self.request.csv:
            self.out(f"\nOSSEC HIDS {PROGRAM}. Responses in force on this host:\n\n")
        for block in blocks:
            values = _block_values(block)
            until = listing.stamp(block.expires)
            if self.request.csv:
                fields = (values["response"], values["user"], values["ip"], until, values["status"])
                self.out(",".join(str(value) for value in fields) + ",\n")
            else:
                self.out(
                    f"   Response name: {values['response']}, User: {values['user']}, IP: {values['ip']}, "
                    f"until {until}, {values['status']}\n"
                )
        self.out("\n")

    def _unblock(self, host: str | None, account: str | None) -> None:
        """Undo what is in force against an address (whoever the user), or for a user alone."""
        user = ABSENT if account is None else self._checked_user(account)
        address = ABSENT if host is None else self._checked_address(host)
        request = self.request
        local = not request.everyone and request.agent in LOCAL_NAMES
        target = host or account
        if request.response is not None:
            names = [self._checked_response(request.response)]
        elif local:
            names = list(dict.fromkeys(block.name for block in self._blocks_of(user, address)))
            if not names:
                raise Refused(
                    f"{target} is not blocked here. Name the response with -f to undo it all the same.", NOT_BLOCKED
                )
        else:
            names = list(dict.fromkeys(line.name for line in self.known_responses() if line.timeout))
            if not names:
                raise Refused(f"{self.layout.ar_conf} names no response that could be undone.", UNKNOWN_RESPONSE)
        responses = [Response(name, (user, address, *BY_HAND), lifts=True) for name in names]
        shown = "', '".join(_text(name) for name in names)
        if local:
            before = [block.id for block in self._blocks_of(user, address) if block.name in names]
            for response in responses:
                self._execute(response)
            self._await_release(before, target or "")
            self._confirm(f"Undone active response '{shown}' on: {LOCAL_ID}", "Undone active response")
            return
        self._dispatch(responses, f"Undoing active response '{shown}' on", COMPATIBILITY_NOTE)

    def _blocks_of(self, user: bytes, address: bytes) -> list[InForce]:
        """What an undoing of these two reaches, as execd sees it: without a user, all users of the address."""
        wanted = _same(address)
        return [
            block
            for block in self.read_blocks()
            if len(block.words) > 1 and _same(block.words[1]) == wanted and user in (ABSENT, block.words[0])
        ]

    def _await_release(self, ids: Sequence[int], target: str) -> None:
        """Until execd has forgotten these blocks; Refused when it has not in time."""
        deadline = time.monotonic() + RELEASE_PATIENCE
        while True:
            left = [block for block in self.read_blocks() if block.id in ids]
            if not left:
                return
            if any(block.failures for block in left) or time.monotonic() > deadline:
                raise Refused(
                    f"{target} is not released yet; execd goes on trying. See {self.layout.ossec_log}.", NOT_RELEASED
                )
            time.sleep(LOOK_AGAIN)

    # scans and maintenance
    def _scan(self) -> None:
        if self.request.everyone:
            self._order(b"A!N", None, SCAN_ORDER)
            text = "Restarting Syscheck/Rootcheck on all agents"
            self._say(f"\nOSSEC HIDS {PROGRAM}: {text}.", text)
            return
        assert self.request.agent is not None
        agent = self.find(self.request.agent)
        self._start_scan(agent)
        if agent.row.id == LOCAL_ID:
            text = "Restarting Syscheck/Rootcheck locally"
            self._confirm(f"{text}.", text)
        else:
            text = "Restarting Syscheck/Rootcheck on agent"
            self._confirm(f"{text}: {agent.row.id}", text)

    def _start_scan(self, agent: Agent) -> None:
        if agent.row.id == LOCAL_ID:
            write_atomically(self.layout.syscheck_run_file, SCAN_FILE.encode())
        else:
            self._order(b"N!S", agent, SCAN_ORDER)

    def _maintain(self, action: str) -> None:
        if self.request.agent is None:
            raise Refused("-M requires -u <agent_id>.", NO_AGENT_GIVEN)
        if action not in ("enable", "disable", "status", "end"):
            raise Refused(f"Invalid -M action '{action}' (use enable|disable|status|end).", BAD_ACTION)
        agent = self.find(self.request.agent)
        base = maintenance.LOCAL if agent.row.id == LOCAL_ID else agent.label
        path = self.layout.maintenance_mark(base)
        old = maintenance.read(path)
        new: Marker | None
        if action == "disable":
            path.unlink(missing_ok=True)
            new = None
        elif action == "status":
            new = old
        else:
            marker = old or Marker(int(self.clock()))
            new = Marker(marker.enabled_at, action == "end" or marker.pending_end, marker.silent_updates)
            _write_marker(path, new)
            if action == "end":
                try:
                    self._start_scan(agent)
                except (Refused, OSError):
                    if old is None:
                        path.unlink(missing_ok=True)
                    else:
                        _write_marker(path, old)
                    raise Refused(
                        "Unable to deliver syscheck restart for -M end (maintenance pending_end rolled back).",
                        NOT_DELIVERED,
                    ) from None
        self._tell_maintenance(action, agent.row.id, new)

    def _tell_maintenance(self, action: str, identity: str, marker: Marker | None) -> None:
        if self.request.as_json:
            value: dict[str, object] = {
                "agent": identity,
                "fimMaintenance": _maintenance_state(marker),
                "action": action,
            }
            if marker is not None:
                value["fimMaintEnabledAt"] = marker.enabled_at
                value["fimMaintSilentUpdates"] = marker.silent_updates
                value["fimMaintPendingEnd"] = marker.pending_end
            self.out(listing.answer(value))
            return
        head = f"\nOSSEC HIDS {PROGRAM}: "
        if action == "status" and marker is not None:
            self.out(
                f"{head}Agent {identity} FIM maintenance: {marker.tag}\n   enabled_at={marker.enabled_at}  "
                f"silent_updates={marker.silent_updates}  pending_end={int(marker.pending_end)}\n"
            )
        elif action == "status":
            self.out(f"{head}Agent {identity} FIM maintenance mode: disabled\n")
        elif action == "end":
            self.out(
                f"{head}FIM maintenance end requested for agent {identity}.\nSyscheck/Rootcheck restart sent; "
                "maintenance clears when the baseline scan completes (syscheck-db-completed).\n"
            )
        else:
            if action == "disable":
                self.out(
                    "\n** Warning: immediate disable does not wait for a syscheck scan. "
                    "Prefer '-M end' after patching.\n"
                )
            self.out(f"{head}FIM maintenance mode {action}d for agent {identity}.\n")

    # queues
    def _order(self, flags: bytes, agent: Agent | None, text: bytes) -> None:
        """Hand remoted an order; `flags` as in the spec, section 7."""
        order = Order(
            agent=b"msg_to_agent",
            origin=MESSAGE_ORIGIN,
            to_all=flags[:1] == b"A",
            to_origin=False,
            to_agent=flags[2:] == b"S",
            is_response=flags[1:2] != b"!",
            agent_id=None if agent is None else agent.row.id.encode(),
            text=text,
        )
        self._deliver(self.layout.ar_queue, execq.encode_order(order), "remoted", "active response queue")

    def _execute(self, response: Response) -> None:
        """Hand the local execd a response."""
        self._deliver(self.layout.exec_queue, execq.encode_response(response), "execd", "execd queue")

    def _deliver(self, path: Path, datagram: bytes, reader: str, queue_name: str) -> None:
        outbox = Outbox(path)
        deadline = time.monotonic() + PATIENCE
        try:
            while outbox.send(datagram) is not Delivery.SENT:
                if time.monotonic() > deadline:
                    reason = "Queue not found" if not path.exists() else str(outbox.error or "full")
                    self.complain(f"{PROGRAM}(1210): ERROR: Queue '{path}' not accessible: '{reason}'.")
                    self.complain(f"{PROGRAM}(1301): ERROR: Unable to connect to {queue_name}.")
                    raise Refused(f"Unable to connect to {reader}.", NOT_DELIVERED)
                time.sleep(LOOK_AGAIN)
        finally:
            outbox.close()

    # answers
    def _say(self, text: str, response: str) -> None:
        self.out(listing.answer(response) if self.request.as_json else text)

    def _confirm(self, text: str, response: str, note: str = "") -> None:
        self._say(f"\nOSSEC HIDS {PROGRAM}: {text}\n{note}", response)


def _maintenance_state(marker: Marker | None) -> str:
    if marker is None:
        return "disabled"
    return marker.tag if marker.pending_end else "enabled"


def _write_marker(path: Path, marker: Marker) -> None:
    try:
        write_atomically(path, marker.format().encode(), 0o660)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}.", NOT_WRITTEN) from error


def _block_values(block: InForce) -> dict[str, object]:
    words = [_text(word) for word in block.words] + ["-", "-"]
    if block.failures:
        state = f"{'release' if block.made else 'block'} failed {block.failures} time{'s' * (block.failures > 1)}"
    else:
        state = "in force" if block.made else "being made"
    return {
        "id": block.id,
        "response": _text(block.name),
        "user": words[0],
        "ip": words[1],
        "expires": int(block.expires),
        "status": state,
    }


def _same(address: bytes) -> bytes:
    """One form for one address, as execd compares them."""
    try:
        return str(ipaddress.ip_address(_text(address))).encode()
    except ValueError:
        return address


def _word(text: str) -> bytes:
    """A word of a response message; Refused where it would be two."""
    if not text or any(character.isspace() or ord(character) < 32 for character in text) or text.startswith("!"):
        raise Refused(f"{text!r} cannot be sent: it is no single word.", BAD_TARGET)
    return text.encode("utf-8", "surrogateescape")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
