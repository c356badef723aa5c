"""The log files that analysisd writes: one a day, its plain name a hard link to today's (spec/analysis.md, 10 and 12).

Lines are collected and written once per batch, with one system call per file, never synced.  When a file cannot be
written (a full disk), what waits is kept up to a bound and tried again with each batch: nothing is lost before that,
the daemon goes on, and says so once at the beginning and once, with figures, at the end.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ossec.analysisd.alerts import MONTHS, Renderer
from ossec.analysisd.statistics import Hour
from ossec.analysisd.stream import AlertStream, StreamError

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.layout import Layout

log = logging.getLogger("ossec.analysisd.outputs")

MAX_WAITING = 32 * 1024 * 1024  # bytes of alerts that wait for a disk: some 60,000 alerts
MAX_WAITING_ARCHIVES = 4 * 1024 * 1024  # archives go first
DIRECTORY_MODE = 0o750
FILE_MODE = 0o640


class DayFile:
    """One log with its dated files: `DIRECTORY/2023/Nov/STEM-14.log`, and `DIRECTORY/PLAIN.log` the same file."""

    def __init__(self, directory: Path, plain: str, stem: str, suffix: str, max_waiting: int) -> None:
        self.directory = directory
        self.plain = directory / f"{plain}{suffix}"
        self.path: Path | None = None
        self._stem = stem
        self._suffix = suffix
        self._max_waiting = max_waiting
        self._file = -1
        self._waiting: list[bytes] = []
        self._size = 0  # bytes in _waiting; kept only while the file cannot be written
        self._failed = False
        self.lost = 0  # records that found no room
        self.written = 0  # bytes

    def dated(self, day: tuple[int, int, int]) -> Path:
        year, month, number = day
        return self.directory / str(year) / MONTHS[month - 1] / f"{self._stem}-{number:02d}{self._suffix}"

    def open(self, day: tuple[int, int, int]) -> None:
        """Make `day` the day that is written; an old file that stayed empty goes.  OSError where it cannot be made."""
        path = self.dated(day)
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        new = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        old, self._file = self._file, new
        old_path, self.path = self.path, path
        if old >= 0:
            if old_path is not None and old_path != path and os.fstat(old).st_size == 0:
                old_path.unlink(missing_ok=True)
            os.close(old)
        self._link(path)

    def _link(self, path: Path) -> None:
        try:
            if self.plain.exists() and self.plain.samefile(path):
                return
            beside = self.plain.with_name(f".{self.plain.name}.new")
            beside.unlink(missing_ok=True)
            try:
                os.link(path, beside)
            except PermissionError:  # a file system without hard links
                beside.symlink_to(path.relative_to(self.directory))
            beside.replace(self.plain)
        except OSError as error:
            log.error("%s cannot be linked to today's file: %s", self.plain, error.strerror)

    def write(self, record: bytes) -> None:
        """Add a record to what the next `flush` writes."""
        if self._failed:
            if self._size + len(record) > self._max_waiting:
                self.lost += 1
                return
            self._size += len(record)
        self._waiting.append(record)

    def flush(self) -> None:
        """Hand everything to the system; what it does not take stays."""
        while self._waiting:
            # a disk that was full is asked with one piece, not with all that waits
            data = self._waiting[0] if self._failed else b"".join(self._waiting)
            done = 0
            try:
                while done < len(data):
                    done += os.write(self._file, data[done:] if done else data)
            except OSError as error:
                self.written += done
                self._keep(data[done:], error)
                return
            self.written += done
            if not self._failed:
                self._waiting.clear()
                return
            del self._waiting[0]
            self._failed = False
            log.warning(
                "%s is written again: %d bytes had waited, %d records are lost.", self.plain, self._size, self.lost
            )
            self._size = 0

    def _keep(self, data: bytes, error: OSError) -> None:
        if self._failed:
            self._waiting[0] = data
            return
        self._waiting[:] = [data]
        self._size = len(data)
        self._failed = True
        log.error(
            "%s cannot be written: %s. Up to %d bytes wait until it can be.",
            self.plain,
            error.strerror,
            self._max_waiting,
        )

    @property
    def waiting(self) -> int:
        """Bytes that a file which cannot be written still owes."""
        return self._size if self._failed else 0

    def close(self) -> None:
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


StreamOptions = tuple[str, str | None, str | None]  # zeromq: address, server's and client's certificate


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Which files are written, and how."""

    alerts_json: bool = False
    archives: bool = False
    archives_json: bool = False
    firewall: bool = True
    geoip_in_json: bool = False  # analysisd.geoip_jsonout
    custom: bytes | None = None  # the format of <custom_alert_output>
    stream: StreamOptions | None = None


class Outputs:
    """All log files of analysisd."""

    def __init__(self, layout: Layout, options: OutputOptions, renderer: Renderer) -> None:
        self.renderer = renderer
        self._layout = layout
        self.alerts = DayFile(layout.alerts_dir, "alerts", "ossec-alerts", ".log", MAX_WAITING)
        self._files = [self.alerts]
        self.alerts_json: DayFile | None = None
        self.archives: DayFile | None = None
        self.archives_json: DayFile | None = None
        self.firewall: DayFile | None = None
        self.stream: AlertStream | None = None
        self.options = options
        self._hour: Hour | None = None
        self._arrange(options)

    def _arrange(self, options: OutputOptions) -> None:
        """Have the stream and the files that `options` ask for."""
        layout = self._layout
        if options.stream != (self.options.stream if self.stream is not None else None):
            self._change_stream(options.stream)
        wanted: list[tuple[str, bool, Path, str, str, str, int]] = [
            ("alerts_json", options.alerts_json, layout.alerts_dir, "alerts", "ossec-alerts", ".json", MAX_WAITING),
            ("archives", options.archives, layout.archives_dir, "archives", "ossec-archive", ".log", 0),
            ("archives_json", options.archives_json, layout.archives_dir, "archives", "ossec-archive", ".json", 0),
            ("firewall", options.firewall, layout.firewall_dir, "firewall", "ossec-firewall", ".log", 0),
        ]
        for name, wants, directory, plain, stem, suffix, most in wanted:
            file: DayFile | None = getattr(self, name)
            if wants and file is None:
                file = DayFile(directory, plain, stem, suffix, most or MAX_WAITING_ARCHIVES)
                if self._hour is not None:
                    file.open(self._hour.key)
            elif not wants and file is not None:
                file.close()
                file = None
            setattr(self, name, file)
        self.options = options
        files = (self.alerts, self.alerts_json, self.archives, self.archives_json, self.firewall)
        self._files = [file for file in files if file is not None]

    def _change_stream(self, wanted: StreamOptions | None) -> None:
        """Close the old one first, for the new one may have its address; if that fails the old one comes back."""
        old, self.stream = self.stream, None
        if old is not None:
            old.close()
        try:
            self.stream = None if wanted is None else AlertStream(*wanted)
        except StreamError:
            if old is not None and self.options.stream is not None:
                self.stream = AlertStream(*self.options.stream)
            raise

    def change(self, options: OutputOptions) -> None:
        """After a reload: other options, same files where they stay.  OSError, StreamError where one cannot be made."""
        self.renderer.forget()
        self.renderer.geoip_in_json = options.geoip_in_json
        self._arrange(options)

    def open(self, hour: Hour) -> None:
        """Write to the files of the day of `hour`.  OSError where one cannot be made."""
        self._hour = hour
        for file in self._files:
            file.open(hour.key)

    def roll(self, hour: Hour) -> None:
        """A new hour: other files if the day is another one; those that cannot be made stay as they were."""
        old, self._hour = self._hour, hour
        if old is not None and old.key == hour.key:
            return
        for file in self._files:
            file.flush()
            try:
                file.open(hour.key)
            except OSError as error:
                log.error("Today's file of %s cannot be made: %s", file.plain, error.strerror)

    def alert(self, event: Event, number: int) -> None:
        """To alerts.log and alerts.json."""
        renderer = self.renderer
        if self.options.custom is None:
            self.alerts.write(renderer.alert_text(event, number))
        else:
            self.alerts.write(renderer.custom(self.options.custom, event, number))
        if self.alerts_json is not None or self.stream is not None:
            line = renderer.json(event, number)
            if self.alerts_json is not None:
                self.alerts_json.write(line)
            if self.stream is not None:
                self.stream.send(line)

    def archive_text(self, event: Event) -> None:
        """To archives.log."""
        if self.archives is not None:
            self.archives.write(self.renderer.archive_text(event))

    def archive_json(self, event: Event) -> None:
        """To archives.json."""
        if self.archives_json is not None:
            self.archives_json.write(self.renderer.archive_json(event))

    def packet(self, event: Event) -> None:
        """To firewall.log."""
        if self.firewall is not None:
            self.firewall.write(self.renderer.firewall(event))

    def flush(self) -> None:
        """The end of a batch."""
        for file in self._files:
            file.flush()

    @property
    def has_archives(self) -> bool:
        return self.archives is not None or self.archives_json is not None

    @property
    def waiting(self) -> int:
        return sum(file.waiting for file in self._files)

    @property
    def lost(self) -> int:
        return sum(file.lost for file in self._files)

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        for file in self._files:
            file.close()
