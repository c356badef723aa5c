"""The bytes with which a subject must begin for an anchored pattern to match it: a quick way to leave patterns out."""

from __future__ import annotations

from ossec.regex import analysis, syntax
from ossec.regex.matcher import Matcher
from ossec.regex.translate import to_pcre2


def first_bytes(matcher: Matcher) -> int | None:
    """The first bytes that a match can have, as bits, both cases; None: it is not anchored, or nothing is known.

    A subject that begins with a byte outside ASCII may fold to others and is not covered.
    """
    if not matcher.pattern.isascii():  # a long s in a pattern also matches an s
        return None
    text = matcher.pattern.decode("ascii")
    pcre2 = text if matcher.kind == "pcre2" else to_pcre2(matcher.kind, text)
    if pcre2 is None:
        return None
    try:
        tree = syntax.parse_relaxed(pcre2.encode("utf-8", "surrogateescape"))
    except syntax.Unsupported:
        return None
    if not analysis.is_anchored(tree):
        return None
    mask = syntax.fold(analysis.first(tree, syntax.ALL))
    return None if mask == syntax.ALL else mask
