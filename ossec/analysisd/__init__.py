"""The analysis daemon: event lines come in on `queue/ossec/queue`; alerts, archives, statistics and responses go out.

The core, without socket, file or clock, is `Engine`: predecode → decode → (accumulate) → rules → correlate.
The daemon and ossec-logtest feed it the same way:

    engine = Engine(decoders, rules, options, stores)
    engine.decode(event)            # hostname, program_name, log, decoder, fields
    verdict = engine.judge(event)   # event.rule, event.context; Verdict.ALERT, SILENT, IGNORED or NONE
    verdict = engine.process(event) # both

`predecode` (and `headers`, the dates that OSSEC does not know) takes the line apart, `decoding` finds its fields,
`matching` walks the rules by the tests of `conditions`, `correlation` counts earlier events; `decoder_loader` and
`rule_loader` read the files, `loading` both for a home.

Around it: `daemon` is the shell; `assembly` puts a `pipeline.Analysis` together from a home, which takes datagrams in
order, asks the engine, and gives `outputs` (daily files; `alerts` renders, `stream` publishes) and `responses` what
follows.  `syscheck`, `rootcheck`, `hostinfo` judge the messages that are no logs, against `filedb`; `maintenance` mutes
file changes; `statistics` counts hours.  `sender` hands responses over, `numbers` names alerts, `names` looks up hosts.
"""
