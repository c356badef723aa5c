"""Configuration: files that an administrator writes, as frozen values; what is wrong with them, with file and line.

In: etc/ossec.conf, etc/shared/agent.conf, internal_options.conf.  Out: `Configuration`, `InternalOptions`,
etc/shared/ar.conf.  Where to look: `dialect` bytes to elements, `schema` and `sections` elements to values, `model` the
values, `loader` one file for one program, `problems` what is said about mistakes, `agent_conf` what the server sends,
`ar_conf` what execd reads, `internal`, `addresses`, `times`.
"""

from ossec.config.loader import check, load
from ossec.config.model import Configuration
from ossec.config.problems import ConfigurationError

__all__ = ["Configuration", "ConfigurationError", "check", "load"]
