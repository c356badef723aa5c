"""Any bytes are refused or judged by authd, any answer read by agent-auth."""

from __future__ import annotations

from contextlib import suppress

from ossec.agents.enrol import check_key
from ossec.agents.keyfile import AgentError, BadKey, KeyFile, valid_name
from ossec.authd import password
from ossec.authd.core import Verdict, denied, enrol, granted, judge
from ossec.crypto import keys
from ossec.errors import ConfigError
from ossec.messages import enrolment

KNOWN = KeyFile.parse(b"001 web01 192.0.2.1 k\n1024 dup any k\n1025 #*#*#\n")


def fuzz_enrolment(data: bytes) -> None:
    """A dialogue, whole and cut anywhere, with a password and without; its answer as the agent reads it."""
    for wanted in (None, "s3cret"):
        given = data if wanted is None else enrolment.PASS_HEAD + b"s3cret " + data
        wish = judge(given, "192.0.2.9", wanted)
        if isinstance(wish, Verdict):
            assert enrolment.decode_reply(wish.answer).key is None
            continue
        assert valid_name(wish.name)
        try:
            after, row = enrol(KNOWN, wish, use_source=True)
        except AgentError as error:
            assert enrolment.decode_reply(denied(error, wish).answer).errors
            continue
        assert keys.parse(after.format()).keys[-1].name == row.name[:127]
        answer = enrolment.decode_reply(granted(row, wish).answer)
        assert answer.key is not None
        assert check_key(answer.key) == row
    enrolment.is_complete(data)
    with suppress(enrolment.BadReply, BadKey):
        reply = enrolment.decode_reply(data)
        if reply.key is not None:
            check_key(reply.key)
    with suppress(ConfigError):
        assert "\n" not in password.parse(data, "authd.pass")
