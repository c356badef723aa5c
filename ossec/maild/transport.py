"""One mail to one server, or into one command (spec/outputs.md, 4.6 and 4.7).  Blocks: runs in a thread of its own.

Every wait is bounded: 30 seconds for a reply, five minutes for a session.  Addresses come from the configuration, where
they were checked; the message has doubled dots and CR LF at every line end, so nothing in it is a command.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from enum import Enum
from typing import NamedTuple

from ossec.maild.settings import Server
from ossec.maild.spool import Mail

REPLY_LIMIT = 30.0  # seconds for one reply
SESSION_LIMIT = 300.0  # seconds for one mail, whatever the server drips
COMMAND_LIMIT = 120.0  # seconds for a local command
MAX_DETAIL = 200  # characters of a reply in our log
TEMPORARY = (400, 500)


class Fate(Enum):
    SENT = "sent"
    LATER = "later"  # the server's or the network's trouble: the same again
    REFUSED = "refused"  # for good, this mail


class Outcome(NamedTuple):
    """`left`: recipients that the mail has not reached and shall be tried again; `notes`: OSSEC's lines for the log."""

    fate: Fate
    detail: str = ""
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Step(Exception):
    """A step of the dialogue that the server did not accept."""

    def __init__(self, note: str, reply: tuple[int, bytes], permanent: bool) -> None:
        super().__init__(note)
        self.note = note
        self.reply = reply
        self.permanent = permanent


def deliver(server: Server, mail: Mail) -> Outcome:
    """Try once."""
    if server.is_command:
        return _run(server.name, mail)
    try:
        return _Session(server).send(mail)
    except _Step as step:
        code, text = step.reply
        detail = f"{code} {text.decode('utf-8', 'replace')}"[:MAX_DETAIL]
        return Outcome(Fate.REFUSED if step.permanent else Fate.LATER, detail, notes=(step.note,))
    except ssl.SSLError as error:
        return Outcome(Fate.LATER, f"TLS: {error}"[:MAX_DETAIL])
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return Outcome(Fate.LATER, (str(error) or type(error).__name__)[:MAX_DETAIL])


def _permanent(code: int) -> bool:
    return code >= TEMPORARY[1]


def _run(command: str, mail: Mail) -> Outcome:
    """The message on stdin of a shell command, as OSSEC does; it reads the recipients itself (`sendmail -t`)."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=mail.message,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=COMMAND_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(Fate.LATER, f"not done after {COMMAND_LIMIT:g} s")
    except OSError as error:
        return Outcome(Fate.LATER, str(error))
    if done.returncode == 0:
        return Outcome(Fate.SENT)
    detail = done.stderr.decode("utf-8", "replace").strip()[:MAX_DETAIL]
    return Outcome(Fate.LATER, f"exit {done.returncode} {detail}".strip())


class _Session:
    """One connection, one mail, as OSSEC does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client: smtplib.SMTP | None = None

    def send(self, mail: Mail) -> Outcome:
        watchdog = threading.Timer(SESSION_LIMIT, self._abort)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._connect()
            outcome = self._dialogue(mail)
            with suppress(smtplib.SMTPException, OSError):
                assert self.client is not None
                self.client.quit()
            return outcome
        finally:
            watchdog.cancel()
            if self.client is not None:
                self.client.close()

    def _abort(self) -> None:
        sock = self.client.sock if self.client is not None else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not self.server.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _connect(self) -> None:
        server = self.server
        place = server.name, server.port
        try:
            if server.tls:
                self.client = smtplib.SMTP_SSL(
                    *place, local_hostname=server.helo, timeout=REPLY_LIMIT, context=self._context()
                )
            else:
                self.client = smtplib.SMTP(*place, local_hostname=server.helo, timeout=REPLY_LIMIT)
        except smtplib.SMTPConnectError as error:
            raise _Step("os_sendmail(1762): WARN: Banner not received from server", _reply(error), False) from None
        try:
            self.client.ehlo_or_helo_if_needed()
        except smtplib.SMTPHeloError as error:
            raise _Step("os_sendmail(1763): WARN: Hello not accepted by server", _reply(error), False) from None
        if server.user is not None:
            if not server.tls:
                self.client.starttls(context=self._context())
            self.client.login(server.user, server.password)

    def _dialogue(self, mail: Mail) -> Outcome:
        client = self.client
        assert client is not None
        reply = client.mail(mail.sender)
        if reply[0] != 250:
            note = "os_sendmail(1764): WARN: Mail from not accepted by server"
            raise _Step(note, reply, _permanent(reply[0]))
        notes, left, accepted = [], [], 0
        for address in mail.recipients:
            reply = client.rcpt(address)
            if reply[0] in (250, 251):
                accepted += 1
                continue
            notes.append(f"os_sendmail(1765): WARN: RCPT TO not accepted by server - '{address}'.")
            if not _permanent(reply[0]):
                left.append(address)
        if not accepted:
            detail = f"{reply[0]} {reply[1].decode('utf-8', 'replace')}"[:MAX_DETAIL]
            return Outcome(Fate.LATER if left else Fate.REFUSED, detail, tuple(left), tuple(notes))
        try:
            reply = client.data(mail.message + b"\r\n")  # OSSEC ends the text with an empty line more
        except smtplib.SMTPDataError as error:
            note = "os_sendmail(1766): WARN: DATA not accepted by server"
            raise _Step(note, _reply(error), _permanent(error.smtp_code)) from None
        if reply[0] != 250 and self.server.strict:
            note = "os_sendmail(1767): WARN: End of DATA not accepted by server"
            raise _Step(note, reply, _permanent(reply[0]))
        return Outcome(Fate.SENT, "", tuple(left), tuple(notes))


def _reply(error: smtplib.SMTPResponseException) -> tuple[int, bytes]:
    text = error.smtp_error
    return error.smtp_code, text if isinstance(text, bytes) else str(text).encode()
