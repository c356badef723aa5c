"""Sections of the wire between agents and server: remote, client."""

from __future__ import annotations

from typing import Any

from ossec.config import addresses
from ossec.config.dialect import Node
from ossec.config.model import Remote, Server
from ossec.config.problems import Refusal
from ossec.config.schema import Element, Reading, Section, number, one_of, place_of, port, text, yes_no

MAX_REMOTES = 16  # as OSSEC: a process for each


def _entry(reading: Reading, node: Node) -> addresses.Entry:
    """An address, a network, or `any`."""
    entry = addresses.parse(node.text)
    if entry is None:
        raise _bad_address(node, "an address or network, as 10.0.0.0/8")
    return entry


def _address(reading: Reading, node: Node) -> str:
    """One address, without a mask."""
    if addresses.kind_of(node.text) != addresses.ADDRESS:
        raise _bad_address(node, "an address")
    return node.text


def _bad_address(node: Node, wanted: str) -> Refusal:
    return Refusal(
        f"<{node.name}> wants {wanted}, got '{node.text}'", f"(1237): ERROR: Invalid ip address: '{node.text}'."
    )


_connection_word = one_of("syslog", "secure")


def _connection(reading: Reading, node: Node) -> str:
    return str(_connection_word(reading, node))


def _ipv6(reading: Reading, node: Node) -> bool:
    if node.text not in ("yes", "no"):
        reading.warn(f"<{node.name}> is on with yes only, '{node.text}' counts as no", node)
    return node.text == "yes"


def _remote_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    remotes: list[Remote] = reading.items.setdefault("remotes", [])
    for element in ("allowed-ips", "denied-ips"):
        reading.gathered("remote").setdefault(element, []).extend(values.pop(element, ()))
    kinds = values.pop("connection", [])
    if len(remotes) >= MAX_REMOTES:
        raise Refusal(
            f"more than {MAX_REMOTES} <remote> sections",
            f": Too many remoted connections (max {MAX_REMOTES}).",
        )
    if not kinds:
        raise Refusal(
            "<remote> lacks <connection>, secure or syslog", "(1201): ERROR: No remote connection configured."
        )
    if kinds.count("secure") > 1:
        raise Refusal(
            "<connection>secure</connection> stands twice",
            ": Only one <connection>secure</connection> is supported.",
        )
    kind = kinds[-1]
    if kind == "secure":
        if values.get("protocol") == "tcp":
            reading.warn("<connection>secure</connection> is always UDP", node)
        values["protocol"] = "udp"
        if any(other.connection == "secure" for other in remotes):
            reading.warn("a second <connection>secure</connection>: remoted will not start", node)
    accept = values.pop("crypto_accept", None)
    gathered = reading.gathered("remote")
    if accept is None and gathered.get("crypto_accept", "any") != "any":
        reading.warn("this <remote> sets <crypto_accept> back to any; the last section decides", node)
    gathered["crypto_accept"] = {"both": "any"}.get(accept or "any", accept or "any")
    values.setdefault("port", 1514 if kind == "secure" else 514)
    remotes.append(Remote(connection=kind, **values, place=place_of(node)))


REMOTE = Section(
    "remote",
    frozenset({"ossec-remoted"}),
    {
        "connection": Element("connection", _connection, many=True),
        "port": Element("port", port),
        "protocol": Element("protocol", one_of("udp", "tcp", any_case=True)),
        "ipv6": Element("ipv6", _ipv6),
        "local_ip": Element("local_ip", _address),
        "crypto_accept": Element("crypto_accept", one_of("aes", "blowfish", "both", "any", any_case=True)),
        "allowed-ips": Element("allowed-ips", _entry, many=True),
        "denied-ips": Element("denied-ips", _entry, many=True),
    },
    _remote_end,
    caseless=frozenset({"connection", "port", "protocol", "ipv6", "local_ip", "crypto_accept"}),
)


def _server_ip(reading: Reading, node: Node) -> Server:
    return Server(_address(reading, node))


def _server_name(reading: Reading, node: Node) -> Server:
    if reading.is_for("ossec-agentd") and not reading.machine.resolves(node.text):
        reading.problems.say(f": WARN: '{node.text}' does not resolve to an address.")
        reading.problems.say(f"(4104): ERROR: Invalid hostname: '{node.text}'.")
        reading.warn(f"the server '{node.text}' has no address yet", node)
    return Server(node.text, by_name=True)


def _client_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    if not values.get("servers"):
        raise Refusal("<client> lacks <server-ip> or <server-hostname>")


CLIENT = Section(
    "client",
    frozenset({"ossec-agentd"}),
    {
        "server-ip": Element("servers", _server_ip, many=True),
        "server-hostname": Element("servers", _server_name, many=True),
        "local_ip": Element("local_ip", _address),
        "port": Element("port", port),
        "notify_time": Element("notify_time", number),
        "time-reconnect": Element("reconnect_time", number),
        "disable-active-response": Element("disable_active_response", yes_no),
        "config-profile": Element("config_profile", text),
        "crypto_method": Element("crypto_method", one_of("aes", "blowfish")),
    },
    _client_end,
    merged=True,
)

SECTIONS = (REMOTE, CLIENT)
