"""What the configuration says about mail (spec/outputs.md, 4.1 to 4.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ossec.alertstream.filters import Filter
from ossec.config import Configuration
from ossec.config.model import EmailAlerts
from ossec.errors import ConfigError

DEFAULT_HELO = "notify.ossec.net"
PORT, SUBMISSION, SMTPS = 25, 587, 465
_ADDRESS = re.compile(r"[^\x00-\x20<>,;\x7f-\U0010ffff]+@[^\x00-\x20<>,;\x7f-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class Extra:
    """One `<email_alerts>`: a recipient of some alerts."""

    address: str
    filter: Filter
    sms: bool = False
    now: bool = False  # do_not_delay
    alone: bool = False  # do_not_group

    @classmethod
    def of(cls, block: EmailAlerts) -> Extra:
        chosen = Filter(block.level, block.rule_ids, block.group, block.event_location)
        return cls(block.email_to, chosen, block.format == "sms", block.do_not_delay, block.do_not_group)


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails go: a host, or a command that starts with `/`."""

    name: str
    port: int = PORT
    helo: str = DEFAULT_HELO
    tls: bool = False  # from the first byte
    user: str | None = None  # with one: STARTTLS (unless `tls`), then AUTH
    password: str = field(default="", repr=False)
    verify: bool = True
    strict: bool = True  # maild.strict_checking

    @property
    def is_command(self) -> bool:
        return self.name.startswith("/")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that maild works by."""

    server: Server
    sender: str
    recipients: tuple[str, ...]  # get every mail; the first is To, the others Cc
    extras: tuple[Extra, ...] = ()
    reply_to: str | None = None
    idsname: str | None = None
    per_hour: int = 12
    grouping: bool = True
    full_subject: bool = False  # OSSEC's maild.full_subject, which means the short one
    geoip: bool = True
    share: bool = False  # maild.granular_share: a granular recipient gets the whole batch, as from OSSEC
    workers: int = 6


def build(configuration: Configuration, option: Callable[[str], int]) -> Settings:
    """ConfigError where something is missing without which no mail can be sent."""
    mail = configuration.global_
    extras = tuple(Extra.of(block) for block in configuration.email_alerts)
    place = str(mail.place.path) if mail.place.path else ""
    if not mail.smtp_server:
        raise ConfigError("<global> wants <smtp_server>: the host that takes our mails, or a command", place)
    if not mail.email_from:
        raise ConfigError("<global> wants <email_from>: the address that mails come from", place)
    if not mail.email_to and not extras:
        raise ConfigError("<global> wants <email_to>: the address that mails go to", place)
    for address in (mail.email_from, *mail.email_to, *(extra.address for extra in extras)):
        if not _ADDRESS.fullmatch(address):
            raise ConfigError(f"{address!r} is no mail address", place)
    if mail.email_reply_to and not _ADDRESS.fullmatch(mail.email_reply_to):
        raise ConfigError(f"<email_reply_to> {mail.email_reply_to!r} is no mail address", place)
    if mail.auth_smtp and not (mail.smtp_user and mail.smtp_password):
        raise ConfigError("<auth_smtp>yes</auth_smtp> wants <smtp_user> and <smtp_password>", place)
    default = SMTPS if mail.secure_smtp else SUBMISSION if mail.auth_smtp else PORT
    return Settings(
        server=Server(
            name=mail.smtp_server,
            port=mail.smtp_port or default,
            helo=mail.helo_server or DEFAULT_HELO,
            tls=mail.secure_smtp,
            user=mail.smtp_user if mail.auth_smtp else None,
            password=(mail.smtp_password or "") if mail.auth_smtp else "",
            verify=mail.smtp_tls_verify,
            strict=bool(option("maild.strict_checking")),
        ),
        sender=mail.email_from,
        recipients=mail.email_to,
        extras=extras,
        reply_to=mail.email_reply_to,
        idsname=mail.email_idsname,
        per_hour=mail.email_maxperhour,
        grouping=bool(option("maild.groupping")),
        full_subject=bool(option("maild.full_subject")),
        geoip=bool(option("maild.geoip")),
        share=bool(option("maild.granular_share")),
        workers=option("maild.max_workers"),
    )
