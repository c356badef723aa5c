"""Any bytes are a client.keys, for daemons and for tools, and both find the same agents to be removed ones."""

from __future__ import annotations

from contextlib import suppress

from ossec.agents import keyfile
from ossec.agents.keyfile import AgentError, KeyFile
from ossec.agents.manage import decode_export
from ossec.crypto import keys


def fuzz_client_keys(data: bytes) -> None:
    """Nothing but AgentError; each agent can be removed, and what a daemon then reads is without it."""
    known = KeyFile.parse(data)
    for daemon_key in keys.parse(data).keys:
        assert any(row.id.startswith(daemon_key.id) for row in known.agents)
    for row in known.agents[:5]:
        after = known.without(row.id)
        assert after.find(row.id) is None or after.find(row.id) != row
        assert row.id in after.taken_ids()
        assert all(key.id != row.id for key in keys.parse(after.format()).keys)
        with suppress(AgentError):
            keyfile.check_import(row)
    assert known.default_id() not in known.taken_ids()
    assert known.free_id() not in known.taken_ids()
    with suppress(AgentError):
        keyfile.check_import(decode_export(data.decode("latin-1")))
