"""One alert or archived event as a JSON object on a line, in OSSEC's order of keys (spec/analysis.md, 10 and 12.2).

Text is always valid UTF-8: a byte that belongs to no character becomes U+FFFD.  What we add to OSSEC's object stands at
its end (`ADDITIONS`), so a consumer of OSSEC's keys sees what it always saw.

An alert's keys: rule, id, TimeStamp, decoder, decoder_parent, action, protocol, srcip, srcport, srcuser, dstip,
dstport, dstuser, location, full_log, previous_output, SyscheckFile, hostname, program_name, status, command, url, data,
systemname, dynamic fields, decoder_desc, agent_name, agentip, timestamp, logfile.  An archived event's: program_name,
log, srcip, dstip, srcport, dstport, protocol, action, srcuser, dstuser, id, status, command, url, data, systemname,
filename and what changed of the file, rule, dynamic fields, decoder, full_log, timestamp, agent_name, agentip, logfile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring
from typing import Any

from ossec.errors import RemoteError

ADDITIONS = ("event_id", "previous_events", "full_log_b64")  # ours, at the end of an alert

# `decoder_desc.fts` as OSSEC prints it: one bit per word of <fts>.  The bit of srcuser and that of system_name are not
# known from any recording.
FTS_BITS = {
    "id": 8,
    "data": 16,
    "extra_data": 16,
    "srcuser": 32,
    "srcip": 64,
    "dstip": 128,
    "location": 256,
    "name": 512,
    "system_name": 1024,
    "user": 2048,
    "dstuser": 2048,
}
FTS_DONE = 4096  # the tuple (a rootcheck text) was new

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class BadAlertJson(RemoteError):
    """A line that is not one JSON object."""


def text(value: bytes | str) -> str:
    """Bytes of a log, or text read with surrogateescape, as text that UTF-8 can carry."""
    if isinstance(value, str):
        if value.isascii():
            return value
        value = value.encode("utf-8", "surrogateescape")
    return value.decode("utf-8", "replace")


def quote(value: bytes | str) -> str:
    """`text` as a JSON string, its quotation marks included."""
    return encode_basestring(text(value))


def members(head: Mapping[str, object]) -> str:
    """Keys and values in order, each with a comma in front: a finished piece of an object, not its first."""
    return "," + _encode(head)[1:-1] if head else ""


class RuleText:
    """The `rule` object of one rule, made once; only `firedtimes` and a rootcheck's own keys change."""

    __slots__ = ("_end", "_head", "_tail")

    def __init__(
        self, level: int, comment: str, sidid: int, cve: str | None, info: str | None, frequency: int, group: str
    ) -> None:
        head: dict[str, object] = {"level": level, "comment": text(comment), "sidid": sidid}
        if cve is not None:
            head["cve"] = text(cve)
        if info is not None:
            head["info"] = text(info)
        if frequency:
            head["frequency"] = frequency
        tail: dict[str, object] = {"group": text(group)}
        groups, pci, cis = split_groups(text(group))
        tail["groups"] = groups
        if pci:
            tail["PCI_DSS"] = pci
        if cis:
            tail["CIS"] = cis
        self._head = _encode(head)[:-1]
        self._tail = _encode(tail)[1:-1]
        self._end = f",{self._tail}}}"

    def format(self, firedtimes: int, more: Mapping[str, object] | None = None) -> str:
        """The object.  `more` are keys after all others (the `{PCI_DSS: 2.2}` of a rootcheck text)."""
        if firedtimes and not more:
            return f'{self._head},"firedtimes":{firedtimes}{self._end}'
        fired = f',"firedtimes":{firedtimes},' if firedtimes else ","
        end = "," + _encode(more)[1:] if more else "}"
        return f"{self._head}{fired}{self._tail}{end}"


def split_groups(group: str) -> tuple[list[str], list[str], list[str]]:
    """The group string as groups, PCI DSS requirements and CIS sections."""
    groups: list[str] = []
    pci: list[str] = []
    cis: list[str] = []
    for name in group.split(","):
        name = name.strip()
        if name.startswith("pci_dss_"):
            pci.append(name[8:])
        elif name.startswith("cis_"):
            cis.append(name[4:])
        elif name:
            groups.append(name)
    return groups, pci, cis


def format_line(head: Mapping[str, object], rule: str | None = None, rule_after: str | None = None) -> bytes:
    """The line, newline included, of keys in the order given.

    `rule` is a finished `rule` object: it comes first, or after the key `rule_after`.
    """
    if rule is None:
        return (_encode(head) + "\n").encode("utf-8", "replace")
    if rule_after is None:
        return f'{{"rule":{rule},{_encode(head)[1:]}\n'.encode("utf-8", "replace")
    keys = list(head)
    cut = keys.index(rule_after) + 1 if rule_after in head else 0
    before = _encode({key: head[key] for key in keys[:cut]})[1:-1]
    after = _encode({key: head[key] for key in keys[cut:]})[1:-1]
    parts = ",".join(part for part in (before, f'"rule":{rule}', after) if part)
    return f"{{{parts}}}\n".encode("utf-8", "replace")


def parse(line: bytes) -> dict[str, Any]:
    """The object of one line; BadAlertJson for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadAlertJson(f"not JSON: {line[:80]!r}") from error
    if not isinstance(value, dict):
        raise BadAlertJson(f"not an object: {line[:80]!r}")
    return value


def take_additions(value: dict[str, Any], additions: Iterable[str] = ADDITIONS) -> dict[str, Any]:
    """Remove our own keys from a parsed object and return them."""
    return {key: value.pop(key) for key in additions if key in value}
