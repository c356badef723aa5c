"""What changed inside a text, as `diff OLD NEW` prints it, and what of it fits into a message (spec/syscheck.md, 4).

The shortest way from one text to the other is looked for (Myers); beyond MAX_EDITS the middle that differs is told as
one change, so that no pair of files can hold us up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MAX_EDITS = 1000  # lines taken out and put in: the search takes its square in steps
MAX_DIFF = 4095  # bytes of a diff that OSSEC reads
CUT_FROM = 4000  # from this length on OSSEC takes a diff for cut
MAX_LINES = 20  # a diff of as many lines counts as cut too
CUT = b"\n... diff was truncated ..."
HIDDEN = b"<Diff truncated because nodiff option>"
NO_NEWLINE = b"\n\\ No newline at end of file\n"

Change = tuple[int, int, int, int]  # lines [a, b) of the old text became lines [c, d) of the new one


def diff(old: bytes, new: bytes) -> bytes:
    """`2c2\\n< two\\n---\\n> 2\\n`: the changes in the form of diff(1); b"" for equal texts."""
    before, after = _lines(old), _lines(new)
    return b"".join(_show(change, before, after) for change in changes(before, after))


def shorten(text: bytes) -> bytes:
    """What goes into a message."""
    kept = text[:MAX_DIFF]
    cut = len(text) > MAX_DIFF or len(kept) >= CUT_FROM
    if cut:
        kept = kept[: max(kept.rfind(b"\n"), 0)]
    lines = kept.split(b"\n")
    if len(lines) > MAX_LINES:
        kept, cut = b"\n".join(lines[:MAX_LINES]), True
    return kept + CUT if cut else kept


def is_text(content: bytes) -> bool:
    """Whether a diff would show anything: no control characters but those of texts."""
    return bool(content) and not content.translate(None, _TEXT)


_TEXT = bytes([7, 8, 9, 10, 12, 13, 27, *range(32, 127), *range(128, 256)])


def changes(before: Sequence[bytes], after: Sequence[bytes]) -> Iterator[Change]:
    """What differs, in order; never overlapping, never touching."""
    start, end_a, end_b = 0, len(before), len(after)
    while start < end_a and start < end_b and before[start] == after[start]:
        start += 1
    while end_a > start and end_b > start and before[end_a - 1] == after[end_b - 1]:
        end_a -= 1
        end_b -= 1
    kept = _kept(before[start:end_a], after[start:end_b])
    if kept is None:
        yield start, end_a, start, end_b
        return
    gone, come = [True] * len(before), [True] * len(after)
    for index in [*range(start), *range(end_a, len(before))]:
        gone[index] = False
    for index in [*range(start), *range(end_b, len(after))]:
        come[index] = False
    for a, b in kept:
        gone[start + a] = come[start + b] = False
    _slide(before, gone, come)
    _slide(after, come, gone)
    a = b = 0
    while a < len(before) or b < len(after):
        if not (a < len(before) and gone[a]) and not (b < len(after) and come[b]):
            a, b = a + 1, b + 1
            continue
        from_a, from_b = a, b
        while a < len(before) and gone[a]:
            a += 1
        while b < len(after) and come[b]:
            b += 1
        yield from_a, a, from_b, b


def _kept(before: Sequence[bytes], after: Sequence[bytes]) -> list[tuple[int, int]] | None:
    """Pairs of lines that stay, on a shortest way; None when it is longer than MAX_EDITS."""
    size_a, size_b = len(before), len(after)
    if not size_a or not size_b:
        return []
    furthest = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(min(size_a + size_b, MAX_EDITS) + 1):
        reached: dict[int, int] = {}
        for k in range(-edits, edits + 1, 2):
            if k < -size_b or k > size_a:
                continue
            down = k == -edits or (k != edits and furthest.get(k - 1, -1) < furthest.get(k + 1, -1))
            x = furthest.get(k + 1, 0) if down else furthest.get(k - 1, -1) + 1
            y = x - k
            while x < size_a and y < size_b and before[x] == after[y]:
                x, y = x + 1, y + 1
            reached[k] = x
            if x >= size_a and y >= size_b:
                trace.append(reached)
                return _walk_back(trace, size_a, size_b)
        trace.append(reached)
        furthest = reached
    return None


def _walk_back(trace: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    pairs = []
    for edits in range(len(trace) - 1, -1, -1):
        k = x - y
        if edits == 0:
            came_x = came_y = 0
        else:
            last = trace[edits - 1]
            down = k == -edits or (k != edits and last.get(k - 1, -1) < last.get(k + 1, -1))
            came_x = last[k + 1] if down else last[k - 1]
            came_y = came_x - (k + 1 if down else k - 1)
            if down:
                came_y += 1
            else:
                came_x += 1
        while x > came_x and y > came_y:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        if edits:
            x, y = (came_x, came_y - 1) if down else (came_x - 1, came_y)
    return pairs


def _slide(lines: Sequence[bytes], changed: list[bool], other: list[bool]) -> None:
    """Move each run of changed lines as far down as the same text allows, as diff(1) does; runs that meet are one."""
    index = at = 0  # `at`: where we are in the other text
    size = len(lines)
    while index < size:
        while at < len(other) and other[at]:
            at += 1
        if not changed[index]:
            index, at = index + 1, at + 1
            continue
        start = index
        while index < size and changed[index]:
            index += 1
        while index < size and lines[start] == lines[index]:
            changed[start], changed[index] = False, True
            start += 1
            index += 1
            at += 1
            while index < size and changed[index]:
                index += 1
            while at < len(other) and other[at]:
                at += 1


def _show(change: Change, before: Sequence[bytes], after: Sequence[bytes]) -> bytes:
    a, b, c, d = change
    if a == b:
        head = b"%da%b\n" % (a, _range(c, d))
    elif c == d:
        head = b"%bd%d\n" % (_range(a, b), c)
    else:
        head = b"%bc%b\n" % (_range(a, b), _range(c, d))
    out = b"".join(_line(b"< ", line) for line in before[a:b])
    if a != b and c != d:
        out += b"---\n"
    return head + out + b"".join(_line(b"> ", line) for line in after[c:d])


def _line(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + NO_NEWLINE


def _range(start: int, end: int) -> bytes:
    return b"%d" % end if end - start == 1 else b"%d,%d" % (start + 1, end)


def _lines(text: bytes) -> list[bytes]:
    """With their newlines; the last may lack it.  (splitlines would also end a line at \\r and others.)"""
    lines = text.split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]]
    return [*whole, lines[-1]] if lines[-1] else whole
