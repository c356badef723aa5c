"""OSSEC in Python: a host intrusion detection suite, compatible with OSSEC 4.3.

The architecture in one screen::

        log files · journald · commands      files under watch              operator
                        │                            │          ossec-control · manage_agents
                        ▼                            ▼          agent_control · ossec-logtest …
                 ossec-logcollector           ossec-syscheckd                │
                        │  1:location:text           │  8:syscheck:…         │
                        └────────────┬───────────────┘                       │
    AGENT                            ▼ queue/ossec/queue                     │
    ossec-agentd ◄───────────────────┤                                       │
       │  ▲  UDP 1514, sealed        │                                       │
       ▼  │  (#!-execd … back)       │                                       │
    SERVER ossec-remoted ──────────► │ ◄─────────────── queue/alerts/ar ◄────┤
                                     ▼                         ▲             │
                 ossec-analysisd ── predecode → decode → rules → correlate   │
                    │       │                                  │             │
                    │       └─ active response ────────────────┤             │
                    │             └─► queue/alerts/execq ─► ossec-execd ─► active-response/bin/*
                    ▼
        logs/alerts/alerts.log, alerts.json, archives, ZeroMQ
                    ▼ (followed by)
        ossec-maild · ossec-csyslogd

Each daemon is a package of its own: a pure core, which takes bytes and a clock value and returns values, in a thin
shell, `daemon.py`, which opens, waits and performs.  A tool or a test uses the core without the shell.  Daemons never
import each other (`make check` holds this); they share the kernel packages below, and messages over Unix sockets.

Where to look:

=================  ====================================================================================
`errors`           the families of errors that choose a handler
`layout`           a home directory → every path below it, in one place
`config`           OSSEC's XML dialect → frozen dataclasses; internal options; ar.conf
`messages`         every byte format that crosses a process, each with both directions in one module
`regex`            OS_Match, OS_Regex and PCRE2 → matchers; many patterns in one pass
`queues`           Unix datagram sockets, in and out
`agents`           what a server knows of its agents: keys, status, traces; the tools around them
`crypto`           client.keys, ciphers, the sealed channel between agents and server, its counters
`alertstream`      the alert files as every output reads them, with a position that outlives a restart
`daemon`           the skeleton: options, pid files, privileges, signals, loop, ossec.log
`logcollector`     follows files and the journal, sends each line to the queue
`analysisd`        decoders, rules, correlation; writes alerts and decides on responses
`syscheckd`        watches files for changes, on a schedule and in real time; keeps what it knows of them on disk
`execd`            runs responses, writes blocks down before it makes them, undoes them in time
`remoted`          the server's end of every agent's line, and foreign syslog
`agentd`           an agent's end of the line, with a spool that outlives outages
`authd`            enrols agents over TLS
`monitord`         raises an alert when an agent falls silent
`maild`            sends alerts by mail, from a spool that outlives it
`csyslogd`         sends alerts to syslog servers, from the alert files as far as each has come
`suite`            what knows all daemons: starting, stopping, testing and reloading them together
`cli`              the programs that an operator types
=================  ====================================================================================

Beside the package: `etc/` (configuration, decoders, rules), `active-response/` (scripts that run on their own),
`tests/`, `bench/`, `docs/differences.md` (where we do not do as OSSEC does, and why).
"""

__version__ = "0.1.0"
COMPATIBLE_VERSION = "v4.2.0"  # what OSSEC 4.3's binaries call themselves in banners, keep-alives and CEF
