"""ossec-remoted: the server's end of every agent's line.

In: sealed datagrams on UDP 1514, syslog on UDP and TCP 514, orders for agents on `queue/alerts/ar`, client.keys,
`etc/shared`.  Out: events to `queue/ossec/queue`, acknowledgements, responses and shared files to agents, one file per
agent in `queue/agent-info`, counters in `queue/rids`.

`agents` who may speak and what is known of each · `core` every session as plain state · `shared` the files that agents
get · `syslog` foreign syslog, as lines · `daemon` the shell.
"""
