"""The suite as a whole: which daemons a home runs, in which order, and their processes.

In: the type of the home (server, agent, local), `bin/.process_list`, the pid files in `var/run`.
Out: daemons started, stopped, told to reload; what `ossec-control` prints.

`roster` is the core: orders and choices as plain values.  `processes` meets pids, signals and exit statuses.
`control` joins both into the actions of ossec-control (spec/configuration.md, section 8).
"""
