r"""Patterns: OS_Regex, OS_Match, PCRE2, word match, and many patterns in one pass.

In: pattern text of configuration, rules and decoders, and lines (bytes).  Out: matchers (`compile_regex`,
`compile_match`, `compile_pcre2`), the plain `word_match`, sets of
patterns searched in one pass (`PatternSet`), the translation to PCRE2 text (`to_pcre2`).  No line can
make a match take long: see `compiler` for how.
"""

from ossec.regex.bounded import given_up
from ossec.regex.compiler import MAX_PATTERN, compile_match, compile_pcre2, compile_regex
from ossec.regex.matcher import Match, Matcher, PatternError
from ossec.regex.patternset import PatternSet, fold_subject
from ossec.regex.translate import to_pcre2
from ossec.regex.words import word_match

__all__ = [
    "MAX_PATTERN",
    "Match",
    "Matcher",
    "PatternError",
    "PatternSet",
    "compile_match",
    "compile_pcre2",
    "compile_regex",
    "fold_subject",
    "given_up",
    "to_pcre2",
    "word_match",
]
