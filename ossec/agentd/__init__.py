"""ossec-agentd: an agent's end of the line to its server.

In: events on the agent's own `queue/ossec/queue`, sealed datagrams from the server.  Out: sealed events and keep-alives
to the server, responses to `queue/alerts/execq`, shared files in `etc/shared`.

`session` the conversation as plain state · `spool` events on disk until the server has them · `shared` shared files on
their way in · `daemon` the shell.
"""
