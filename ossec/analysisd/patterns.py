"""Compiled patterns, kept: a reload compiles only what changed, and equal patterns are one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ossec import regex
from ossec.analysisd.diagnostics import Report
from ossec.regex.lint import lint

MAX_KEPT = 32_768  # patterns, about 2 KB each; OSSEC's own rules and decoders have some 1,500

compile_regex = lru_cache(MAX_KEPT)(regex.compile_regex)
compile_match = lru_cache(MAX_KEPT)(regex.compile_match)
compile_pcre2 = lru_cache(MAX_KEPT)(regex.compile_pcre2)


def look_at(pattern: regex.Matcher, report: Report, owner: str, element: str, path: Path | str, line: int) -> None:
    """Warn of what probably does not mean what its author thinks."""
    for remark in lint(pattern.kind, pattern.pattern.decode("utf-8", "surrogateescape")):
        report.warn(f"{owner}: <{element}>, character {remark.column}: {remark.message}", path, line)
