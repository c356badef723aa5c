"""How an event finds its decoder and its fields (spec/analysis.md, section 3.2).

An event with a program name is held only against the top decoders that ask for one, any other event only against the
rest; the order of the files decides, and nothing is tried after the first that matches.  Which decoders accept a
program name is remembered for each name; of those, and of the children, only the ones are tried whose prematch the log
can match at all (`Choice`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ossec.analysisd.decoders import AFTER_PARENT, AFTER_PREMATCH, AFTER_REGEX, LABELS, Captured, Decoder, DecoderSet
from ossec.analysisd.scan import UNKNOWN, Choice, Row, Scanner, row

if TYPE_CHECKING:
    from ossec.analysisd.event import Event

T = TypeVar("T")
Store = Callable[["Event", tuple[bytes, ...]], None]

MAX_PROGRAMS = 4096  # program names remembered; whoever invents names only makes us forget and ask again
ASCII_END = 128


class _Top:
    """A top decoder and its children, ready to run."""

    __slots__ = ("children", "decoder", "needs_end", "search", "store", "test", "test_lower")

    def __init__(self, decoder: Decoder, scanner: Scanner) -> None:
        self.decoder = decoder
        prematch = decoder.prematch
        self.search = None if prematch is None else prematch.search
        self.test = None if prematch is None else prematch.test
        self.test_lower = None if prematch is None else prematch.test_lower
        # whether anything starts where the prematch ends
        offsets = {one.regex_offset for one in (decoder, *decoder.children)}
        offsets |= {one.prematch_offset for one in decoder.children}
        self.needs_end = bool(offsets - {""})
        self.store = compile_store(decoder.order)
        heads = []
        index = 0
        while index < len(decoder.children):
            heads.append(_Child(decoder.children[index]))
            index += 1 + decoder.children[index].skip
        self.children = Choice(_row(child, child.decoder, scanner) for child in heads) if heads else None


class _Child:
    """A child decoder, and what its chain runs."""

    __slots__ = ("after_parent", "decoder", "members", "needs_end", "search", "test", "test_lower")

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        prematch = decoder.prematch
        self.search = None if prematch is None else prematch.search
        self.test = None if prematch is None else prematch.test
        self.test_lower = None if prematch is None else prematch.test_lower
        self.after_parent = decoder.prematch_offset == AFTER_PARENT
        self.members = tuple(
            (member.regex.search, member.regex_offset, compile_store(member.order))
            for member in (decoder, *decoder.chain)
            if member.regex is not None
        )
        # whether anything starts where the prematch ends
        self.needs_end = any(offset in (AFTER_PREMATCH, AFTER_REGEX) for _, offset, _ in self.members)


def _row(item: T, decoder: Decoder, scanner: Scanner) -> Row[T]:
    return row(item, decoder.prematch, decoder.prematch_offset != AFTER_PARENT, scanner)


class Decoding:
    """All decoders, compiled."""

    def __init__(self, decoders: DecoderSet, scanner: Scanner) -> None:
        self._scanner = scanner
        self._with_program = [_row(_Top(decoder, scanner), decoder, scanner) for decoder in decoders.with_program]
        self._without_program = Choice(
            [_row(_Top(decoder, scanner), decoder, scanner) for decoder in decoders.without_program]
        )
        self._programs: dict[bytes, Choice[_Top]] = {}
        self._choices: dict[tuple[int, ...], Choice[_Top]] = {}  # few: by the numbers of the decoders that accept

    def _accepting(self, program: bytes) -> Choice[_Top]:
        """The top decoders that accept a program name, in order."""
        numbers = tuple(
            number
            for number, one in enumerate(self._with_program)
            if one.item.decoder.program_name is not None and one.item.decoder.program_name.test(program)
        )
        if len(self._programs) >= MAX_PROGRAMS:
            self._programs.clear()
            self._choices.clear()
        found = self._choices.get(numbers)
        if found is None:
            found = self._choices[numbers] = Choice([self._with_program[number] for number in numbers])
        self._programs[program] = found
        return found

    def decode(self, event: Event, captured: Captured | None = None) -> None:
        """Set decoder, type and fields of an event.  `captured` is given what was cut out, by logtest's labels."""
        log = event.log
        found = self._scanner.scan(log)
        low = self._scanner.low
        plain = log.isascii()
        first = log[0] if log else UNKNOWN
        if first >= ASCII_END:
            first = UNKNOWN
        program = event.program_name
        choice = self._without_program if program is None else self._programs.get(program) or self._accepting(program)
        after_parent = 0
        for top in choice.select(found, first):
            if top.search is None:
                break
            if top.needs_end:
                hit = top.search(log)
                if hit is not None:
                    after_parent = hit[0]
                    break
            elif plain and top.test_lower is not None:
                if top.test_lower(low):
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
                    top.store(event, hit[1])
                    if captured is not None:
                        note(captured, decoder.order, hit[1])
            return
        for child in top.children.select(found, first):
            if child.search is None:
                # what `after_prematch` would mean here is refused at load
                _extract(event, child, after_parent, after_parent, captured)
                return
            start = after_parent if child.after_parent else 0
            if child.needs_end:
                hit = child.search(log, start)
                if hit is not None:
                    _extract(event, child, after_parent, hit[0], captured)
                    return
            elif plain and not start and child.test_lower is not None:
                if child.test_lower(low):
                    _extract(event, child, after_parent, 0, captured)
                    return
            elif child.test(log, start):  # type: ignore[misc]  # as above
                _extract(event, child, after_parent, 0, captured)
                return


def _extract(event: Event, child: _Child, after_parent: int, after_prematch: int, captured: Captured | None) -> None:
    """Run the chosen child: its plugin, or its regex and those of its chain."""
    event.decoder = decoder = child.decoder
    event.type = decoder.type
    if decoder.plugin is not None:
        decoder.plugin(event)
        return
    log = event.log
    after_regex = after_prematch
    for number, (search, offset, store) in enumerate(child.members):
        if not offset:
            start = 0
        elif offset == AFTER_PREMATCH:
            start = after_prematch
        elif offset == AFTER_REGEX:
            start = after_regex
        else:
            start = after_parent
        hit = search(log, start)
        if hit is not None:
            after_regex, groups = hit
            if groups:
                store(event, groups)
                if captured is not None:
                    note(captured, (decoder, *decoder.chain)[number].order, groups)


def compile_store(order: tuple[str, ...]) -> Store:
    """The function that puts captures where an <order> says: one assignment when there is one for each word."""

    def store(event: Event, groups: tuple[bytes, ...]) -> None:
        for word, value in zip(order, groups, strict=False):
            if word[0] == "=":
                if event.fields is None:
                    event.fields = {}
                event.fields[word[1:]] = value
            else:
                setattr(event, word, value)

    if not order or any(word[0] == "=" for word in order):
        return store
    size = len(order)
    names: dict[str, Any] = {"store": store}
    targets = "".join(f"event.{word}, " for word in order)
    exec(  # the words are attributes of Event, see decoders.FIELDS
        f"def quick(event, groups):\n"
        f"    if len(groups) == {size}:\n"
        f"        {targets}= groups\n"
        f"    else:\n"
        f"        store(event, groups)\n",
        names,
    )
    quick: Store = names["quick"]
    return quick


def note(captured: Captured, order: tuple[str, ...], groups: tuple[bytes, ...]) -> None:
    """Add captures as ossec-logtest shows them."""
    for word, value in zip(order, groups, strict=False):
        captured.append((word[1:] if word[0] == "=" else LABELS.get(word, word), value))
