"""The sections of ossec.conf, each as a table of its elements (spec/configuration.md, section 3.1).

`analysis`: global, alerts, rules, command, active-response.  `collection`: localfile, syscheck, rootcheck.  `network`:
remote, client.  `delivery`: email_alerts, syslog_output, database_output, agentless, reports.
"""

from __future__ import annotations

from collections.abc import Mapping

from ossec.config.schema import Section
from ossec.config.sections import analysis, collection, delivery, network

SECTIONS: Mapping[str, Section] = {
    section.name: section for module in (analysis, collection, network, delivery) for section in module.SECTIONS
}
