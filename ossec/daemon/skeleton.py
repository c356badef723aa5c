"""The life of a daemon, from its command line to its exit status (spec/configuration.md, section 7; decisions.md).

Start: options, ossec.log, `Service(context)` (loads the configuration), `prepare()` as the user who started it, the
background, a lock, privileges dropped for good, `open()`, the pid file, `Started (pid: N).`.  Only then does the
process that was started exit, so `ossec-control` and systemd know the truth, and what went wrong is on the terminal.

End: SIGTERM, SIGINT, SIGQUIT, SIGALRM give OSSEC's line 1225, `close()`, the pid file removed, exit 0.  SIGHUP calls
`reload()`; a ConfigError there is logged and leaves things as they were.  A mark beside the state file tells
ossec-control how it went.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ossec.daemon import log as ossec_log
from ossec.daemon import process
from ossec.daemon.command import Options, parse_options
from ossec.daemon.loop import Loop
from ossec.daemon.state import StateFile, write_reload_mark
from ossec.errors import ConfigError, OssecError
from ossec.layout import Layout, find_home

if TYPE_CHECKING:
    import click

    from ossec.config.internal import InternalOptions

STATE_INTERVAL = 5.0  # seconds between two state files, unless a daemon says otherwise
UMASK = 0o027
STOP_SIGNALS = {
    signal.SIGTERM: "Terminated",
    signal.SIGINT: "Interrupt",
    signal.SIGQUIT: "Quit",
    signal.SIGALRM: "Alarm clock",
}


class CleanExit(OssecError):
    """There is nothing to do (the function is switched off): say the message, if any, and exit 0."""


class Context:
    """What the skeleton gives a service: where it works, what it was told, the loop."""

    def __init__(self, layout: Layout, options: Options, loop: Loop, name: str) -> None:
        self.layout = layout
        self.options = options
        self.loop = loop
        self.name = name
        self._internal: InternalOptions | None = None

    @property
    def config_path(self) -> Path:
        """ossec.conf, or what `-c` says."""
        return Path(self.options.config) if self.options.config else self.layout.ossec_conf

    @property
    def internal(self) -> InternalOptions:
        """internal_options.conf, read at first use."""
        if self._internal is None:
            from ossec.config.internal import InternalOptions

            self._internal = InternalOptions.load(self.layout, self.name)
        return self._internal


class Service:
    """A daemon as the skeleton sees it.  Subclasses override what they need; `__init__` loads the configuration."""

    name: ClassVar[str]  # as in OSSEC: 'ossec-execd'
    summary: ClassVar[str]  # one sentence for --help
    user: ClassVar[str | None] = None  # whom to become when root starts it; None stays root
    group: ClassVar[str | None] = "ossec"
    flags: ClassVar[str] = "cgu"  # which of -c -g -u it takes; -V -h -d -t -f -D all do
    debug_option: ClassVar[str | None] = None  # the internal option that -d overrides, such as 'analysisd.debug'

    @classmethod
    def own_options(cls) -> list[click.Parameter]:
        """Options that only this daemon has; their values are in `context.options.extra`."""
        return []

    def __init__(self, context: Context) -> None:
        self.context = context
        self.layout = context.layout
        self.loop = context.loop
        self.state_interval = STATE_INTERVAL  # seconds between two state files; 0: none are written

    @classmethod
    def test(cls, context: Context) -> int:
        """`-t`: print what is wrong, write nothing, return the exit status.  By default: can it be constructed?"""
        cls(context)
        return 0

    def prepare(self) -> None:
        """As the user who started us, before the background (no threads yet: it forks) and the loss of privileges."""

    def open(self) -> None:
        """Connect and register with the loop."""

    def reload(self) -> None:
        """Read the configuration again; a ConfigError leaves the old one in force."""

    def stopping(self) -> None:
        """A signal asks for the end; called before the line that says so, in the loop."""

    def close(self) -> None:
        """Hand over what is held, save what must last."""

    def state(self) -> Mapping[str, object] | None:
        """Counters for the state file; None writes none."""
        return None


def run(service: type[Service], argv: list[str] | None = None) -> None:
    """`main` of a daemon: never returns."""
    options = parse_options(service, sys.argv[1:] if argv is None else argv)
    layout = find_home(options.home)
    sys.exit(_Life(service, layout, options).run())


class _Life:
    """One run of one daemon."""

    def __init__(self, service: type[Service], layout: Layout, options: Options) -> None:
        self.kind = service
        self.name = service.name
        self.layout = layout
        self.options = options
        self.log = logging.getLogger(ossec_log.ROOT)
        self.background = process.Background()
        self.reloads = 0

    def run(self) -> int:
        options = self.options
        ossec_log.configure(self.name, None if options.test else self.layout.ossec_log, True, options.debug)
        os.umask(UMASK)
        try:
            return self._live()
        except CleanExit as leaving:
            if str(leaving):
                self.log.info("%s", leaving)
            self._say_ready()
            return 0
        except ConfigError as error:
            self._log_config_error(error)
        except process.UnknownUser as error:
            self.log.error("%s", error, extra=ossec_log.code(1203))
        except (OssecError, OSError) as error:
            self.log.error("%s", error)
        except Exception:
            self.log.exception("a defect of ours ended this daemon; please report it with these lines")
        return 1

    def _live(self) -> int:
        context = Context(self.layout, self.options, Loop(), self.name)
        self._set_debug(context)
        if self.options.test:
            return self.kind.test(context)
        ids = self._find_ids()
        service = self.kind(context)
        held = process.lock(self.layout, self.name)  # before prepare(): a second copy must not take the first's queue
        service.prepare()
        if not self.options.foreground:
            self.background.detach()
        pid_file = process.PidFile(self.layout, self.name)
        try:
            self._give_away(held, ids)
            if ids is not None:
                process.drop_privileges(*ids)
            self._catch_signals(service)
            service.open()
            pid_file.write()
            self.log.info("Started (pid: %d).", os.getpid())
            self._write_states(service)
            self._say_ready()
            context.loop.run()
            process.notify("STOPPING=1")
            service.close()
        finally:
            pid_file.remove()
            if self.reloads:
                with contextlib.suppress(OSError):
                    self.layout.reload_mark(self.name).unlink(missing_ok=True)
        return 0

    def _set_debug(self, context: Context) -> None:
        option = self.kind.debug_option
        if option and not self.options.debug and context.internal.get(option):
            self.log.setLevel(logging.DEBUG)

    def _find_ids(self) -> tuple[int | None, int | None] | None:
        """Whom to become: (uid, gid), either None to stay; None altogether where there is nothing to drop."""
        if os.geteuid() != 0:
            return None
        named = self.options.user or self.options.group
        if not named and not process.own_home(self.layout):
            return None
        user = self.options.user or self.kind.user
        group = self.options.group or self.kind.group or "root"
        uid, gid = process.find_ids(user or "root", group)
        return (uid if user else None), gid

    def _give_away(self, held: int, ids: tuple[int | None, int | None] | None) -> None:
        if ids is not None:
            os.fchown(held, ids[0] if ids[0] is not None else -1, ids[1] if ids[1] is not None else -1)

    def _catch_signals(self, service: Service) -> None:
        loop = service.loop

        def stop(number: int) -> None:
            service.stopping()
            text = f"SIGNAL [({number})-({STOP_SIGNALS[signal.Signals(number)]})] Received. Exit Cleaning..."
            self.log.info("%s", text, extra=ossec_log.code(1225))
            loop.stop()

        def reload() -> None:
            process.notify("RELOADING=1")
            problem = ""
            try:
                service.reload()
            except ConfigError as error:
                self._log_config_error(error)
                self.log.error("Reload refused: the configuration read before stays in force.")
                problem = str(error)
            process.notify("READY=1")
            self.reloads += 1
            try:
                write_reload_mark(self.layout.reload_mark(self.name), self.reloads, problem)
            except OSError as error:
                self.log.warning("%s cannot be written: %s", self.layout.reload_mark(self.name), error.strerror)

        def on_stop(number: int, _: object) -> None:
            loop.call_from_thread(lambda: stop(number))

        for number in STOP_SIGNALS:
            signal.signal(number, on_stop)
        signal.signal(signal.SIGHUP, lambda *_: loop.call_from_thread(reload))
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def _write_states(self, service: Service) -> None:
        file = StateFile(self.layout.state_file(self.name))

        def write() -> None:
            values = service.state() if service.state_interval else None
            if values is not None:
                try:
                    file.write(values)
                except OSError as error:
                    self.log.debug("%s cannot be written: %s", file.path, error)
            service.loop.call_later(service.state_interval or STATE_INTERVAL, write)

        if service.state() is not None:
            write()

    def _say_ready(self) -> None:
        if not self.options.foreground:
            ossec_log.stop_stderr()
        self.background.ready()
        process.notify("READY=1")

    def _log_config_error(self, error: ConfigError) -> None:
        """A ConfigError that carries prepared `lines` (OSSEC's own first) prints them; others print themselves."""
        lines = getattr(error, "lines", None)
        if lines is None:
            self.log.error("%s", error)
            return
        for line in lines:
            self.log.error("%s", line, extra=ossec_log.ready_made)
