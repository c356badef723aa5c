"""How an event finds its decoder and its fields (spec/analysis.md, section 3.2).

An event with a program name is held only against the top decoders that ask for one, any other event only against the
rest; the order of the files decides, and nothing is tried after the first that matches.  Which decoders accept a
program name is remembered for each name; of those, and of the children, only the ones are tried whose prematch the log
can match at all (`Choice`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ossec.analysisd.decoders import (
    AFTER_PARENT,
    AFTER_PREMATCH,
    AFTER_REGEX,
    LABELS,
    WHOLE,
    Captured,
    Decoder,
    DecoderSet,
)
from ossec.analysisd.scan import (
    HOLDS,
    LOWER,
    SEARCH,
    SEARCH_AFTER,
    TEST_AFTER,
    UNKNOWN,
    Candidate,
    Choice,
    Scanner,
    row,
)

if TYPE_CHECKING:
    from ossec.analysisd.event import Event

Store = Callable[["Event", tuple[bytes, ...]], None]

MAX_PROGRAMS = 4096  # program names remembered; whoever invents names only makes us forget and ask again
ASCII_END = 128
FROM_START, FROM_PREMATCH, FROM_REGEX, FROM_PARENT = range(4)
OFFSETS = {WHOLE: FROM_START, AFTER_PREMATCH: FROM_PREMATCH, AFTER_REGEX: FROM_REGEX, AFTER_PARENT: FROM_PARENT}


class _Top(Candidate):
    """A top decoder and its children, ready to run."""

    __slots__ = ("children", "decoder", "store")

    def __init__(self, decoder: Decoder, scanner: Scanner) -> None:
        # whether anything starts where the prematch ends
        offsets = {one.regex_offset for one in (decoder, *decoder.children)}
        offsets |= {one.prematch_offset for one in decoder.children}
        super().__init__(decoder.prematch, from_start=True, needs_end=bool(offsets - {WHOLE}))
        self.decoder = decoder
        self.store = compile_store(decoder.order)
        heads = []
        index = 0
        while index < len(decoder.children):
            heads.append(_Child(decoder.children[index]))
            index += 1 + decoder.children[index].skip
        self.children = Choice(row(child, scanner) for child in heads) if heads else None


class _Child(Candidate):
    """A child decoder, and what its chain runs."""

    __slots__ = ("decoder", "members")

    def __init__(self, decoder: Decoder) -> None:
        # search, where it starts, order, store
        self.members = tuple(
            (member.regex.search, OFFSETS[member.regex_offset], member.order, compile_store(member.order))
            for member in (decoder, *decoder.chain)
            if member.regex is not None
        )
        super().__init__(
            decoder.prematch,
            from_start=decoder.prematch_offset != AFTER_PARENT,
            needs_end=any(offset in (FROM_PREMATCH, FROM_REGEX) for _, offset, _, _ in self.members),
        )
        self.decoder = decoder


class Decoding:
    """All decoders, compiled."""

    def __init__(self, decoders: DecoderSet, scanner: Scanner) -> None:
        self._scanner = scanner
        self._with_program = [row(_Top(decoder, scanner), scanner) for decoder in decoders.with_program]
        self._without_program = Choice([row(_Top(decoder, scanner), scanner) for decoder in decoders.without_program])
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
        scanner = self._scanner
        if log is not scanner.log:
            scanner.scan(log)
        first = log[0] if log else UNKNOWN
        if first >= ASCII_END:
            first = UNKNOWN
        key = scanner.number, first, scanner.plain
        program = event.program_name
        choice = self._without_program if program is None else self._programs.get(program) or self._accepting(program)
        steps = choice.kept.get(key)
        if steps is None:
            steps = choice.select(scanner, first)
        end = 0
        for way, check, top in steps:  # noqa: B007 - it is used behind the loop
            if way == SEARCH:
                hit = check(log)
                if hit is not None:
                    end = hit[0]
                    break
            elif way == LOWER:
                if check(scanner.low):
                    break
            elif way == HOLDS or check(log):
                break
        else:
            return
        event.decoder = decoder = top.decoder
        event.type = decoder.type
        children = top.children
        if children is None:
            if decoder.plugin is not None:
                decoder.plugin(event)
            elif decoder.regex is not None:
                hit = decoder.regex.search(log, end if decoder.regex_offset == AFTER_PREMATCH else 0)
                if hit is not None and hit[1]:
                    top.store(event, hit[1])
                    if captured is not None:
                        note(captured, decoder.order, hit[1])
            return
        child_steps = children.kept.get(key)
        if child_steps is None:
            child_steps = children.select(scanner, first)
        for way, check, child in child_steps:
            if way == SEARCH_AFTER:
                hit = check(log, end)
                if hit is not None:
                    _extract(event, child, end, hit[0], captured)
                    return
            elif way == TEST_AFTER:
                if check(log, end):
                    _extract(event, child, end, 0, captured)
                    return
            elif way == SEARCH:
                hit = check(log)
                if hit is not None:
                    _extract(event, child, end, hit[0], captured)
                    return
            elif way == LOWER:
                if check(scanner.low):
                    _extract(event, child, end, 0, captured)
                    return
            elif way == HOLDS:
                # without a prematch; what `after_prematch` would mean then is refused at load
                _extract(event, child, end, end, captured)
                return
            elif check(log):
                _extract(event, child, end, 0, captured)
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
    for search, offset, order, store in child.members:
        if offset == FROM_START:
            hit = search(log)
        elif offset == FROM_PREMATCH:
            hit = search(log, after_prematch)
        elif offset == FROM_REGEX:
            hit = search(log, after_regex)
        else:
            hit = search(log, after_parent)
        if hit is not None:
            after_regex, groups = hit
            if groups:
                store(event, groups)
                if captured is not None:
                    note(captured, order, groups)


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
