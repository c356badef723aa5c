"""The process that may write client.keys, for the one that talks to strangers and may not.

`ossec-authd` drops root, but etc/ is root's.  So before it does, it forks this keeper: it takes wishes over a socket
pair, one datagram each, changes client.keys under its lock, and answers.  It judges what it is asked as if the asking
side were a stranger, and ends when that side is gone.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

from ossec.agents.keyfile import AgentError, KeyFile, Row
from ossec.agents.store import ENROLMENT_MODE, KeyStore
from ossec.authd.core import Verdict, Wish, denied, enrol, failed, granted
from ossec.layout import Layout

MAX_MESSAGE = 8192  # of a wish or an answer: a name of 128, an address, a key


def start(layout: Layout, use_source: bool) -> socket.socket:
    """Fork the keeper; the caller's end of the pair, non-blocking.  Before any thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            _become_keeper(theirs)
            serve(theirs, layout, use_source)
        finally:
            os._exit(0)
    theirs.close()
    ours.setblocking(False)
    return ours


def encode_wish(number: int, wish: Wish) -> bytes:
    return json.dumps([number, wish.name, wish.source]).encode()


def decode_answer(datagram: bytes) -> tuple[int, bytes, list[tuple[int, str]]]:
    """(number of the wish, bytes for the agent, lines for the log); ValueError."""
    number, answer, log = json.loads(datagram)
    return int(number), answer.encode("utf-8", "surrogateescape"), [(int(level), str(text)) for level, text in log]


def serve(queue: socket.socket, layout: Layout, use_source: bool) -> None:
    """Until the other side is gone."""
    while True:
        datagram = queue.recv(MAX_MESSAGE)
        if not datagram:
            return
        number, name, source = json.loads(datagram)
        verdict = fulfil(layout, Wish(name, source), use_source)
        answer = [number, verdict.answer.decode("utf-8", "surrogateescape"), verdict.log]
        queue.send(json.dumps(answer).encode())


def fulfil(layout: Layout, wish: Wish, use_source: bool) -> Verdict:
    """Add the agent, or say why not."""
    added: list[Row] = []

    def edit(known: KeyFile) -> KeyFile:
        changed, row = enrol(known, wish, use_source=use_source)
        added.append(row)
        return changed

    try:
        KeyStore(layout.client_keys).change(edit, ENROLMENT_MODE)
        layout.rids(added[0].id).unlink(missing_ok=True)  # of an agent that was removed by hand
    except AgentError as error:
        return denied(error, wish)
    except OSError as error:
        return failed(wish, f"{error.filename}: {error.strerror}")
    return granted(added[0], wish)


def _become_keeper(queue: socket.socket) -> None:
    """Hold on to nothing of the parent's: not its lock, not its terminal; a signal to its group is not for us."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(name, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    kept = queue.fileno()
    for entry in list(Path("/proc/self/fd").iterdir()):
        number = int(entry.name)
        if number > 2 and number != kept:
            try:
                os.close(number)
            except OSError:
                pass
