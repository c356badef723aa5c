"""Readers: one small class per log format; `prepare` chooses and configures it (spec/logcollector.md, sections 5 to 7).

A new format is one subclass of `Reader` (each line by itself) or `Holding` (lines joined), and one entry in `FORMATS`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from ossec.errors import ConfigError
from ossec.logcollector.readers.base import NEVER, Complaints, Reader, Target
from ossec.logcollector.readers.joined import FixedCount, Indented, JoinIndented, MsSql, Postgresql
from ossec.logcollector.readers.records import Auditd, Between, ById, EndPattern, ModSecurity, capture_id
from ossec.logcollector.readers.rewritten import (
    DjbMultilog,
    DockerJson,
    Mysql,
    NmapGrepable,
    OssecAlert,
    SnortFull,
    djb_program,
)
from ossec.logcollector.sources import PLAIN_FORMATS, Source
from ossec.regex import Matcher, PatternError, compile_pcre2, compile_regex, to_pcre2

__all__ = ["BadFormat", "BadLocation", "Complaints", "Factory", "Reader", "Target", "prepare"]

log = logging.getLogger("ossec.logcollector")

Factory = Callable[[Target], Reader]

MAX_COUNT = 10_000  # lines of one `multiline` record
MAX_PATIENCE = 3600  # passes
OLD_COUNT = re.compile(r"(multi-line|multiline)[ ]*:[ ]*([0-9]*)[ ]*\Z")


class BadFormat(ConfigError):
    """An attribute of `<log_format>` is missing or wrong; the message explains."""


class BadLocation(ConfigError):
    """The format asks more of the location than this one gives (1953)."""


class Attributes:
    """The attributes of one `<log_format>`, taken one by one; what is left at the end is ignored with a warning."""

    def __init__(self, source: Source) -> None:
        self.format = source.log_format
        self._left = dict(source.attributes)

    def text(self, name: str) -> str | None:
        return self._left.pop(name, None)

    def number(self, name: str, low: int, high: int) -> int | None:
        value = self._left.pop(name, None)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and low <= int(value[:10]) <= high):
            raise BadFormat(
                f"attribute {name} of log_format {self.format} wants a number {low}..{high}, got '{value}'."
            )
        return int(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self._left.pop(name, None)
        if value not in (None, "yes", "no"):
            raise BadFormat(f"attribute {name} of log_format {self.format} wants yes or no, got '{value}'.")
        return default if value is None else value == "yes"

    def one_timer(self) -> tuple[int, bool]:
        """`timeout` or `window`, exactly one: (passes, whether further lines renew it)."""
        timeout = self.number("timeout", 1, MAX_PATIENCE)
        window = self.number("window", 1, MAX_PATIENCE)
        if (timeout is None) == (window is None):
            raise BadFormat(f"log_format {self.format} needs exactly one of the attributes timeout and window.")
        return (timeout, True) if timeout is not None else (window or 0, False)

    def warn_of_rest(self) -> None:
        for name in self._left:
            log.warning("Ignoring attribute '%s' of log_format '%s'.", name, self.format)


def prepare(source: Source) -> Factory:
    """What makes the readers of a source's files.  BadFormat, also for a name that is no format of files.

    The factory raises BadLocation for a file that the format cannot follow.
    """
    attributes = Attributes(source)
    old_count = OLD_COUNT.match(source.log_format)
    if old_count is not None:
        factory = _old_multiline(int(old_count[2] or 0))
    else:
        try:
            factory = FORMATS[source.log_format](attributes)
        except KeyError:
            raise BadFormat(f"'{source.log_format}' is no log_format of files.") from None
    attributes.warn_of_rest()
    return factory


def is_file_format(name: str) -> bool:
    """Whether `prepare` knows the name."""
    return name in FORMATS or OLD_COUNT.match(name) is not None


def _old_multiline(count: int) -> Factory:
    if not 0 <= count <= MAX_COUNT:
        raise BadFormat(f"multi-line wants at most {MAX_COUNT} lines, got {count}.")
    return lambda target: FixedCount(target, max(1, count), keeps_return=True)


def _plain(attributes: Attributes) -> Factory:
    if not attributes.flag("join_indented", default=False):
        return Reader
    timeout = attributes.number("timeout", 1, MAX_PATIENCE)
    flags = attributes.text("flags") or ""
    text = attributes.text("continuation_regex")
    continuation = _compile(attributes, text, flags) if text else None
    return lambda target: JoinIndented(target, timeout or 1, continuation)


def _simple(kind: type[Reader]) -> Callable[[Attributes], Factory]:
    return lambda attributes: kind


def _multiline(attributes: Attributes) -> Factory:
    count = attributes.number("lines", 1, MAX_COUNT)
    if count is None:
        raise BadFormat(f"log_format {attributes.format} needs the attribute lines.")
    return lambda target: FixedCount(target, count, keeps_return=False)


def _djb(attributes: Attributes) -> Factory:
    def make(target: Target) -> Reader:
        program = djb_program(target.location)
        if program is None:
            raise BadLocation("not /DIR/PROGRAM/current")
        return DjbMultilog(target, program)

    return make


def _audit(attributes: Attributes) -> Factory:
    return lambda target: Auditd(target, 1, renewed=False)


def _linux_auditd(attributes: Attributes) -> Factory:
    patience, renewed = attributes.one_timer()
    return lambda target: Auditd(target, patience, renewed)


def _modsec(attributes: Attributes) -> Factory:
    interleave = attributes.flag("interleave", default=True)
    timeout = attributes.number("timeout", 0, MAX_PATIENCE)
    patience = 30 if timeout is None else (timeout or NEVER)
    return lambda target: ModSecurity(target, patience, interleave)


def _regex(attributes: Attributes) -> Factory:
    start_text = attributes.text("start_regex")
    if not start_text:
        raise BadFormat("log_format regex needs the attribute start_regex.")
    end_text = attributes.text("end_regex") or start_text
    flags = attributes.text("flags") or ""
    timeout = attributes.number("timeout", 0, MAX_PATIENCE)
    start = _compile(attributes, start_text, flags)
    if end_text == start_text:
        patience = 5 if timeout is None else (timeout or NEVER)
        return lambda target: Between(target, start, None, patience)
    references = [int(digit) for digit in re.findall(r"\\(?:\\|([1-9]))", end_text) if digit]
    if references and max(references) > start.groups:
        raise BadFormat(f"end_regex refers to group {max(references)}, start_regex has {start.groups}.")
    marked = re.sub(
        r"\\(\\|[1-9])", lambda found: found[0] if found[1] == "\\" else EndPattern.REFERENCE + found[1], end_text
    )
    try:
        end = EndPattern(_translate(attributes, marked, flags))
    except PatternError as error:
        raise BadFormat(f"end_regex of log_format regex: {error.message}") from None
    return lambda target: Between(target, start, end, timeout or NEVER)


def _regex_id(attributes: Attributes) -> Factory:
    text = attributes.text("id_regex")
    if not text:
        raise BadFormat("log_format regex_id needs the attribute id_regex.")
    identify = capture_id(_compile(attributes, text, attributes.text("flags") or ""))
    patience, renewed = attributes.one_timer()
    return lambda target: ById(target, identify, patience, renewed)


def _translate(attributes: Attributes, text: str, flags: str) -> str:
    """PCRE2 text for a pattern in the dialect that `flags` name: `c` minds case, `p` is PCRE2 already."""
    if not set(flags) <= set("cip"):
        raise BadFormat(f"flags of log_format {attributes.format} are letters of c, i and p, got '{flags}'.")
    if "p" not in flags:
        translated = to_pcre2("regex", text)
        if translated is None:
            raise PatternError(text.encode("utf-8", "surrogateescape"), 6, "unknown escape")
        text = translated
    return f"(?-i:{text})" if "c" in flags else text


def _compile(attributes: Attributes, text: str, flags: str) -> Matcher:
    try:
        if not set(flags) - {"i"}:
            return compile_regex(text)
        return compile_pcre2(_translate(attributes, text, flags))
    except PatternError as error:
        raise BadFormat(f"log_format {attributes.format}: {error.message}") from None


FORMATS: dict[str, Callable[[Attributes], Factory]] = {
    **dict.fromkeys(PLAIN_FORMATS, _plain),
    "json": _plain,
    "docker": _simple(DockerJson),
    "snort-full": _simple(SnortFull),
    "nmapg": _simple(NmapGrepable),
    "mysql_log": _simple(Mysql),
    "mssql_log": _simple(MsSql),
    "postgresql_log": _simple(Postgresql),
    "ossecalert": _simple(OssecAlert),
    "multi-line_indented": _simple(Indented),
    "djb-multilog": _djb,
    "multiline": _multiline,
    "audit": _audit,
    "linux_auditd": _linux_auditd,
    "modsec-audit": _modsec,
    "modsec_audit": _modsec,
    "regex": _regex,
    "regex_id": _regex_id,
}
