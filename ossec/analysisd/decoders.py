"""What a decoder is, once loaded (spec/analysis.md, section 3).

`decoder_loader` makes decoders from XML, `decoding` runs them, `plugins` holds the plugin decoders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.regex import Matcher

# where a search in the log starts
WHOLE, AFTER_PARENT, AFTER_PREMATCH, AFTER_REGEX = "", "after_parent", "after_prematch", "after_regex"

# words of <order> and the attribute of the event that each fills; any other word names a dynamic field
FIELDS = {
    "user": "dstuser",
    "dstuser": "dstuser",
    "srcuser": "srcuser",
    "srcip": "srcip",
    "dstip": "dstip",
    "srcport": "srcport",
    "dstport": "dstport",
    "protocol": "protocol",
    "action": "action",
    "id": "id",
    "url": "url",
    "data": "data",
    "extra_data": "data",
    "status": "status",
    "system_name": "system_name",
    "filename": "filename",
}
LABELS = {"protocol": "proto", "data": "extra_data"}  # what ossec-logtest calls an attribute, where it differs

# what the daemon's own decoders are called; rules may name them although no file does
SYSCHECK_DECODERS = (
    "syscheck_integrity_changed",
    "syscheck_integrity_changed_2nd",
    "syscheck_integrity_changed_3rd",
    "syscheck_new_entry",
    "syscheck_deleted",
    "syscheck_readded",
)
BUILT_IN = (*SYSCHECK_DECODERS, "rootcheck", "hostinfo_new", "hostinfo_modified")

Plugin = Callable[["Event"], None]
Captured = list[tuple[str, bytes]]


@dataclass(slots=True, eq=False)
class Decoder:
    """One decoder.

    `name` is what outputs show and `key` what `<decoded_as>` compares: both the parent's, unless `use_own_name`.
    `order` holds attributes of the event; a dynamic field `x` is there as `=x`.
    """

    name: str
    own_name: str = ""  # as in its file
    key: str = ""
    path: Path | str = ""
    line: int = 0
    parent: Decoder | None = None
    type: str = "syslog"
    program_name: Matcher | None = None
    prematch: Matcher | None = None
    prematch_offset: str = WHOLE
    regex: Matcher | None = None
    regex_offset: str = WHOLE
    order: tuple[str, ...] = ()
    fts: frozenset[str] = frozenset()  # fields of the first-time-seen tuple, see `fts`
    accumulate: bool = False
    plugin: Plugin | None = None
    aliases: tuple[tuple[str, str], ...] = ()  # JSON_Decoder: dynamic field and the attribute that it also sets
    use_own_name: bool = False
    children: list[Decoder] = field(default_factory=list)
    chain: tuple[Decoder, ...] = ()  # what else runs when this child was chosen: its namesakes, see `link_chains`
    skip: int = 0  # how many of the following siblings are passed over when its prematch fails

    def __post_init__(self) -> None:
        self.own_name = self.own_name or self.name
        self.key = self.key or self.name


class DecoderSet:
    """All decoders."""

    def __init__(self, decoders: Iterable[Decoder]) -> None:
        """`decoders`: the top ones, in file order, children and chains in place."""
        self.top = tuple(decoders)
        self.with_program = tuple(decoder for decoder in self.top if decoder.program_name is not None)
        self.without_program = tuple(decoder for decoder in self.top if decoder.program_name is None)

    def __len__(self) -> int:
        return sum(1 + len(decoder.children) for decoder in self.top)

    def keys(self) -> set[str]:
        """Every name that `<decoded_as>` may give."""
        names = {top.own_name for top in self.top} | {child.own_name for top in self.top for child in top.children}
        return names.union(BUILT_IN)


def link_chains(parent: Decoder) -> None:
    """Set `chain` and `skip` of a parent's children.

    A child with a later namesake is followed by its next sibling, whatever that is called, and so on: with another
    child in between, the chain ends there.
    """
    children = parent.children
    for index, child in enumerate(children):
        end = index
        while any(later.own_name == children[end].own_name for later in children[end + 1 :]):
            end += 1
        child.chain = tuple(children[index + 1 : end + 1])
        child.skip = end - index
