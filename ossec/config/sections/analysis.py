"""Sections that analysisd reads: global (maild too), alerts, rules, command, active-response."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ossec.config import addresses
from ossec.config.dialect import Node
from ossec.config.model import ActiveResponse, Command, Expect, RuleFile, Target
from ossec.config.problems import Refusal
from ossec.config.schema import (
    Element,
    Reading,
    Section,
    bad_value,
    between,
    byte,
    ignored,
    is_number,
    leading_integer,
    natural,
    number,
    place_of,
    port,
    quiet_yes_no,
    rule_ids,
    text,
    unsupported,
    yes_no,
)
from ossec.regex import PatternError, compile_regex

MAILD = frozenset({"ossec-maild"})
ENGINE = frozenset({"ossec-analysisd", "ossec-logtest", "ossec-makelists"})
LEAST_MEMORY = 2048  # events, as OSSEC
MAX_RESPONSE_LEVEL = 20

_EMAIL = re.compile(r"[a-zA-Z0-9._-]+@[a-zA-Z0-9._-]")
_LIKE_ADDRESS = re.compile(r"!?[0-9.]+(/[0-9.]*)?|!?[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(/[0-9]*)?")


def email(reading: Reading, node: Node) -> str:
    """Something that looks like a mail address."""
    if not _EMAIL.search(node.text):
        raise Refusal(
            f"<{node.name}> wants a mail address, got '{node.text}'", f": ERROR: Invalid Email address: {node.text}."
        )
    return node.text


def _mail_switch(reading: Reading, node: Node) -> bool:
    wanted = yes_no(reading, node)
    reading.gathered("global")["mail_is_on"] = wanted
    return wanted


def _smtp_server(reading: Reading, node: Node) -> str:
    """A host that resolves, or a command; looked at by maild, and only once mail is switched on."""
    wanted = reading.is_for("ossec-maild") and reading.gathered("global").get("mail_is_on", False)
    if wanted and not node.text.startswith("/") and not reading.machine.resolves(node.text):
        raise Refusal(
            f"the mail server '{node.text}' has no address: check the name and this host's resolver",
            f"(1501): ERROR: Invalid SMTP Server: {node.text}",
        )
    return node.text


def _smtp_port(reading: Reading, node: Node) -> int | None:
    try:
        return port(reading, node)
    except Refusal as refusal:
        if reading.is_for("ossec-maild") and reading.gathered("global").get("mail_is_on", False):
            raise bad_value(node, "a port, 1 to 65535") from None
        reading.warn(refusal.message, node)
        return None


def _memory(reading: Reading, node: Node) -> int:
    given = number(reading, node)
    if given < LEAST_MEMORY:
        reading.warn(
            f"<memory_size> is at least {LEAST_MEMORY}, which counts instead of {node.text or 'nothing'}", node
        )
    return max(given, LEAST_MEMORY)


def _allowed(reading: Reading, node: Node) -> addresses.Entry | str:
    """An address or network, else a host name; what looks like a mistyped address is told."""
    entry = addresses.parse(node.text)
    if entry is not None:
        return entry
    if _LIKE_ADDRESS.fullmatch(node.text):
        reading.warn(f"'{node.text}' is no address or network (as 10.0.0.0/8); it is taken for a host name", node)
    elif not node.text.strip():
        reading.warn(f"<{node.name}> is empty", node)
    return node.text


_ALLOWED = Element("allowed", _allowed, many=True)


def _nothing(reading: Reading, values: dict[str, Any], node: Node) -> None:
    """Nothing to check at the end of the section."""


GLOBAL = Section(
    "global",
    ENGINE | MAILD,
    {
        "email_notification": Element("email_notification", _mail_switch),
        "email_to": Element("email_to", email, many=True),
        "email_from": Element("email_from", text),
        "email_reply_to": Element("email_reply_to", text),
        "email_idsname": Element("email_idsname", text),
        "smtp_server": Element("smtp_server", _smtp_server),
        "helo_server": Element("helo_server", text),
        "email_maxperhour": Element("email_maxperhour", between(1, 9999), only=MAILD),
        "auth_smtp": Element("auth_smtp", quiet_yes_no),
        "secure_smtp": Element("secure_smtp", quiet_yes_no),
        "smtp_tls_verify": Element("smtp_tls_verify", quiet_yes_no),
        "smtp_port": Element("smtp_port", _smtp_port),
        "smtp_user": Element("smtp_user", text),
        "smtp_password": Element("smtp_password", text),
        "logall": Element("logall", yes_no),
        "logall_json": Element("logall_json", yes_no),
        "jsonout_output": Element("jsonout_output", yes_no),
        "prelude_output": Element("prelude_output", yes_no),
        "prelude_profile": Element("prelude_profile", text),
        "prelude_log_level": Element("prelude_log_level", number),
        "zeromq_output": Element("zeromq_output", yes_no),
        "zeromq_uri": Element("zeromq_uri", text),
        "zeromq_server_cert": Element("zeromq_server_cert", text),
        "zeromq_client_cert": Element("zeromq_client_cert", text),
        "geoipdb": Element("geoipdb", text),
        "geoip_db_path": Element(None, unsupported),
        "geoip6_db_path": Element(None, unsupported),
        "md5_whitelist": Element(None, unsupported),
        "md5_allowlist": Element(None, unsupported),
        "custom_alert_output": Element("custom_alert_output", text),
        "compress_alerts": Element(None, ignored),
        "stats": Element("stats", byte),
        "integrity_checking": Element("integrity_checking", byte),
        "rootkit_detection": Element("rootkit_detection", byte),
        "host_information": Element("host_information", byte),
        "memory_size": Element("memory_size", _memory),
        "white_list": _ALLOWED,
        "allow_list": _ALLOWED,
    },
    _nothing,
    merged=True,
)

ALERTS = Section(
    "alerts",
    ENGINE,
    {
        "log_alert_level": Element("log_alert_level", byte),
        "email_alert_level": Element("email_alert_level", byte),
        "use_geoip": Element(None, unsupported),
    },
    _nothing,
    merged=True,
)


# --- rules ---


def _include(reading: Reading, node: Node) -> RuleFile:
    """A file under rules/."""
    return RuleFile(node.text, reading.layout.rules_dir / node.text, place_of(node))


def _relative(reading: Reading, node: Node) -> RuleFile:
    """A file under home."""
    return RuleFile(node.text, reading.layout.under(node.text), place_of(node))


def _directory(kind: str) -> Any:
    """The files of a directory under home whose `dir/name` the pattern finds, in byte order."""

    def parse(reading: Reading, node: Node) -> list[RuleFile]:
        pattern = node.get("pattern") or ".xml$"
        try:
            wanted = compile_regex(pattern)
        except PatternError as error:
            raise Refusal(
                f"the pattern '{pattern}' of <{node.name}> does not compile: {error.message}",
                f"(1202): ERROR: Configuration error at 'pattern in {kind}_dir does not compile'. Exiting.",
                ": ERROR: Regex would not compile",
            ) from None
        folder = reading.layout.under(node.text)
        names = sorted(_names(folder), key=lambda name: name.encode("utf-8", "surrogateescape"))
        if not names and not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for some names that cannot be
            reading.warn(f"there is no directory '{node.text}'", node)
        files = [RuleFile(f"{node.text}/{name}", folder / name, place_of(node)) for name in names]
        return [file for file in files if wanted.test(file.name.encode("utf-8", "surrogateescape"))]

    return parse


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


def _rules_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    """The files of this section replace those of the sections before, kind by kind; files of directories come last."""
    gathered = reading.gathered("rules")
    for kind in ("includes", "decoders", "lists"):
        files: list[RuleFile] = []
        listed: set[str] = set()
        for value in values.get(kind, ()):
            for file in value if isinstance(value, list) else [value]:
                from_directory = isinstance(value, list)
                if from_directory and (file.name in listed or file.path.name in listed):
                    continue
                listed.add(file.name)
                files.append(file)
        if not files:
            continue
        if gathered.get(kind):
            element = {"includes": "include", "decoders": "decoder", "lists": "list"}[kind]
            reading.warn(f"the <{element}> lines of this <rules> replace those of the <rules> before", node)
        gathered[kind] = files


_INCLUDE = Element("includes", _include, many=True)
RULES = Section(
    "rules",
    ENGINE | {"ossec-dbd"},
    {
        "include": _INCLUDE,
        "rule": _INCLUDE,
        "rule_dir": Element("includes", _directory("rules"), many=True, attributes=("pattern",)),
        "decoder": Element("decoders", _relative, many=True),
        "decoder_dir": Element("decoders", _directory("decoders"), many=True, attributes=("pattern",)),
        "list": Element("lists", _relative, many=True),
    },
    _rules_end,
)


# --- command and active-response ---


def parse_expect(value: str) -> Expect:
    """Names separated by commas or blanks; unknown ones count for nothing."""
    known = {"srcip": Expect.SRCIP, "user": Expect.USER, "username": Expect.USER, "filename": Expect.FILENAME}
    expect = Expect.NOTHING
    for word in re.split(r"[, ]+", value):
        expect |= known.get(word.lower(), Expect.NOTHING)
    return expect


def _expect(reading: Reading, node: Node) -> Expect:
    for word in re.split(r"[, ]+", node.text.strip(", ")):
        if word and not parse_expect(word):
            reading.warn(f"<expect> knows srcip, user and filename, not '{word}'", node)
    return parse_expect(node.text)


def _command_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    missing = [name for name in ("name", "executable", "expect") if name not in values]
    if missing:
        reading.broken_commands.add(values.get("name", ""))
        raise Refusal(
            f"<command> lacks <{missing[0]}>",
            "(1280): ERROR: Missing command options. You must specify a 'name', 'executable' and 'expect'.",
        )
    command = Command(**values, place=place_of(node))
    commands: list[Command] = reading.items.setdefault("commands", [])
    if any(command.name == other.name for other in commands):
        reading.warn(f"a command '{command.name}' is defined before; this one is not used", node)
        return
    if ".." in command.executable.split("/"):
        reading.warn(f"the executable '{command.executable}' leaves active-response/bin; it will not be run", node)
    if " " in command.name:
        reading.warn(f"the name '{command.name}' has a blank: no message can call this command", node)
    commands.append(command)


COMMAND = Section(
    "command",
    ENGINE,
    {
        "name": Element("name", text),
        "executable": Element("executable", text),
        "expect": Element("expect", _expect),
        "timeout_allowed": Element("timeout_allowed", yes_no),
    },
    _command_end,
)

_TARGETS = {
    "as": Target.SERVER,
    "analysisd": Target.SERVER,
    "analysis-server": Target.SERVER,
    "server": Target.SERVER,
    "local": Target.LOCAL,
    "defined-agent": Target.DEFINED_AGENT,
    "all": Target.ALL_AGENTS,
    "any": Target.ALL_AGENTS,
}


def parse_location(value: str) -> Target:
    """Every target whose name occurs in the text, in any case."""
    target = Target.NOWHERE
    for name, meant in _TARGETS.items():
        if name in value.lower():
            target |= meant
    return target


def _location(reading: Reading, node: Node) -> Target:
    target = parse_location(node.text)
    if not target:
        raise Refusal(
            f"<location> wants server, local, defined-agent or all, got '{node.text}'",
            f"(1302): ERROR: Invalid active response location: '{node.text}'.",
        )
    odd = [word for word in re.split(r"[,\s]+", node.text.lower()) if word and word not in _TARGETS]
    if odd:
        reading.warn(f"<location> knows server, local, defined-agent and all; '{odd[0]}' is taken for {target}", node)
    return target


def _level(reading: Reading, node: Node) -> int:
    if not is_number(node.text) or natural(node.text) > MAX_RESPONSE_LEVEL:
        raise bad_value(node, f"a level, 0 to {MAX_RESPONSE_LEVEL}")
    return natural(node.text)


def _timeout(reading: Reading, node: Node) -> int:
    value = leading_integer(node.text)
    if str(value) != node.text.strip():
        reading.warn(f"<timeout> wants seconds, '{node.text}' counts as {value}", node)
    return value


def _offenders(reading: Reading, node: Node) -> tuple[int, ...]:
    return parse_offenders(node.text)


def parse_offenders(value: str) -> tuple[int, ...]:
    """Minutes separated by commas: at most five, up to the first 0."""
    minutes: list[int] = []
    for word in value.split(",")[:5]:
        given = leading_integer(word)
        if given <= 0:
            break
        minutes.append(given)
    return tuple(minutes)


def _response_end(reading: Reading, values: dict[str, Any], node: Node) -> None:
    """Bind the response to its command; a disabled block is left out, whatever is in it."""
    disabled = values.pop("disabled", None)
    if disabled:
        return
    has_offenders = values.pop("repeated_offenders", None) is not None
    missing = [name for name in ("command", "location") if name not in values]
    if missing:
        if has_offenders:
            return
        if disabled is False and len(missing) == 2:
            reading.warn("this <active-response> only says that it is not disabled: it does nothing", node)
            return
        raise Refusal(
            f"<active-response> lacks <{missing[0]}>",
            "(1281): ERROR: Missing options in the active response configuration. ",
        )
    if Target.DEFINED_AGENT in values["location"] and not values.get("agent_id"):
        raise Refusal(
            "<location> defined-agent needs <agent_id>, an id of client.keys such as 001",
            "(1304): ERROR: No agent defined for response.",
        )
    name = values.pop("command")
    command = next((one for one in reading.items.get("commands", ()) if one.name == name), None)
    if command is None:
        if name in reading.broken_commands:
            return
        known = ", ".join(one.name for one in reading.items.get("commands", ())) or "none"
        raise Refusal(
            f"no <command> called '{name}' stands before this <active-response> (defined so far: {known})",
            f"(1303): ERROR: Invalid command '{name}' in the active response.",
        )
    response = ActiveResponse(command=command, **values, place=place_of(node))
    if response.timeout and not command.timeout_allowed:
        raise Refusal(
            f"the command '{name}' has no <timeout_allowed>yes</timeout_allowed>, so <timeout> cannot be used",
            f"(1305): ERROR: Timeout not allowed for command: '{name}'.",
        )
    if not (response.level or response.rules_ids or response.rules_group):
        reading.warn("this <active-response> has no <level>, <rules_id> or <rules_group>: it never fires", node)
    responses: list[ActiveResponse] = reading.items.setdefault("responses", [])
    for other in responses:
        if other.name == response.name and other.command is not command:
            reading.warn(f"the name '{response.name}' also stands for a response of '{other.command.name}'", node)
    responses.append(response)


ACTIVE_RESPONSE = Section(
    "active-response",
    ENGINE,
    {
        "command": Element("command", text),
        "location": Element("location", _location),
        "agent_id": Element("agent_id", text),
        "level": Element("level", _level),
        "rules_id": Element("rules_ids", lambda reading, node: frozenset(rule_ids(reading, node))),
        "rules_group": Element("rules_group", text),
        "timeout": Element("timeout", _timeout),
        "disabled": Element("disabled", yes_no),
        "repeated_offenders": Element("repeated_offenders", _offenders),
    },
    _response_end,
)

SECTIONS = (GLOBAL, ALERTS, RULES, COMMAND, ACTIVE_RESPONSE)
