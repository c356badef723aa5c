"""Unix datagram sockets between the daemons: `Inbox` receives in batches, `Outbox` sends and says what became of it.

Policies when a queue is full are the sender's, and named where it sends: the collector waits (the file keeps), a
response waits in a bounded list, a statistic is dropped and counted.
"""

from ossec.queues.inbox import Inbox
from ossec.queues.outbox import Delivery, Outbox

__all__ = ["Delivery", "Inbox", "Outbox"]
