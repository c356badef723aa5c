"""The shell of ossec-monitord: looks at the agents' files, and hands events to analysisd.

An event that analysisd does not take waits, in order, and is tried again at the next look.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping

from ossec import config
from ossec.crypto import keys
from ossec.daemon import Context, Service, ready_made
from ossec.monitord.agents import STARTED, Seen, Watch, disconnected
from ossec.queues import Delivery, Outbox

log = logging.getLogger("ossec.monitord")

INTERVAL = 10.0  # seconds between two looks; 10,000 agents cost 20 ms each.  OSSEC's are 120
GRACE = 30  # seconds that three missed keep-alives may be late
MAX_WAITING = 10_000  # events while analysisd is away: as many as agents may fall silent at once


class Monitord(Service):
    """See the module's head."""

    name = "ossec-monitord"
    summary = "Tell when agents fall silent, and that the suite was started."
    user = "ossec"

    @classmethod
    def test(cls, context: Context) -> int:
        lines, status = config.check(
            context.layout, path=context.config_path, program=cls.name, options=context.internal
        )
        for line in lines:
            log.error("%s", line, extra=ready_made)
        return status

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.outbox = Outbox(self.layout.event_queue)
        self.waiting: deque[bytes] = deque([STARTED], maxlen=MAX_WAITING)
        self.watch = Watch(3 * context.internal.get("monitord.notify_time") + GRACE)
        self.enabled = bool(context.internal.get("monitord.monitor_agents"))
        self.known: tuple[keys.AgentKey, ...] = ()
        self.stamp: tuple[int, int] | None = None
        self.reported = 0

    def open(self) -> None:
        self._look()
        self.loop.call_every(INTERVAL, self._look)

    def reload(self) -> None:
        self.stamp = None
        self._look()

    def close(self) -> None:
        self._hand_over()
        self.outbox.close()

    def state(self) -> Mapping[str, object]:
        return {
            "agents": len(self.known),
            "agents_active": len(self.watch.active),
            "disconnected": self.reported,
            "waiting": len(self.waiting),
        }

    def _look(self) -> None:
        if self.enabled:
            self._read_keys()
            for agent in self.watch.look(self._seen(), time.time()):
                self.reported += 1
                log.warning("Agent disconnected: '%s'.", agent.label)
                self.waiting.append(disconnected(agent))
        self._hand_over()

    def _hand_over(self) -> None:
        while self.waiting and self.outbox.send(self.waiting[0]) is Delivery.SENT:
            self.waiting.popleft()

    def _read_keys(self) -> None:
        path = self.layout.client_keys
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self.stamp:
                self.known = keys.parse(path.read_bytes()).keys
                self.stamp = stamp
        except OSError:
            self.known, self.stamp = (), None

    def _seen(self) -> Iterator[Seen]:
        for key in self.known:
            last = None
            if "/" not in key.name:
                try:
                    last = self.layout.agent_info(f"{key.name}-{key.address_text}").stat().st_mtime
                except OSError:
                    pass
            yield Seen(key.name, key.address_text, last)
