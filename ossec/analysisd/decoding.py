"""How an event finds its decoder and its fields (spec/analysis.md, section 3.2).

An event with a program name is held only against the top decoders that ask for one, any other event only against the
rest; the order of the files decides, and nothing is tried after the first that matches.  Which decoders accept a
program name is remembered for each name; of those, and of the children, only the ones are tried whose prematch the log
can match at all (`Choice`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ossec.analysisd.decoders import AFTER_PARENT, AFTER_PREMATCH, AFTER_REGEX, LABELS, Captured, Decoder, DecoderSet
from ossec.analysisd.scan import UNKNOWN, Choice, Scanner

if TYPE_CHECKING:
    from ossec.analysisd.event import Event
    from ossec.regex import Matcher

MAX_PROGRAMS = 4096  # program names remembered; whoever invents names only makes us forget and ask again
ASCII_END = 128


class _Top:
    """A top decoder and its children, ready to run."""

    __slots__ = ("children", "decoder", "needs_end", "search", "test")

    def __init__(self, decoder: Decoder, scanner: Scanner) -> None:
        self.decoder = decoder
        prematch = decoder.prematch
        self.search = None if prematch is None else prematch.search
        self.test = None if prematch is None else prematch.test
        # whether anything starts where the prematch ends
        offsets = {one.regex_offset for one in (decoder, *decoder.children)}
        offsets |= {one.prematch_offset for one in decoder.children}
        self.needs_end = bool(offsets - {""})
        heads = []
        index = 0
        while index < len(decoder.children):
            heads.append(decoder.children[index])
            index += 1 + decoder.children[index].skip
        self.children = Choice(heads, _prematch_of, scanner) if heads else None


def _prematch_of(decoder: Decoder) -> tuple[Matcher | None, bool]:
    """What a decoder asks of the log, and whether from its beginning on."""
    return decoder.prematch, decoder.prematch_offset != AFTER_PARENT


class Decoding:
    """All decoders, compiled."""

    def __init__(self, decoders: DecoderSet, scanner: Scanner) -> None:
        self._scanner = scanner
        self._with_program = [_Top(decoder, scanner) for decoder in decoders.with_program]
        rest = [_Top(decoder, scanner) for decoder in decoders.without_program]
        self._without_program: Choice[_Top] = Choice(rest, lambda top: _prematch_of(top.decoder), scanner)
        self._programs: dict[bytes, tuple[_Top, ...]] = {}

    def _accepting(self, program: bytes) -> tuple[_Top, ...]:
        """The top decoders that accept a program name, in order."""
        found = tuple(
            top
            for top in self._with_program
            if top.decoder.program_name is not None and top.decoder.program_name.test(program)
        )
        if len(self._programs) >= MAX_PROGRAMS:
            self._programs.clear()
        self._programs[program] = found
        return found

    def decode(self, event: Event, captured: Captured | None = None) -> None:
        """Set decoder, type and fields of an event.  `captured` is given what was cut out, by logtest's labels."""
        log = event.log
        found = self._scanner.scan(log)
        first = log[0] if log else UNKNOWN
        if first >= ASCII_END:
            first = UNKNOWN
        program = event.program_name
        if program is None:
            tops = self._without_program.select(found, first)
        else:
            known = self._programs.get(program)
            tops = self._accepting(program) if known is None else known
        after_parent = 0
        for top in tops:
            if top.search is None:
                break
            if top.needs_end:
                hit = top.search(log)
                if hit is not None:
                    after_parent = hit[0]
                    break
            elif top.test(log):  # type: ignore[misc]  # search and test are None together
                break
        else:
            return
        decoder = top.decoder
        event.decoder = decoder
        event.type = decoder.type
        if top.children is None:
            if decoder.plugin is not None:
                decoder.plugin(event)
            elif decoder.regex is not None:
                hit = decoder.regex.search(log, after_parent if decoder.regex_offset == AFTER_PREMATCH else 0)
                if hit is not None and hit[1]:
                    _store(event, decoder.order, hit[1], captured)
            return
        for child in top.children.select(found, first):
            prematch = child.prematch
            if prematch is None:
                # what `after_prematch` would mean here is refused at load
                _extract(event, child, after_parent, after_parent, captured)
                return
            if child.regex_offset != AFTER_PREMATCH and not child.chain:
                if prematch.test(log, after_parent if child.prematch_offset == AFTER_PARENT else 0):
                    _extract(event, child, after_parent, 0, captured)
                    return
                continue
            hit = prematch.search(log, after_parent if child.prematch_offset == AFTER_PARENT else 0)
            if hit is not None:
                _extract(event, child, after_parent, hit[0], captured)
                return


def _extract(event: Event, child: Decoder, after_parent: int, after_prematch: int, captured: Captured | None) -> None:
    """Run the chosen child: its plugin, or its regex and those of its chain."""
    event.decoder = child
    event.type = child.type
    if child.plugin is not None:
        child.plugin(event)
        return
    log = event.log
    after_regex = after_prematch
    for member in (child, *child.chain) if child.chain else (child,):
        regex = member.regex
        if regex is None:
            continue
        offset = member.regex_offset
        if not offset:
            start = 0
        elif offset == AFTER_PREMATCH:
            start = after_prematch
        elif offset == AFTER_REGEX:
            start = after_regex
        else:
            start = after_parent
        hit = regex.search(log, start)
        if hit is not None:
            after_regex, groups = hit
            if groups:
                _store(event, member.order, groups, captured)


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
