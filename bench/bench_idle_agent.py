"""Memory of an idle agent: proportional set size of its four daemons together, in MiB.

Each page that several processes share counts in parts, so the sum is what the machine gives for the agent.  The bar is
100 MiB, the aim 40; exit 1 above the bar.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.suite import Suite, section
from tests.support import wait_until

DAEMONS = ("ossec-execd", "ossec-agentd", "ossec-logcollector", "ossec-syscheckd")
BAR = 100.0
SETTLE = 10.0  # seconds in which the first scan of a small folder ends
KEY = "001 idle any " + "0123456789abcdef" * 4


def kib(pid: int) -> dict[str, int]:
    """PSS, private pages and the part that no file backs, of a process and its children."""
    total = {"pss": 0, "private": 0, "anonymous": 0}
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        if name == "Pss:":
            total["pss"] += int(value)
        elif name in ("Private_Clean:", "Private_Dirty:"):
            total["private"] += int(value)
        elif name == "Pss_Anon:":
            total["anonymous"] += int(value)
    for child in children:
        for name, value in kib(int(child)).items():
            total[name] += value
    return total


def main() -> int:
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        watched = Path(folder) / "watched"
        watched.mkdir()
        (watched / "file").write_text("x")
        suite = Suite(Path(folder) / "home")
        suite.install("--type", "agent", "--server-ip", "127.0.0.1")
        text = suite.layout.ossec_conf.read_text()
        suite.layout.ossec_conf.write_text(text.replace("<disabled>yes</disabled>", ""))
        suite.append(section("syscheck", directories=watched))
        suite.layout.client_keys.write_text(f"{KEY}\n")
        suite.start()
        try:
            wait_until(lambda: all(suite.pids(name) for name in DAEMONS), "the four daemons")
            time.sleep(SETTLE)
            whole = {"pss": 0, "private": 0, "anonymous": 0}
            for name in DAEMONS:
                found = kib(suite.pid(name))
                print(f"{name:20} PSS {found['pss'] / 1024:6.1f} MiB, private {found['private'] / 1024:6.1f} MiB")
                for kind, value in found.items():
                    whole[kind] += value
            figures = {f"idle_agent_{kind}_mib": round(value / 1024, 1) for kind, value in whole.items()}
        finally:
            suite.end()
    for name, value in figures.items():
        print(f"{name:45} {value:>12,}")
    print(json.dumps({"idle_agent": figures}))
    return 0 if figures["idle_agent_pss_mib"] < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
