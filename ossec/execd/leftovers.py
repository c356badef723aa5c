"""Scripts of an earlier life: execd was killed, they were not.  Found by what their environment says."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ossec.daemon import Loop
from ossec.execd.fields import PREFIX

PROC = Path("/proc")


def find(home: bytes) -> dict[int, list[int]]:
    """Pids of processes that work on a response of this home, by the journal's number of the block.

    Only what is still in the session that the script was given: a helper that left it is on its own.
    """
    home_mark = b"%bHOME=%b" % (PREFIX.encode(), home)
    block_mark = b"%bBLOCK=" % PREFIX.encode()
    found: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if home_mark not in variables:
                continue
            block = next((item for item in variables if item.startswith(block_mark)), b"=").partition(b"=")[2]
            if block.isdigit() and os.getsid(pid) != os.getsid(0):
                found.setdefault(int(block), []).append(pid)
        except OSError:
            continue  # it ended, or is not ours to look at
    return found


class Leftovers:
    """Tells when the last process of a block has ended."""

    def __init__(self, loop: Loop, gone: Callable[[int], None]) -> None:
        self._loop = loop
        self._gone = gone
        self._open: dict[int, set[int]] = {}  # pidfds by number

    def watch(self, processes: Mapping[int, list[int]]) -> None:
        """`processes` by the number to call back with."""
        for number, pids in processes.items():
            descriptors: set[int] = set()
            for pid in pids:
                try:
                    descriptors.add(os.pidfd_open(pid))
                except ProcessLookupError:
                    continue
            self._open[number] = descriptors
            for descriptor in descriptors:
                self._loop.on_readable(descriptor, functools.partial(self._ended, number, descriptor))
            if not descriptors:
                self._loop.call_soon(functools.partial(self._end, number))

    def _ended(self, number: int, descriptor: int) -> None:
        self._close(descriptor)
        remaining = self._open[number]
        remaining.discard(descriptor)
        if not remaining:
            self._end(number)

    def _end(self, number: int) -> None:
        self.give_up(number)

    def give_up(self, number: int) -> bool:
        """Wait no longer; False when there was nothing to wait for."""
        descriptors = self._open.pop(number, None)
        if descriptors is None:
            return False
        for descriptor in descriptors:
            self._close(descriptor)
        self._gone(number)
        return True

    def _close(self, descriptor: int) -> None:
        self._loop.forget(descriptor)
        os.close(descriptor)
