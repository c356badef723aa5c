"""ossec-maild: alerts by mail.

In: the alert stream (`ossec.alertstream`), of it the alerts with the mail flag.  Out: mails, by SMTP or a command.

`settings`   what the configuration says about mail
`batching`   which alerts go together, when, and to whom (pure)
`message`    a batch → the bytes of a mail (pure)
`spool`      mails that wait, and the state that goes with them: one rename moves both on
`transport`  one mail to one server; blocks, and therefore runs in a thread of its own
`courier`    what is sent when: workers, back-off, what is refused
`daemon`     the shell

Order of things, so that a kill at any moment loses nothing: a mail is written to the spool, then the state (position in
the stream, alerts that wait, number of the next mail) is replaced, then the mail may be sent, then it is removed.
"""
