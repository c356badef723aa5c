"""What a decoder is, once loaded, and how an event finds its decoder (spec/analysis.md, section 3).

`decoder_loader` makes decoders from XML; `plugins` holds the plugin decoders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.regex import Matcher

# where a search in the log starts
WHOLE, AFTER_PARENT, AFTER_PREMATCH, AFTER_REGEX = "", "after_parent", "after_prematch", "after_regex"


@dataclass(slots=True, eq=False)
class Decoder:
    """One decoder.  `name` is what rules and outputs call it: the parent's, unless `use_own_name`."""

    name: str
    own_name: str  # as in its file
    path: Path | str = ""
    line: int = 0
    parent: Decoder | None = None
    type: str = "syslog"
    program_name: Matcher | None = None
    prematch: Matcher | None = None
    prematch_offset: str = WHOLE
    regex: Matcher | None = None
    regex_offset: str = WHOLE
    order: tuple[str, ...] = ()  # event attribute, or "=name" for the dynamic field `name`
    fts: tuple[str, ...] = ()  # fields of the first-time-seen tuple
    accumulate: bool = False
    plugin: Callable[[Event], None] | None = None
    use_own_name: bool = False
    children: list[Decoder] = field(default_factory=list)
    chain: tuple[Decoder, ...] = ()  # same-name children that run in turn after this one
