"""Making a home: what ossec-install does (spec/configuration.md, sections 1 and 9).

In: answers (`Settings`), what this machine has (`Machine`), the package's etc/ and active-response/.
Out: a directory tree with modes, owners and a generated ossec.conf; an existing home is upgraded and keeps its own.

`machine` looks around, `template` writes ossec.conf as text, `tree` is the table of directories and programs,
`installer` performs.  The questions are asked by `ossec.cli.install`.
"""
