"""What a home was installed as: `TYPE` in ossec-init.conf, else what its configuration looks like."""

from __future__ import annotations

import re
from enum import StrEnum

from ossec.layout import Layout

COMMENT = re.compile(r"<!.*?(?:-->|!>)", re.DOTALL)
_TYPE = re.compile(r"""^\s*TYPE=["']?([a-z]+)""", re.MULTILINE)


class Kind(StrEnum):
    """A server has agents, a local home none."""

    SERVER = "server"
    AGENT = "agent"
    LOCAL = "local"


def guess_kind(init_conf: str, ossec_conf: str) -> Kind:
    """From the texts of ossec-init.conf and ossec.conf; any text has an answer."""
    match = _TYPE.search(init_conf)
    if match is not None and match[1] in set(Kind):
        return Kind(match[1])
    text = COMMENT.sub("", ossec_conf)
    if "<client>" in text:
        return Kind.AGENT
    return Kind.SERVER if "<remote>" in text else Kind.LOCAL


def home_kind(layout: Layout) -> Kind:
    """Of a home; one without files is local."""
    return guess_kind(_read(layout, "init_conf"), _read(layout, "ossec_conf"))


def _read(layout: Layout, name: str) -> str:
    try:
        text: str = getattr(layout, name).read_text("utf-8", "replace")
    except OSError:
        return ""
    return text
