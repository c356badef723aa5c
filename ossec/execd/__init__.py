"""Active responses: run a script when the analysis says so, and undo it when its time is over.

In: messages on `queue/alerts/execq` (analysisd here, agentd on an agent, agent_control, an operator with socat);
`etc/shared/ar.conf`, which names the scripts; `active-response` in ossec.conf (`disabled`, `repeated_offenders`).
Out: scripts in `active-response/bin` (`add`, later `delete`), what became of them in ossec.log and, when a block can
neither be made nor undone, an event to `queue/ossec/queue`.  Kept: `queue/alerts/ar-state`, the journal of blocks.

`policy` is the core: who is blocked until when, what runs next; `lanes` is its state, `effects` what it asks for,
`words` what it accepts, `allowed` whom it never blocks, `offenders` who comes back.  `journal` is the format in which
blocks are written down before they are made, `store` its file.  `responses` reads ar.conf, `settings` ossec.conf.
`scripts` runs, `fields` tells a script what it is about, `leftovers` finds scripts of an earlier life.  `daemon` is the
shell around all of it.
"""
