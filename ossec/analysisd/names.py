"""Addresses of the host names in allow lists, looked up beside the engine.

A thread asks the resolver, at start and every few minutes, and hands the answer to the loop; the engine only ever looks
into the set that is there.  A name that cannot be resolved keeps the addresses it had.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence

log = logging.getLogger("ossec.analysisd.responses")

REFRESH = 300.0  # seconds between two look-ups: what short-lived records of dynamic addresses need
FIRST_WAIT = 2.0  # seconds that a start waits for the first answer; a resolver that hangs must not hold it up

Resolve = Callable[[str], frozenset[bytes]]


def look_up(name: str) -> frozenset[bytes]:
    """The addresses of a name, IPv4 and IPv6; OSError where there are none.  Blocks."""
    return frozenset(entry[4][0].encode() for entry in socket.getaddrinfo(name, None) if isinstance(entry[4][0], str))


class NameWatch:
    """Keeps `publish` supplied with the addresses of `names`.  `publish` is called in the thread."""

    def __init__(
        self, names: Sequence[str], publish: Callable[[frozenset[bytes]], None], resolve: Resolve = look_up
    ) -> None:
        self._names = tuple(name for name in names if name and not name.startswith("."))
        self._publish = publish
        self._resolve = resolve
        self._known: dict[str, frozenset[bytes]] = {}
        self._stop = threading.Event()
        self._first = threading.Event()
        self._told: set[str] = set()

    def start(self, wait: bool = True) -> None:
        """Begin, and wait a little for the first answer."""
        if not self._names:
            return
        threading.Thread(target=self._run, name="allow-list names", daemon=True).start()
        if wait:
            self._first.wait(FIRST_WAIT)

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while True:
            for name in self._names:
                try:
                    self._known[name] = self._resolve(name)
                    self._told.discard(name)
                except OSError as error:
                    if name not in self._told:
                        self._told.add(name)
                        log.warning("The allow list has a name without address: %s (%s)", name, error)
            if self._stop.is_set():
                return
            self._publish(frozenset[bytes]().union(*self._known.values()))
            self._first.set()
            if self._stop.wait(REFRESH):
                return
