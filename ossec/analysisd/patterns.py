"""Compiled patterns, kept: a reload compiles only what changed, and equal patterns are one."""

from __future__ import annotations

from functools import lru_cache

from ossec import regex

MAX_KEPT = 32_768  # patterns, about 2 KB each; OSSEC's own rules and decoders have some 1,500

compile_regex = lru_cache(MAX_KEPT)(regex.compile_regex)
compile_match = lru_cache(MAX_KEPT)(regex.compile_match)
compile_pcre2 = lru_cache(MAX_KEPT)(regex.compile_pcre2)
