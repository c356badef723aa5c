"""The suite as a whole: which daemons a home runs, their processes, and how a home is made.

In: the type of the home (server, agent, local), `bin/.process_list`, the pid files in `var/run`; for a new home the
answers of its administrator, what this machine has, and the package's etc/ and active-response/.
Out: daemons started, stopped, told to reload, and what `ossec-control` prints; a directory tree with a generated
ossec.conf.

Running: `roster` is the core, orders and choices as plain values; `processes` meets pids, signals and exit statuses;
`control` joins both into the actions of ossec-control (spec/configuration.md, section 8).
Making: `machine` looks around, `template` writes ossec.conf as text, `tree` is the table of directories and programs,
`installer` performs (sections 1 and 9).  `demo` is what `make run` starts: both together.
"""
