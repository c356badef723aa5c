"""The agents of a server, as files tell of them (spec/protocol.md, sections 1, 8, 9 and 11).

`keyfile` client.keys for those who change it · `store` its file: locked, replaced in one step · `traces` what else a
server keeps of an agent, and how it goes away · `status` who is active, silent since when, superseded ·
`maintenance` the marker of `agent_control -M` · `manage` the conversation of manage_agents · `control` what
agent_control does · `listing` how the tools print agents · `findings`, `integrity` the databases of rootcheck and
syscheck as their tools show them · `enrol` the agent's side of ossec-authd.
"""
