"""The analysis daemon: event lines come in on `queue/ossec/queue`; alerts, archives, statistics and responses go out.

The core, without socket, file or clock, is `Engine`: predecode → decode → (accumulate) → rules → correlate.
The daemon and ossec-logtest feed it the same way:

    engine = Engine(decoders, rules, options, stores)
    engine.decode(event)            # hostname, program_name, log, decoder, fields
    verdict = engine.judge(event)   # event.rule, event.context; Verdict.ALERT, SILENT, IGNORED or NONE
    verdict = engine.process(event) # both
"""
