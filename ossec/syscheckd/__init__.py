"""ossec-syscheckd: from files under watch to messages on `queue/ossec/queue`.

In: the files and folders that `<directories>` names, on a schedule, at once where `realtime` asks for it, and when
`var/run/.syscheck_run` is written.  Out: `8:syscheck:SUM PATH[\\nDIFF]` for every file that is new, changed or gone,
and what begins and ends a scan; to analysisd or, on an agent, to agentd.

Where to look: `entries` what is watched and how, `sums` what is known of a file, `schedule` when a scan is due, `walk`
folders to names, `examine` one file to its sum, `workers` the processes that do it, `baseline` what was known before
(on disk), `lane` batches of files on their way through the workers, `scan` one pass over everything, `realtime` and
`watches` what the kernel tells, `differences` and `copies` what changed inside a text, `sender` the way out, `daemon`
the shell.  `rootcheck` runs in the same process.
"""
