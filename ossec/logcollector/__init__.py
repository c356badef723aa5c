"""ossec-logcollector: from log files, commands and the journal to event lines on `queue/ossec/queue`.

In: what grows in files that `<localfile>` names, what commands print, what the systemd journal takes up.
Out: one datagram `Q:LOCATION:TEXT` each, to analysisd or, on an agent, to agentd.

Where to look: `sources` what to follow, `lines` bytes to lines, `readers` lines to messages (one class per format),
`follower` one file through growth, rotation and truncation, `collector` all of them in passes, `positions` what has
been handed over, `commands` and `journal` the other two origins, `watches` what wakes us, `daemon` the shell.
"""
