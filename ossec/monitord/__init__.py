"""ossec-monitord: what only time tells (spec/outputs.md, section 8; spec/protocol.md, section 8).

In: `etc/client.keys` and the times of the files in `queue/agent-info`, which ossec-remoted touches at each keep-alive.
Out: events on `queue/ossec/queue` for analysisd: the suite was started (rule 502), an agent went silent (rule 504).

`agents` decides, `daemon` looks at the files.
"""
