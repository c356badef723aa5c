"""Runs a recorded daemon case on the core, in process, with the clock of the recording."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ossec.analysisd.assembly import Assembly, Parts
from ossec.analysisd.numbers import AlertNumbers
from ossec.analysisd.pipeline import Analysis
from ossec.config import load
from ossec.config.internal import InternalOptions
from ossec.daemon.log import LineFormatter
from ossec.messages import alert_json
from tests.support import make_bare_home

OWN_NAME = b"ossecsrv"
OUTPUTS = ("alerts.log", "alerts.json", "archives.log", "firewall.log")


def shown(data: bytes) -> str:
    """Bytes as the recording writes them."""
    return data.decode("utf-8", "backslashreplace")


def without_additions(line: str) -> str:
    """A line of alerts.json without what is ours, to be compared with OSSEC's to the byte."""
    value = alert_json.parse(line.encode())
    alert_json.take_additions(value)
    file = value.get("SyscheckFile")
    if isinstance(file, dict):
        alert_json.take_additions(file, ("size_before", "size_after"))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass
class Run:
    """What came out."""

    events: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(LineFormatter("ossec-analysisd", dated=False))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Daemon:
    """The core of analysisd in a home of its own."""

    first_scan = True
    own_name = OWN_NAME

    def __init__(self, home: Path, case: dict[str, Any], configuration: str | None = None, **options: int) -> None:
        self.layout = make_bare_home(home)
        self.case = case
        self._write_home(configuration, options)
        self.assembly = Assembly(self.layout, name=self.own_name)
        self.internal = InternalOptions.load(self.layout, quiet=True)
        self.configuration = load(self.layout)
        self.parts: Parts = self.assembly.load(self.configuration, self.internal)
        self.numbers = AlertNumbers(self.layout.alert_number)
        first = case["events"][0]["time"] if case["events"] else 1700000000
        self.analysis: Analysis = self.assembly.build(self.parts, self.numbers.next, first)

    def _write_home(self, configuration: str | None, options: dict[str, int]) -> None:
        case, layout = self.case, self.layout
        for name, text in case.get("preset_files", {}).items():
            path = layout.under(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        values = {key.removeprefix("analysisd."): value for key, value in case.get("internal_options", {}).items()}
        values |= {key: str(value) for key, value in options.items()}
        lines = [f"analysisd.{key}={value}\n" for key, value in values.items()]
        # the recordings are OSSEC's, which tells new files during a first scan too
        lines.append(f"syscheck.alert_first_scan={int(self.first_scan)}\n")
        layout.local_internal_options.write_text("".join(lines))
        if configuration is None:
            layout.decoder_xml.write_text(case["decoder.xml"])
            if "local_decoder.xml" in case:
                layout.local_decoder_xml.write_text(case["local_decoder.xml"])
            for name, text in case["rules"].items():
                (layout.rules_dir / name).write_text(text)
            includes = "".join(f"<include>{name}</include>" for name in case["rules"])
            configuration = f"<rules>{includes}</rules>"
        has_json = any("alerts.json" in event for event in case["events"])
        layout.ossec_conf.write_text(
            "<ossec_config>\n<global><logall>yes</logall>"
            + ("<jsonout_output>yes</jsonout_output>" if has_json else "")
            + case.get("global_section", "")
            + f"</global>\n{configuration}\n{case.get('ossec.conf_sections', '')}\n</ossec_config>\n"
        )

    def run(self) -> Run:
        """Send the datagrams one by one; what each output received because of each."""
        run = Run()
        files = {
            "alerts.log": self.layout.alerts_log,
            "alerts.json": self.layout.alerts_json,
            "archives.log": self.layout.archives_dir / "archives.log",
            "firewall.log": self.layout.firewall_dir / "firewall.log",
        }
        offsets = dict.fromkeys(files, (0, 0))
        lines = Lines()
        logger = logging.getLogger("ossec")
        logger.addHandler(lines)
        level = logger.level
        logger.setLevel(logging.INFO)
        try:
            for event in self.case["events"]:
                datagram = event["datagram"].encode("utf-8", "surrogateescape")
                dispatches = self.analysis.receive([datagram], event["time"])
                self.analysis.outputs.flush()
                got: dict[str, Any] = {}
                for name, path in files.items():
                    got[name], offsets[name] = _news(path, offsets[name])
                got["queue/alerts/execq"] = [shown(one.datagram) for one in dispatches if one.to_execd]
                got["queue/alerts/ar"] = [shown(one.datagram) for one in dispatches if not one.to_execd]
                run.events.append(got)
        finally:
            logger.removeHandler(lines)
            logger.setLevel(level)
            self.analysis.outputs.close()
            self.assembly.close()
            self.numbers.close()
        run.log = lines.lines
        return run


def _news(path: Path, before: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """What a file got since (inode, offset)."""
    if not path.exists():
        return "", before
    inode, offset = before
    status = path.stat()
    if status.st_ino != inode:
        offset = 0
    data = path.read_bytes()
    return shown(data[offset:]), (status.st_ino, len(data))
