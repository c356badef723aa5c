"""The words of a message: which are refused, what they make a block of, how they look in a log line."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Sequence

from ossec.execd.allowed import Allowed
from ossec.execd.effects import Log, Outcome, Run
from ossec.execd.journal import Key

SHOWN = 300  # characters of a script's complaint in a log line
ABSENT = (b"", b"-")

_USER = re.compile(rb"[A-Za-z._0-9@?-]*\Z")  # what analysisd lets through
_ADDRESS = re.compile(rb"[A-Za-z.:_0-9-]*(%[A-Za-z0-9._-]+)?(/[0-9]{1,3})?\Z")  # and zones and networks, given by hand
_EVENT = re.compile(rb"[0-9]+\.[0-9]+\Z")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def refuse(words: Sequence[bytes], allowed: Allowed | None = None) -> Log | None:
    """What speaks against giving these words to a script, which may be less careful than we are; None when nothing.

    `allowed`: whom this host never blocks; None for an order that releases.
    """
    user, address = words[0], words[1]
    if not _USER.match(user) or (user.startswith(b"-") and user != b"-"):
        return Log(logging.WARNING, f"Invalid username '{show(user)}'. Possible logging attack.", 1272)
    if not _ADDRESS.match(address) or (address.startswith(b"-") and address != b"-"):
        return Log(logging.WARNING, f"Invalid IP Address '{show(address)}'. Possible logging attack.", 1271)
    if allowed is not None and allowed.contains(address):
        return Log(logging.WARNING, f"'{show(address)}' is in the allow list: not blocked.")
    for word in words[2:]:
        if _CONTROL.search(word):
            text = f"Control character in a response: '{show(word)}'. Possible logging attack."
            return Log(logging.WARNING, text)
    return None


def key_of(script: bytes, words: Sequence[bytes]) -> Key:
    """What these words block."""
    return Key(script, words[0], normalise(words[1]))


def normalise(address: bytes) -> bytes:
    """One form for one address: a firewall does not tell `2001:DB8::1` from `2001:db8:0::1`."""
    try:
        parsed = ipaddress.ip_address(address.decode("ascii"))
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(parsed).encode("ascii")


def places_of(key: Key) -> list[tuple[bytes, str, bytes]]:
    """Under which a block is found by others that share its user or its address."""
    places = []
    if key.user not in ABSENT:
        places.append((key.script, "user", key.user))
    if key.address not in ABSENT:
        places.append((key.script, "address", key.address))
    return places


def alert_of(words: Sequence[bytes]) -> bytes:
    """TIME.ALERTID, or what stands in its place when no rule has asked."""
    return words[2] if len(words) > 2 else b""


def is_event(alert: bytes) -> bool:
    """Whether an alert word names an event: the message comes from analysisd."""
    return _EVENT.match(alert) is not None


def show(value: bytes) -> str:
    """A stranger's bytes for a log line: control characters escaped, so that nobody forges a second line."""
    text = value.decode("utf-8", "surrogateescape")
    return _UNFIT.sub(lambda match: f"\\{ord(match[0]):03o}", text) if _UNFIT.search(text) else text


def call_of(run: Run) -> str:
    """`'firewall-drop600' add - 192.0.2.1`."""
    shown = " ".join(show(word) for word in run.words[:2])
    return f"'{show(run.name)}' {run.action.decode()} {shown}"


def reason_of(outcome: Outcome, ended_after: float | None = None) -> str:
    """`exit 1 (iptables: …)`; `ended_after` is the time after which a hanging script was ended."""
    if outcome.errno:
        reason = f"not started ({os.strerror(outcome.errno)})"
    elif ended_after is not None:
        reason = f"ended after {ended_after:g} seconds"
    elif outcome.signal:
        reason = f"killed by signal {outcome.signal}"
    else:
        reason = f"exit {outcome.status}"
    said = show(outcome.said.strip().replace(b"\n", b" / "))
    return f"{reason} ({said[-SHOWN:]})" if said else reason


def times(count: int) -> str:
    return f"{count} times" if count != 1 else "once"
