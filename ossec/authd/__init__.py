"""Enrolment: an agent asks for a key over TLS, and gets one (spec/protocol.md, section 10).

In: TLS on TCP 1515 (`OSSEC PASS: PASSWORD OSSEC A:'NAME'`); `etc/authd.pass`, `etc/sslmanager.cert` and `.key`.
Out: a line in `etc/client.keys`, which ossec-remoted sees within a second.  Listens: agent-auth, an agent of OSSEC.

`core` decides who gets what and who asks too often.  `certificate` makes the server's own at the first start,
`password` reads the file.  `keeper` is a process of its own that may write client.keys, so that the one that talks to
strangers need not.  `daemon` is the shell: the TLS dialogues on one loop.
"""
