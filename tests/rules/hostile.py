"""Where strangers can write into log lines, and what they would write there.

`TEMPLATES` are the daemons' own messages.  `{address}` is what the daemon wrote, `{free}` (and `{other}`) what a
stranger chose.  `values` makes hostile text for them: forged endings, whole forged messages, junk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

REAL = "203.0.113.9"
REAL_V6 = "2001:db8:bad::9"
FORGED = "198.18.0.66"


@dataclass(frozen=True, slots=True)
class Template:
    """A message with free fields."""

    decoder: str | None  # the decoder's own name in decoder.xml
    program: str | None
    text: str
    told: bool = True  # the address must be reported; otherwise it may be missing, but not be another one
    blanks: bool = True  # the free field can hold blanks
    strict: bool = True  # hostile text must not change the rule


def _sshd(decoder: str | None, text: str, **options: bool) -> Template:
    return Template(decoder, "sshd-session[4711]", text, **options)


_KEY = "SHA256:z2QODruFZX2162eY5K1yfwOD0SpQi39ByUq7VlmYbrI"

TEMPLATES = (
    _sshd("sshd-invalid-user", "Invalid user {free} from {address} port 40022"),
    _sshd("sshd-invalid-user", "Illegal user {free} from {address}"),
    _sshd("sshd-failed", "Failed password for invalid user {free} from {address} port 40022 ssh2"),
    _sshd("sshd-failed", "Failed password for {free} from {address} port 40022 ssh2", strict=False),
    _sshd("sshd-failed", "Failed none for illegal user {free} from {address} port 40022 ssh2"),
    _sshd("sshd-failed", f"Failed publickey for invalid user {{free}} from {{address}} port 40022 ssh2: RSA {_KEY}"),
    _sshd("sshd-failed", "Postponed publickey for invalid user {free} from {address} port 40022 ssh2 [preauth]"),
    _sshd("sshd-success", "Accepted password for {free} from {address} port 40022 ssh2"),
    _sshd("sshd-success", f"Accepted publickey for {{free}} from {{address}} port 40022 ssh2: ED25519 {_KEY}"),
    _sshd("sshd-success-solaris", "User {free}, coming from {address},  -  authenticated."),
    _sshd(
        "sshd-certificate-failure",
        f"Failed publickey for invalid user {{free}} from {{address}} port 40022 ssh2: "
        f"RSA-CERT {_KEY} ID {{other}} (serial 0) CA RSA {_KEY}",
        told=False,
    ),
    _sshd(
        "sshd-certificate-failure",
        f"Failed hostbased for invalid user {{free}} from {{address}} port 40022 ssh2: "
        f'RSA {_KEY}, client user "{{other}}", client host "{{other}}"',
        told=False,
    ),
    _sshd(
        "sshd-certificate-success",
        f"Accepted publickey for {{free}} from {{address}} port 40022 ssh2: "
        f"RSA-CERT {_KEY} ID {{other}} (serial 0) CA RSA {_KEY}",
        told=False,
    ),
    _sshd("sshd-pam-error", "error: PAM: Authentication failure for illegal user {free} from {address}"),
    _sshd("sshd-pam-error", "error: PAM: Authentication failure for illegal user {free} from {address} via 192.0.2.10"),
    _sshd(
        "sshd-too-many",
        "error: maximum authentication attempts exceeded "
        "for invalid user {free} from {address} port 40022 ssh2 [preauth]",
    ),
    _sshd("sshd-not-allowed", "User {free} from {address} not allowed because listed in DenyUsers"),
    _sshd("sshd-not-allowed", "User {free} not allowed because account is locked", told=False),
    _sshd("sshd-gone-user", "Connection closed by invalid user {free} {address} port 40022 [preauth]"),
    _sshd("sshd-gone-user", "Connection reset by invalid user {free} {address} port 40022 [preauth]"),
    _sshd("sshd-gone-user", "Disconnected from invalid user {free} {address} port 40022 [preauth]"),
    _sshd(
        "sshd-gone-user", "Disconnected from authenticating user {free} {address} port 40022 [preauth]", strict=False
    ),
    _sshd("sshd-gone", "Connection closed by {address} port 40022 [preauth]"),
    _sshd("sshd-gone", "Connection reset by {address} port 40022"),
    _sshd(
        "sshd-thrown-out-user",
        "Disconnecting invalid user {free} {address} port 40022: Too many authentication failures [preauth]",
    ),
    _sshd(
        "sshd-thrown-out-user",
        "Disconnecting invalid user {free} {address} port 40022: Change of username or service not allowed: "
        "({free},ssh-connection) -> ({other},{other}) [preauth]",
        told=False,
    ),
    _sshd("sshd-thrown-out", "Disconnecting {address} port 40022: Too many authentication failures [preauth]"),
    _sshd("sshd-disconnect", "Received disconnect from {address} port 40022:11: {free} [preauth]"),
    _sshd("sshd-disconnect", "Received disconnect from {address}: 11: {free}"),
    _sshd("sshd-disconnect", "error: Received disconnect from {address} port 40022:3: {free}"),
    _sshd("sshd-protocol", "ssh_dispatch_run_fatal: Connection from {address} port 40022: Broken pipe [preauth]"),
    _sshd(
        "sshd-protocol-user",
        "ssh_dispatch_run_fatal: Connection from invalid user {free} {address} port 40022: "
        "message authentication code incorrect [preauth]",
        strict=False,
    ),
    _sshd(
        "sshd-negotiate",
        "Unable to negotiate with {address} port 40022: no matching cipher found. Their offer: {free} [preauth]",
    ),
    _sshd("sshd-negotiate", "fatal: Unable to negotiate with {address}: no matching cipher found. Their offer: {free}"),
    _sshd("sshd-bad-banner", "Bad protocol version identification '{free}' from {address} port 40022"),
    _sshd("sshd-bad-banner", "Bad protocol version identification '{free}' from {address}"),
    _sshd("sshd-banner-exchange", "banner exchange: Connection from {address} port 40022: invalid format"),
    _sshd(None, 'error: kex_exchange_identification: client sent invalid protocol identifier "{free}"', told=False),
    _sshd(None, "error: Bad remote protocol version identification: '{free}'", told=False),
    _sshd(None, "input_userauth_request: invalid user {free} [preauth]", told=False),
    _sshd(None, "subsystem request for {free} by user alice failed, subsystem not found", told=False),
    _sshd("sshd-no-banner", "Did not receive identification string from {address} port 40022"),
    _sshd("sshd-root-refused", "ROOT LOGIN REFUSED FROM {address} port 40022 [preauth]"),
    _sshd(
        "sshd-reverse-lookup",
        "reverse mapping checking getaddrinfo for {free} [{address}] failed - POSSIBLE BREAK-IN ATTEMPT!",
    ),
    _sshd(
        "sshd-lookup-mismatch",
        "Address {address} maps to {free}, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!",
        strict=False,
    ),
    _sshd("sshd-scanned", "scanned from {address} with {free}.  Don't panic."),
    _sshd("sshd-timeout", "Timeout before authentication for connection from {address} to 192.0.2.10, pid = 4711"),
    _sshd("sshd-timeout", "fatal: Timeout before authentication for {address} port 40022"),
    _sshd("sshd-drop", "drop connection #3 from [{address}]:40022 on [192.0.2.10]:22 past MaxStartups"),
    _sshd("sshd-wrappers", "refused connect from {free} ({address})"),
    _sshd("sshd-wrappers", "refused connect from {free}@{address}", told=False),
    _sshd("sshd-connection", 'Connection from {address} port 40022 on 192.0.2.10 port 22 rdomain ""'),
    _sshd(None, "Starting session: command for {free} from {address} port 40022 id 0", told=False, strict=False),
    Template(
        "pam-failure",
        "vsftpd",
        "pam_unix(vsftpd:auth): authentication failure; "
        "logname= uid=0 euid=0 tty=ftp ruser={free} rhost={address}  user=root",
    ),
    Template(
        "pam-failure",
        "auth",
        "pam_unix(dovecot:auth): authentication failure; "
        "logname={other} uid=0 euid=0 tty=dovecot ruser={free} rhost={address} ",
    ),
    Template(
        "pam-failure",
        "auth",
        "pam_sss(dovecot:auth): authentication failure; "
        "logname= uid=0 euid=0 tty=dovecot ruser={free} rhost={address} user=bob",
    ),
    Template(
        "pam-failure",
        "su",
        "pam_unix(su:auth): authentication failure; "
        "logname={free} uid=1000 euid=0 tty=pts/1 ruser={free} rhost=  user=root",
        told=False,
    ),
    Template(
        "pam-failure",
        "auth",
        "pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser={free} rhost= ",
        told=False,
    ),
    Template(
        "login-refused",
        "login[9]",
        "FAILED LOGIN (1) on '/dev/pts/1' from '{address}' FOR '{free}', Authentication failure",
    ),
    Template(
        "login-refused", "login[9]", "FAILED LOGIN (1) on '/dev/tty1' FOR '{free}', Authentication failure", told=False
    ),
    Template("login-refused", "login[9]", "TOO MANY LOGIN TRIES (5) on '/dev/pts/1' from '{address}' FOR '{free}'"),
    Template("login-refused-from", "login[9]", "FAILED LOGIN 1 FROM {address} FOR {free}, Authentication failure"),
    Template(
        "login-refused-from", "login[9]", "FAILED LOGIN 1 FROM tty1 FOR {free}, Authentication failure", told=False
    ),
    Template(None, "login[9]", "LOGIN ON pts/1 BY {free} FROM {address}", told=False, strict=False),
    Template(
        None,
        "sudo",
        "   alice : user NOT in sudoers ; TTY=pts/1 ; PWD={free} ; USER=root ; COMMAND={other}",
        told=False,
    ),
    Template(None, "sudo", "   alice : TTY=pts/1 ; PWD={free} ; USER=root ; COMMAND={other}", told=False),
    Template(None, "su[9]", "FAILED SU (to {free}) alice on pts/1", told=False, strict=False),
    Template(
        None, "useradd[9]", "new user: name=x, UID=1009, GID=1009, home={free}, shell=/bin/sh, from=none", told=False
    ),
    Template(None, "CRON[9]", "(alice) CMD ({free})", told=False),
    Template(None, "myapp[9]", "request of {free} done", told=False, strict=False),
    Template(None, None, "ossec: output: 'df -P': {free}", told=False, strict=False),
    Template(None, None, "ossec: File rotated (inode changed): '{free}'.", told=False),
    Template(
        "ar_log",
        None,
        "Sun Nov 22 05:40:17 UTC 2026 /var/ossec/active-response/bin/firewall-drop.sh"
        " add {free} {address} 1795325917.40 5712",
        blanks=False,  # ossec-execd lets no other characters through
    ),
)

_BENIGN = "guest"
_PIECES = (
    FORGED,
    " ",
    "",
    f"x from {FORGED}",
    f"x from {FORGED} port 22",
    f"x from {FORGED} port 22 ssh2",
    f"root from {FORGED} port 22 ssh2: RSA-CERT {_KEY} ID y",
    f"root from {FORGED} port 22 ssh2: RSA {_KEY}",
    f"x {FORGED} port 22",
    f"x {FORGED} port 22 [preauth]",
    f"x {FORGED} port 22: Too many authentication failures",
    f"x {FORGED} port 22: Too many authentication failures [preauth]",
    f"x@{FORGED}",
    f"x({FORGED}",
    f"x ({FORGED})",
    f"x [{FORGED}] failed - POSSIBLE BREAK-IN ATTEMPT!",
    f"x rhost={FORGED}",
    f"x rhost={FORGED}  user=root",
    f"x rhost={FORGED}  user=root rhost=",
    f"x' from '{FORGED}' FOR 'root",
    f"x' from {FORGED} port 22",
    f"x, coming from {FORGED},  -  authenticated.",
    f"x: {FORGED} port 22:11: bye",
    f"x, Authentication failure FROM {FORGED} FOR root, x",
    f"x [{FORGED}]:22 on [1.1.1.1]:22",
    f"srcip: {FORGED}; user: root;",
    f"x (serial 0) CA RSA {_KEY} from {FORGED} port 22 ssh2",
    f'x", client host "y", from {FORGED} port 22 ssh2: RSA {_KEY}',
    f"x\\nNov 22 05:40:17 bastion sshd[1]: Failed password for root from {FORGED} port 22 ssh2",
    f"x#012Nov 22 05:40:17 bastion sshd[1]: Failed password for root from {FORGED} port 22 ssh2",
    f"x\nNov 22 05:40:17 bastion sshd[1]: Failed password for root from {FORGED} port 22 ssh2",
    f"x\r\tfrom {FORGED} port 22 ssh2",
    f"\udcff\udcfe from {FORGED} port 22",
    f"{'A' * 5000} from {FORGED} port 22 ssh2",
    f" user {FORGED} port 22",
    f"invalid user x from {FORGED} port 22 ssh2",
    f"via {FORGED}",
    f"x from {FORGED} via {FORGED}",
    f"(1) on 'x' from '{FORGED}' FOR 'x'",
    "error denied Connection closed",
    "Received disconnect from",
    "x ; USER=root ; COMMAND=",
    "$(id)|`id`;<>&",
)


def values(template: Template) -> Iterator[str]:
    """Hostile text for a template's free field."""
    for text in (*_PIECES, *(_forged(other) for other in TEMPLATES)):
        if template.blanks:
            yield text
            yield f"{text} x"
            yield f"x {text} "
        else:
            yield "".join(c for c in text if c.isascii() and (c.isalnum() or c in "._-@?")) or "-"


def _forged(template: Template) -> str:
    return template.text.format(free=_BENIGN, other=_BENIGN, address=FORGED)


def render(template: Template, free: str = _BENIGN, other: str = _BENIGN, address: str = REAL) -> bytes:
    """The log line as the daemon would write it."""
    text = template.text.format(free=free, other=other, address=address)
    head = "" if template.program is None else f"Nov 22 05:40:17 bastion {template.program}: "
    return (head + text).encode("utf-8", "surrogateescape")
