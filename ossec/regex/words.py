"""The word match: a substring test without any engine.  spec/regex.md §8."""

from __future__ import annotations


def word_match(pattern: str | bytes, subject: bytes) -> bool:
    """Tell whether one of the `|`-separated texts of `pattern` is in `subject`, ASCII-caseless.

    A text that begins with `^` must be a prefix; nothing else is special.  An empty pattern matches nothing, an empty
    text everything.
    """
    raw = pattern if isinstance(pattern, bytes) else pattern.encode("utf-8", "surrogateescape")
    if not raw:
        return False
    lowered = subject.lower()
    for text in raw.lower().split(b"|"):
        if text.startswith(b"^") and lowered.startswith(text[1:]):
            return True
        if not text.startswith(b"^") and text in lowered and (subject or not text):
            return True
    return False
