"""Any bytes end in a configuration or in ConfigurationError, for every program."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ossec.config import ConfigurationError, agent_conf, load
from ossec.config.schema import Machine
from ossec.config.sections import SECTIONS
from ossec.layout import Layout

PROGRAMS = sorted({program for section in SECTIONS.values() for program in section.readers} | {"ossec-execd"})
MACHINE = Machine(resolves=lambda name: False, globs=lambda pattern: False, exists=lambda path: False)


def fuzz_ossec_conf(data: bytes) -> None:
    """Read the bytes as ossec.conf and as agent.conf."""
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder))
        layout.shared_dir.mkdir(parents=True)
        layout.ossec_conf.write_bytes(data)
        for program in PROGRAMS:
            try:
                load(layout, None, program, machine=MACHINE)
            except ConfigurationError as error:
                assert error.lines
        layout.ossec_conf.write_bytes(b"<ossec_config/>")
        layout.agent_conf.write_bytes(data)
        agent_conf.load(
            layout, program="ossec-logcollector", agent=agent_conf.Agent("a", "Linux", "b"), machine=MACHINE
        )
        agent_conf.verify(layout, layout.agent_conf)
