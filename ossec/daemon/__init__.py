"""The skeleton that every daemon stands on.

A daemon's package holds a pure core and a `daemon.py`: the shell, a subclass of `Service`.  This package alone knows
options, pid files, privileges, signals, systemd notification, ossec.log, the loop and state files::

    class Execd(Service):
        name = "ossec-execd"
        summary = "Run active responses and undo them in time."
        def __init__(self, context: Context) -> None: ...   # load the configuration; ConfigError or CleanExit
        def prepare(self) -> None: ...                      # still root: bind sockets, write what root must own
        def open(self) -> None: ...                         # privileges are dropped: connect, register with the loop
        def reload(self) -> None: ...                       # SIGHUP, `ossec-control reload`
        def close(self) -> None: ...                        # SIGTERM and the like

    def main() -> None:
        run(Execd)

Where to look: `skeleton` the life of a daemon, `loop` one epoll loop with timers, `log` ossec.log, `process` pid files,
privileges and daemonising, `state` the state files.
"""

from ossec.daemon.command import Options
from ossec.daemon.log import code, plain, ready_made
from ossec.daemon.loop import Loop, Timer
from ossec.daemon.skeleton import CleanExit, Context, Service, run

__all__ = ["CleanExit", "Context", "Loop", "Options", "Service", "Timer", "code", "plain", "ready_made", "run"]
