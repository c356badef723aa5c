"""ossec-csyslogd: alerts to syslog servers.

In: the alert stream (`ossec.alertstream`), read for each destination by itself.  Out: one syslog message per alert, in
one of four formats, over UDP, TCP or TLS.

`formats`      a record → the text of a message (pure)
`window`       what has been sent and may not have arrived (pure)
`links`        one connection: UDP, TCP, TLS; never waits
`destination`  one `<syslog_output>`: what it wants, how far it has come, its connection
`daemon`       the shell

The alert files are the queue: a destination that is down stops reading and goes on where it was, after a restart too.
What may have been lost with a connection is sent again.
"""
