"""ossec.conf to a `Configuration`, for one program (spec/configuration.md, section 3).

`load` is for a daemon: the configuration, or `ConfigurationError` with every line to print.  `check` is for `-t`: the
lines and the exit status.  Both read the file once; roots in order, sections in order.  A program checks the names of
all sections and looks inside those that it reads (`schema.Section.readers`), as OSSEC's do; of its mistakes the first
is told in OSSEC's words and all in ours.  execd and monitord take a few values by path: `_read_policy`, `_read_mail`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from ossec.config import addresses, dialect
from ossec.config.dialect import DialectError, Node
from ossec.config.internal import InternalOptions, InvalidOption
from ossec.config.model import (
    Alerts,
    Client,
    Configuration,
    DatabaseOutput,
    ExecPolicy,
    Global,
    Place,
    Remotes,
    Rootcheck,
    Rules,
    Syscheck,
)
from ossec.config.problems import IN_FILE, IN_SECTION, SILENT, Problems, Refusal, nearest
from ossec.config.schema import Machine, Reading, place_of, read_section
from ossec.config.sections import SECTIONS
from ossec.config.sections.analysis import parse_offenders
from ossec.layout import Layout

ROOT = "ossec_config"
BY_PATH = frozenset({"ossec-execd"})  # looks at nothing but its own few values
LOGTEST = {"ossec-logtest": "ossec-testrule"}  # what OSSEC's tool signs with


def load(
    layout: Layout,
    path: Path | None = None,
    program: str = "ossec-analysisd",
    kind: str = "server",
    *,
    machine: Machine | None = None,
) -> Configuration:
    """What a daemon works by.

    `path`: what `-c` gives instead of etc/ossec.conf.  `kind`: server, local or agent.  Sections that `program` does
    not read hold their defaults.  ConfigurationError when it must refuse; else `.warnings` holds the lines to log.
    """
    reading = read(layout, path, program, kind, machine=machine)
    if reading.problems.failed:
        raise reading.problems.error()
    return build(reading)


def check(
    layout: Layout,
    path: Path | None = None,
    program: str = "ossec-analysisd",
    kind: str = "server",
    *,
    machine: Machine | None = None,
    options: InternalOptions | None = None,
) -> tuple[list[str], int]:
    """What `-t` prints, OSSEC's lines first, and its exit status.

    With `options` the mistakes in the internal options are told too; a bad value of one that `program` reads refuses.
    """
    problems = read(layout, path, program, kind, machine=machine).problems
    if options is None:
        return problems.lines(), int(problems.failed)
    upstream: list[str] = []
    ours: list[str] = []
    for error in options.check():
        if isinstance(error, InvalidOption) and error.concerns(program):
            upstream = upstream or [error.lines[0]]
            ours.append(error.lines[1])
        else:
            ours.append(f"{problems.program}: WARN: {error}")
    failed = bool(upstream) or problems.failed
    return (upstream or problems.upstream) + ours + problems.own_lines(), int(failed)


def read(
    layout: Layout,
    path: Path | None = None,
    program: str | None = "ossec-analysisd",
    kind: str = "server",
    *,
    machine: Machine | None = None,
) -> Reading:
    """One pass over the file; `program` None reads every section and leaves the machine alone."""
    path = path or layout.ossec_conf
    problems = Problems(LOGTEST.get(program or "", program or "ossec"), path)
    reading = Reading(program, layout, problems, machine or Machine(), kind)
    try:
        roots = dialect.read(path)
    except DialectError as error:
        refuse_file(reading, error)
        return reading
    if program in BY_PATH:
        _read_policy(reading, roots)
        return reading
    if read_roots(reading, roots, ROOT):
        _finish(reading, roots)
    return reading


def refuse_file(reading: Reading, error: DialectError) -> None:
    """A file that cannot be read as XML."""
    refusal = Refusal(error.reason, f"({error.code}): {error.upstream}")
    closing = SILENT if reading.program in BY_PATH else IN_FILE
    reading.problems.refuse(refusal, Place(reading.problems.path, error.line), closing)


def read_roots(reading: Reading, roots: Iterable[Node], root_name: str) -> bool:
    """Read the sections below each root; False after a root of another name."""
    later: list[Node] = []  # OSSEC's syscheckd reads the file a second time for its rootcheck
    for root in roots:
        if root.name != root_name:
            refusal = Refusal(
                f"the root element is called {root_name}, not '{root.name}'",
                f"(1230): ERROR: Invalid element in the configuration: '{root.name}'.",
            )
            reading.problems.refuse(refusal, place_of(root), IN_FILE)
            return False
        if root.attributes and root_name == ROOT:
            reading.warn(f"attributes of <{ROOT}> are ignored", root)
        for node in root.children:
            if node.name == "rootcheck" and reading.is_for("ossec-syscheckd"):
                later.append(node)
            else:
                read_child(reading, node)
    for node in later:
        read_child(reading, node)
    return True


def read_child(reading: Reading, node: Node, wanted: Container[str] | None = None) -> None:
    """One section: its name is checked always, the rest if the program reads it (and it is `wanted`)."""
    section = SECTIONS.get(node.name)
    if section is None:
        refusal = Refusal(
            f"there is no section '{node.name}'{nearest(node.name, SECTIONS)}",
            f"(1230): ERROR: Invalid element in the configuration: '{node.name}'.",
        )
        reading.problems.refuse(refusal, place_of(node), IN_SECTION)
    elif not node.children:
        reading.warn(f"<{node.name}> is empty", node)
    elif (reading.program is None or reading.program in section.readers) and (wanted is None or node.name in wanted):
        read_section(section, node, reading)


# --- what is looked at once the whole file is read ---


def _finish(reading: Reading, roots: list[Node]) -> None:
    """What a program checks at the end; nothing once it has failed."""
    if reading.problems.failed:
        return
    if reading.is_for("ossec-agentd"):
        _finish_agent(reading)
    elif reading.is_for("ossec-dbd"):
        _finish_database(reading)
    elif reading.is_for("ossec-csyslogd"):
        _finish_syslog(reading)
    elif reading.is_for("ossec-monitord"):
        _read_mail(reading, roots)
    allowed = reading.gathered("global").get("allowed", ())
    entries = [entry for entry in allowed if isinstance(entry, addresses.Entry)]
    if entries and entries[-1].negated:
        reading.problems.warn(
            f"the allow list ends in '{entries[-1].text}', so every address that no entry names is in it",
            reading.places["global"],
        )


def _refuse_whole(reading: Reading, refusal: Refusal, closing: int, section: str) -> None:
    reading.problems.refuse(refusal, reading.places.get(section, Place(reading.layout.ossec_conf)), closing)


def _finish_agent(reading: Reading) -> None:
    client = reading.gathered("client")
    if "client" not in reading.places:
        _refuse_whole(
            reading, Refusal("there is no <client> section", "(4105): ERROR: No valid server IP found."), IN_FILE, ""
        )
        return
    notify = client.get("notify_time", Client.__dataclass_fields__["notify_time"].default)
    reconnect = client.get("reconnect_time", Client.__dataclass_fields__["reconnect_time"].default)
    if reconnect <= notify:
        reconnect = client["reconnect_time"] = notify * 3
        reading.problems.say(
            f": INFO: Max time to reconnect can't be less than notify_time({notify}), using notify_time*3 ({reconnect})"
        )
    reading.problems.say(f": INFO: Using notify time: {notify} and max time to reconnect: {reconnect}")


def _finish_database(reading: Reading) -> None:
    values = reading.gathered("database_output")
    missing = [name for name in ("hostname", "username", "password", "database", "type") if name not in values]
    if values and missing:
        refusal = Refusal(
            f"<database_output> lacks <{missing[0]}>",
            "(5205): ERROR: Missing database configuration. It requires host, user, pass and database.",
        )
        _refuse_whole(reading, refusal, IN_FILE, "database_output")


def _finish_syslog(reading: Reading) -> None:
    for output in reading.items.get("syslog_outputs", ()):
        server = output.server
        if not server:
            refusal = Refusal("<server> is empty", ": ERROR: syslog_output server is empty.")
        elif addresses.kind_of(server) == addresses.NETWORK:
            refusal = Refusal(
                f"<server> wants one host, got the network '{server}'",
                f": ERROR: syslog_output server '{server}' must be a hostname or IP address, not a network/CIDR.",
            )
        elif not reading.machine.resolves(server):
            refusal = Refusal(
                f"the host '{server}' has no address: check the name and this host's resolver",
                f": ERROR: Unable to resolve syslog_output server hostname '{server}'.",
            )
        else:
            continue
        reading.problems.refuse(refusal, output.place, SILENT)
        return


# --- by path ---


def _firsts(roots: Iterable[Node], section: str) -> list[Node]:
    """The first section of a name in each root: what OSSEC sees that looks by path."""
    return [node for node in (next((n for n in root.children if n.name == section), None) for root in roots) if node]


def _value(nodes: Iterable[Node], name: str) -> Node | None:
    """The first element of a name in some sections."""
    return next((child for node in nodes for child in node.children if child.name == name), None)


def _read_policy(reading: Reading, roots: list[Node]) -> None:
    """execd's `disabled` and `repeated_offenders`.

    OSSEC looks at the first section of each root only, and takes the first `disabled` for all.  Ours stays off only if
    no section asks for responses, by a command or by `disabled` no; `repeated_offenders` may stand in any section.
    """
    policy = reading.gathered("exec_policy")
    seen = _firsts(roots, "active-response")
    every = [node for root in roots for node in root.children if node.name == "active-response"]
    disabled = _value(seen, "disabled")
    if disabled is not None and disabled.text not in ("yes", "no"):
        refusal = Refusal(
            f"<disabled> wants yes or no, got '{disabled.text}'",
            f"(1235): ERROR: Invalid value for element 'disabled': {disabled.text}.",
        )
        reading.problems.refuse(refusal, place_of(disabled), IN_FILE)
        return
    off = disabled is not None and disabled.text == "yes"
    policy["disabled"] = off and not any(_is_on(node) for node in every)
    if disabled is not None and off and not policy["disabled"]:
        reading.warn("this <disabled> is for its own <active-response>; the others stay in force", disabled)
    offenders = _value(seen, "repeated_offenders") or _value(every, "repeated_offenders")
    if offenders is not None and not policy["disabled"]:
        policy["repeated_offenders"] = parse_offenders(offenders.text)
        given = [word.strip() for word in offenders.text.split(",")]
        if given != [str(minutes) for minutes in policy["repeated_offenders"]]:
            used = ",".join(map(str, policy["repeated_offenders"])) or "nothing"
            reading.warn(f"<repeated_offenders> wants up to five numbers above 0, uses {used}", offenders)
        for count, minutes in enumerate(policy["repeated_offenders"], 1):
            reading.problems.say(f": INFO: Adding offenders timeout: {minutes} (for #{count})")


def _is_on(node: Node) -> bool:
    """Whether a section asks for responses."""
    values = [child.text for child in node.children if child.name == "disabled"]
    return "yes" not in values and ("no" in values or any(child.name == "command" for child in node.children))


MAIL_KEYS = ("smtp_server", "email_from", "email_reply_to", "email_idsname", "helo_server")


def _read_mail(reading: Reading, roots: list[Node]) -> None:
    """monitord's mail settings for its reports."""
    sections = _firsts(roots, "global")
    every = [node for root in roots for node in root.children if node.name == "global"]
    for key in MAIL_KEYS:
        node = _value(sections, key)
        if node is not None:
            reading.gathered("global")[key] = node.text
        elif (unseen := _value(every, key)) is not None:
            reading.warn(f"<{key}> counts for reports only in the first <global> of an {ROOT}", unseen)
    mail = reading.gathered("global")
    if reading.gathered("reports").get("any") and not ("smtp_server" in mail and "email_from" in mail):
        reading.problems.say(": SMTP server or 'email from' missing. Disabling email reports.")


# --- values to the model ---


def build(reading: Reading) -> Configuration:
    """The frozen values of a pass that did not fail."""
    items = {name: tuple(values) for name, values in reading.items.items()}
    remotes = items.pop("remotes", ())
    shared = reading.gathered("remote")
    reading.gathered("reports").clear()
    return Configuration(
        path=reading.problems.path,
        kind=reading.kind,
        global_=_global(reading),
        alerts=Alerts(**reading.gathered("alerts"), place=_place(reading, "alerts")),
        rules=Rules(
            **{kind: tuple(files) for kind, files in reading.gathered("rules").items()}, place=_place(reading, "rules")
        ),
        remotes=Remotes(
            connections=remotes,
            allowed=addresses.AddressList(shared.get("allowed-ips", ())),
            denied=addresses.AddressList(shared.get("denied-ips", ())),
            crypto_accept=shared.get("crypto_accept", "any"),
        ),
        client=_client(reading),
        syscheck=_syscheck(reading),
        rootcheck=_rootcheck(reading),
        database=_database(reading),
        exec_policy=ExecPolicy(**reading.gathered("exec_policy")),
        warnings=tuple(reading.problems.lines()),
        **items,
    )


def _place(reading: Reading, section: str) -> Place:
    return reading.places.get(section, Place())


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _global(reading: Reading) -> Global:
    values = _tuples(reading.gathered("global"))
    values.pop("mail_is_on", None)
    allowed = values.pop("allowed", ())
    entries = [entry for entry in allowed if isinstance(entry, addresses.Entry)]
    names = tuple(name for name in allowed if isinstance(name, str) and name)
    return Global(
        **values,
        allow_addresses=addresses.AddressList(entries),
        allow_hostnames=names,
        place=_place(reading, "global"),
    )


def _client(reading: Reading) -> Client | None:
    if "client" not in reading.places:
        return None
    return Client(**_tuples(reading.gathered("client")), place=_place(reading, "client"))


def _syscheck(reading: Reading) -> Syscheck:
    values = _tuples(reading.gathered("syscheck"))
    values["directories"] = tuple(one for group in values.get("directories", ()) for one in group)
    for name in ("ignore", "nodiff"):
        values[name] = tuple(one for one in values.get(name, ()) if one is not None)
    return Syscheck(**values, place=_place(reading, "syscheck"))


def _rootcheck(reading: Reading) -> Rootcheck:
    values = _tuples(reading.gathered("rootcheck"))
    checks = values.pop("checks", None)
    if checks is not None:
        values["checks"] = frozenset(name for name, wanted in checks.items() if wanted)
    return Rootcheck(**values, place=_place(reading, "rootcheck"))


def _database(reading: Reading) -> DatabaseOutput | None:
    values = reading.gathered("database_output")
    if not values:
        return None
    return DatabaseOutput(**values, place=_place(reading, "database_output"))
