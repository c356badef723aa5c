"""What firewall-drop.sh leaves in the kernel when the last block has ended: taken away with the home.

The script makes table `inet ossec` (nftables) or chain `OSSEC` with its jumps (iptables, ip6tables), one for all homes
of the machine, and needs them again for its next block.  So whatever is empty goes: another home's next block makes it
anew.  What still blocks somebody belongs to another home, or to a hand, and stays.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence

TABLE = "inet ossec"
SETS = ("drop4", "drop6")
HOOKS = ("INPUT", "FORWARD")
MAX_JUMPS = 16  # of one hook: OSSEC's own script inserts one more each time that it does not see the last
MAX_NAMED = 10  # addresses in a line for the terminal
PATIENCE = 30.0  # seconds for a tool that waits for another one's lock

Say = Callable[[str], None]


def clear(say: Say) -> None:
    """Remove what is empty, say what is not.  A tool that is missing has made nothing; one that fails is said."""
    if _find("nft"):
        _clear_table(say)
    chain = os.environ.get("OSSEC_FW_CHAIN", "OSSEC")
    for tool in ("iptables", "ip6tables"):
        if _find(tool):
            _clear_chain(tool, chain, say)


def _clear_table(say: Say) -> None:
    if _run(["nft", "list", "table", *TABLE.split()]) is None:
        return
    held = [address for name in SETS for address in elements(_run(["nft", "list", "set", *TABLE.split(), name]) or "")]
    if held:
        say(f"The firewall's table {TABLE} stays: it still blocks {_some(held)}")
    elif _run(["nft", "delete", "table", *TABLE.split()]) is None:
        say(f"nft could not delete table {TABLE}; do it by hand")
    else:
        say(f"Removed the firewall's table {TABLE}")


def elements(listing: str) -> list[str]:
    """The members of a set, as `nft list set` shows it."""
    match = re.search(r"elements = \{([^}]*)\}", listing)
    return match[1].replace(",", " ").split() if match else []


def sources(listing: str) -> list[str]:
    """The rules of a chain, as `iptables -S` lists it: their source, or the whole rule."""
    rules = [line.split() for line in listing.splitlines() if line.startswith("-A ")]
    return [words[words.index("-s") + 1] if "-s" in words else " ".join(words) for words in rules]


def _clear_chain(tool: str, chain: str, say: Say) -> None:
    listing = _run([tool, "-w", "-S", chain])
    if listing is None:
        return
    held = sources(listing)
    if held:
        say(f"Chain {chain} of {tool} stays: it still blocks {_some(held)}")
        return
    for hook in HOOKS:
        for _ in range(MAX_JUMPS):
            if _run([tool, "-w", "-D", hook, "-j", chain]) is None:
                break
    if _run([tool, "-w", "-X", chain]) is None:
        say(f"{tool} could not delete chain {chain}; do it by hand")
    else:
        say(f"Removed the firewall's chain {chain} of {tool}")


def _some(addresses: Sequence[str]) -> str:
    more = len(addresses) - MAX_NAMED
    return ", ".join(addresses[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _find(tool: str) -> bool:
    return shutil.which(tool, path=_search()) is not None


def _search() -> str:
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def _run(command: Sequence[str]) -> str | None:
    """What a tool prints; None where it fails, as it does for what is not there."""
    environment = {**os.environ, "PATH": _search(), "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
