"""Any bytes are a pattern or a PatternError; any line is searched without an exception."""

from __future__ import annotations

from contextlib import suppress

from ossec.regex import PatternError, PatternSet, compile_match, compile_pcre2, compile_regex, to_pcre2, word_match


def fuzz_patterns(data: bytes) -> None:
    """Everything up to the first NUL is the pattern, the rest the line."""
    pattern, _, line = data.partition(b"\0")
    word_match(pattern, line)
    text = pattern.decode("utf-8", "surrogateescape")
    to_pcre2("regex", text)
    to_pcre2("match", text)
    matchers = []
    for compile_one in (compile_regex, compile_match, compile_pcre2):
        with suppress(PatternError):
            matchers.append(compile_one(pattern))
    possible = PatternSet(matchers).candidates(line)
    for place, matcher in enumerate(matchers):
        found = matcher.search(line)
        assert matcher.test(line) == (found is not None)
        assert found is None or (found.end <= len(line) and place in possible)
        matcher.search(line, len(line) // 2)
