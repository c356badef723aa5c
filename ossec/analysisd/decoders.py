"""What a decoder is, once loaded, and how an event finds its decoder (spec/analysis.md, section 3).

`decoder_loader` makes decoders from XML; `plugins` holds the plugin decoders.

An event with a program name is held only against the decoders that ask for one, any other event only against the rest.
Which decoders accept a program name is remembered per name, for names repeat; the order of the files decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.regex import Matcher

MAX_PROGRAMS = 4096  # program names remembered; whoever invents names only makes us forget and ask again

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
    use_own_name: bool = False
    children: list[Decoder] = field(default_factory=list)
    chain: tuple[Decoder, ...] = ()  # what else runs when this child was chosen: its namesakes, see `link_chains`
    skip: int = 0  # how many of the following siblings are passed over when its prematch fails

    def __post_init__(self) -> None:
        self.own_name = self.own_name or self.name
        self.key = self.key or self.name


class DecoderSet:
    """All decoders, ready to decode."""

    def __init__(self, decoders: Iterable[Decoder]) -> None:
        """`decoders`: the top ones, in file order, children and chains in place."""
        self.top = tuple(decoders)
        self.with_program = tuple(decoder for decoder in self.top if decoder.program_name is not None)
        self.without_program = tuple(decoder for decoder in self.top if decoder.program_name is None)
        self._programs: dict[bytes, tuple[Decoder, ...]] = {}

    def __len__(self) -> int:
        return sum(1 + len(decoder.children) for decoder in self.top)

    def keys(self) -> set[str]:
        """Every name that `<decoded_as>` may give."""
        names = {top.own_name for top in self.top} | {child.own_name for top in self.top for child in top.children}
        return names.union(BUILT_IN)

    def candidates(self, program_name: bytes) -> tuple[Decoder, ...]:
        """The top decoders that accept a program name, in order."""
        found = self._programs.get(program_name)
        if found is None:
            found = tuple(
                d for d in self.with_program if d.program_name is not None and d.program_name.test(program_name)
            )
            if len(self._programs) >= MAX_PROGRAMS:
                self._programs.clear()
            self._programs[program_name] = found
        return found

    def decode(
        self, event: Event, captured: Captured | None = None, without_program: Iterable[Decoder] | None = None
    ) -> None:
        """Set decoder, type and fields of an event.

        `captured` is given what was captured, by ossec-logtest's labels, in order.  `without_program`: the decoders to
        try for an event without a program name, when the caller knows that the others cannot match.
        """
        log = event.log
        program = event.program_name
        if program is not None:
            tops: Iterable[Decoder] = self._programs.get(program) or self.candidates(program)
        else:
            tops = self.without_program if without_program is None else without_program
        after_parent = 0
        for top in tops:
            prematch = top.prematch
            if prematch is None:
                break
            found = prematch.search(log)
            if found is not None:
                after_parent = found[0]
                break
        else:
            return
        event.decoder = chosen = top
        event.type = top.type
        if top.children:
            children = top.children
            index = 0
            size = len(children)
            while index < size:
                child = children[index]
                prematch = child.prematch
                if prematch is None:
                    # what `after_prematch` would mean here is refused at load
                    _extract(event, child, after_parent, after_parent, captured)
                    return
                found = prematch.search(log, after_parent if child.prematch_offset == AFTER_PARENT else 0)
                if found is not None:
                    _extract(event, child, after_parent, found[0], captured)
                    return
                index += 1 + child.skip
            return
        if chosen.plugin is not None:
            chosen.plugin(event)
        elif chosen.regex is not None:
            hit = chosen.regex.search(log, after_parent if chosen.regex_offset == AFTER_PREMATCH else 0)
            if hit is not None and hit[1]:
                _store(event, chosen.order, hit[1], captured)


def _extract(event: Event, child: Decoder, after_parent: int, after_prematch: int, captured: Captured | None) -> None:
    """Run the chosen child: its plugin, or its regex and those of its chain."""
    event.decoder = child
    event.type = child.type
    if child.plugin is not None:
        child.plugin(event)
        return
    log = event.log
    after_regex = after_prematch
    member = child
    rest = iter(child.chain)
    while True:
        regex = member.regex
        if regex is not None:
            offset = member.regex_offset
            if offset == WHOLE:
                start = 0
            elif offset == AFTER_PREMATCH:
                start = after_prematch
            elif offset == AFTER_REGEX:
                start = after_regex
            else:
                start = after_parent
            found = regex.search(log, start)
            if found is not None:
                after_regex, groups = found
                if groups:
                    _store(event, member.order, groups, captured)
        following = next(rest, None)
        if following is None:
            return
        member = following


def _store(event: Event, order: tuple[str, ...], groups: tuple[bytes, ...], captured: Captured | None) -> None:
    for word, value in zip(order, groups, strict=False):
        if word[0] == "=":
            if event.fields is None:
                event.fields = {}
            event.fields[word[1:]] = value
        else:
            setattr(event, word, value)
        if captured is not None:
            captured.append((word[1:] if word[0] == "=" else LABELS.get(word, word), value))


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
