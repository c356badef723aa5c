"""The plugin decoders: formats that one regex cannot take apart (spec/analysis.md, section 3.4).

Each takes an event whose `log` is set and fills its fields.  `OSSECAlert_Decoder` only marks the event: what the alert
of another server needs (the local rules, the agent's file) is the daemon's.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ossec.analysisd.decoders import Plugin
    from ossec.analysisd.event import Event

MAX_CUT_DEPTH = 64  # open brackets in a JSON log that was cut; deeper ones tell no rule anything
MAX_JSON_FIELDS = 512  # dynamic fields of one JSON log; the rest is left out
SYMANTEC_ID = 9  # characters of the id, its key among them
MAX_JSON_DEPTH = 32  # nesting that names are made of; deeper values are kept as JSON text

_PF_ADDRESS = re.compile(rb"([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)\.(.*)", re.DOTALL)


def decode_pf(event: Event) -> None:
    """Packets that pf logged: action, addresses, ports and protocol."""
    log = event.log
    at = log.find(b") ")
    if at < 0:
        return
    letter = log[at + 2 : at + 3]
    if letter not in (b"p", b"b"):
        return
    event.action = b"pass" if letter == b"p" else b"block"
    at = log.find(b": ", at)
    if at < 0:
        return
    source, space, rest = log[at + 2 :].partition(b" ")
    if not space:
        return
    event.srcip, event.srcport = _split_port(source)
    if rest[:2] != b"> ":
        return
    target, colon, rest = rest[2:].partition(b":")
    if not colon:
        return
    event.dstip, event.dstport = _split_port(target)
    kind = rest.lstrip(b" ")[:1]
    event.protocol = {b"u": b"UDP", b"i": b"ICMP"}.get(kind, b"TCP")


def _split_port(text: bytes) -> tuple[bytes, bytes | None]:
    found = _PF_ADDRESS.fullmatch(text)
    return (found[1], found[2]) if found else (text, None)


def decode_symantec_ws(event: Event) -> None:
    """Symantec Web Security: a comma list of `key=value`, of each key the first; the id is what begins at 2= or 3=."""
    log = event.log
    at = 0
    for piece in log.split(b","):
        if piece.startswith(b"10=") and event.dstuser is None:
            event.dstuser = piece[3:]
        elif piece.startswith(b"11=") and event.srcip is None:
            event.srcip = piece[3:]
        elif piece.startswith(b"60=") and event.url is None:
            event.url = piece[3:]
        elif piece.startswith((b"2=", b"3=")) and event.id is None:
            event.id = log[at : at + SYMANTEC_ID]
        at += len(piece) + 1


_SONICWALL = {
    name: re.compile(pattern).search
    for name, pattern in {
        "status": rb" pri=([0-9]+)",
        "category": rb" c=([0-9]+)",
        "id": rb" m=([0-9]+)",
        "source": rb" src=([^: ]+):([0-9]*)",
        "target": rb" dst=([^: ]+):([0-9]*)",
        "protocol": rb" proto=([A-Za-z]{1,6})",
        "result": rb" result=([0-9]+)",
        "url": rb" dstname=([^ ]+) arg=([^ ]+)",
    }.items()
}
_SONICWALL_FIREWALL = {
    **dict.fromkeys((b"98", b"597", b"598"), b"pass"),
    **dict.fromkeys((b"36", b"37", b"38", b"173", b"174"), b"drop"),
    b"537": b"close",
}


def decode_sonicwall(event: Event) -> None:
    """SonicWall: fields, and from category and message number the type of the event."""
    log = event.log
    event.type = "syslog"
    for name in ("status", "id", "protocol"):
        found = _SONICWALL[name](log)
        if found:
            setattr(event, name, found[1])
    for name, address, port in (("source", "srcip", "srcport"), ("target", "dstip", "dstport")):
        found = _SONICWALL[name](log)
        if found:
            setattr(event, address, found[1])
            if found[2]:
                setattr(event, port, found[2])
    category = _SONICWALL["category"](log)
    message = event.id or b""
    if category and category[1] == b"32":
        event.type = "ids"
    elif message in _SONICWALL_FIREWALL:
        event.type = "firewall"
        event.action = _SONICWALL_FIREWALL[message]
    elif message == b"97":
        event.type = "squid"
        result, url = _SONICWALL["result"](log), _SONICWALL["url"](log)
        if result:
            event.id = result[1]
        if url:
            event.url = url[1] + url[2]


def decode_ossec_alert(event: Event) -> None:
    """Another server's alert: left to the daemon, which knows the rules by number."""


def decode_json(event: Event) -> None:
    """A JSON object in the log: dynamic fields with dotted names (`a.b`, arrays by index).  Ours, not OSSEC's.

    `<order>srcip=client.ip, user=actor.name</order>` also sets the event's own fields.  Of a log that was cut for its
    length the fields up to the cut are taken: nobody hides what he did behind a long value.
    """
    start = event.log.find(b"{")
    if start < 0:
        return
    text = event.log[start:].decode("utf-8", "surrogateescape")
    try:
        value = json.loads(text)
    except RecursionError:
        return
    except ValueError:
        value = _parse_cut(text)
    fields: dict[str, bytes] = {} if event.fields is None else event.fields
    _flatten("", value, fields, 0)
    if fields:
        event.fields = fields
        if event.decoder is not None:
            for name, attribute in event.decoder.aliases:
                if name in fields:
                    setattr(event, attribute, fields[name])


_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?P<end>"?)|[{}\[\],]')
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_CLOSERS = {"{": "}", "[": "]"}


def _parse_cut(text: str) -> Any:
    """The value of which `text` is the beginning, without what the cut left unfinished; None: it is no JSON."""
    open_ones: list[str] = []
    whole, closers = 0, ""  # where the last finished value ends, and what is open there
    for token in _JSON_TOKEN.finditer(text):
        char = token[0][0]
        if char == '"':
            if not token["end"]:  # the cut is in this one
                closed = _CUT_ESCAPE.sub("", text) + '"' + _close(open_ones)
                with contextlib.suppress(ValueError, RecursionError):
                    return json.loads(closed)
                break
        elif char == ",":
            whole, closers = token.start(), _close(open_ones)
        elif char in _CLOSERS:
            open_ones.append(char)
        elif open_ones:
            del open_ones[-1]
            whole, closers = token.end(), _close(open_ones)
        if len(open_ones) > MAX_CUT_DEPTH:
            return None
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text[:whole] + closers)
    return None


def _close(open_ones: list[str]) -> str:
    return "".join(_CLOSERS[char] for char in reversed(open_ones))


def _flatten(prefix: str, value: Any, fields: dict[str, bytes], depth: int) -> None:
    if len(fields) >= MAX_JSON_FIELDS:
        return
    if isinstance(value, (dict, list)) and depth < MAX_JSON_DEPTH:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            _flatten(f"{prefix}.{key}" if prefix else str(key), inner, fields, depth + 1)
    elif prefix:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        fields[prefix] = text.encode("utf-8", "surrogatepass" if _lone(text) else "surrogateescape")


def _lone(text: str) -> bool:
    """Whether it holds surrogates that stand for no byte (a JSON `\\ud83d` alone)."""
    return any("\ud800" <= char <= "\udfff" and not "\udc80" <= char <= "\udcff" for char in text)


PLUGINS: dict[str, Plugin] = {
    "PF_Decoder": decode_pf,
    "SymantecWS_Decoder": decode_symantec_ws,
    "SonicWall_Decoder": decode_sonicwall,
    "OSSECAlert_Decoder": decode_ossec_alert,
    "JSON_Decoder": decode_json,
}
