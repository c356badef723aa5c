"""Decoders from their files (spec/analysis.md, section 3.1).

The first mistake is told in OSSEC's words and in ours; the rest of the files is still read, so that all are found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from ossec.analysisd.decoders import (
    AFTER_PARENT,
    AFTER_PREMATCH,
    AFTER_REGEX,
    FIELDS,
    Decoder,
    DecoderSet,
    link_chains,
)
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.fts import FTS_FIELDS
from ossec.analysisd.patterns import compile_match, compile_pcre2, compile_regex, look_at
from ossec.analysisd.plugins import PLUGINS
from ossec.config.dialect import DialectError, Node, parse
from ossec.regex import Matcher, PatternError

NAME = "ossec-analysisd"  # what OSSEC's decoder code signs with, whatever the program
MAX_TEXT = 8192  # bytes of an element's text; OSSEC drops longer ones
MAX_FTS = 8  # fields of one first-time-seen tuple
DEFAULT_ORDER_SIZE = 256  # analysisd.decoder_order_size
ALIASED = "JSON_Decoder"  # the plugin whose <order> maps names to fields
TYPES = ("firewall", "ids", "web-log", "syslog", "squid", "windows", "host-information", "ossec")
OFFSETS = (AFTER_PARENT, AFTER_PREMATCH, AFTER_REGEX)
ELEMENTS = (
    "parent",
    "program_name",
    "program_name_pcre2",
    "prematch",
    "prematch_pcre2",
    "regex",
    "pcre2",
    "order",
    "type",
    "fts",
    "ftscomment",
    "use_own_name",
    "plugin_decoder",
    "accumulate",
)


@dataclass(frozen=True, slots=True)
class Source:
    """One file: where it is, and what OSSEC's messages call it."""

    path: Path
    shown: str


class _Refused(Exception):
    """What is wrong with one decoder, and OSSEC's lines for it (without the closing 1202)."""

    def __init__(self, message: str, line: int, *lines: str, closing: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.lines = lines
        self.closing = closing


def _error(code: int, text: str) -> str:
    return f"{NAME}({code}): ERROR: {text}"


@dataclass(slots=True)
class _Draft:
    """The texts of one decoder, before anything is compiled."""

    name: str
    line: int
    texts: dict[str, str] = field(default_factory=dict)
    offsets: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    aliases: list[tuple[str, str]] = field(default_factory=list)
    fts: set[str] = field(default_factory=set)
    type: str = "syslog"
    accumulate: bool = False

    def bad(self, message: str, line: int, *lines: str) -> _Refused:
        """Refused with the closing line that names the decoder."""
        return _Refused(message, line, *lines, _error(2107, f"Decoder configuration error: '{self.name}'."))


class DecoderLoader:
    """Reads decoder files one after the other; `finish` gives the set."""

    def __init__(self, report: Report, order_size: int = DEFAULT_ORDER_SIZE) -> None:
        self.report = report
        self.order_size = order_size
        self.tops: list[Decoder] = []
        self._broken: set[str] = set()  # names of refused decoders, whose children are not told as mistakes
        self._unread = False  # a file could not be read

    def read(self, source: Source) -> None:
        """Read one file; mistakes go to the report."""
        closing = f"{self.report.program}(1202): ERROR: Configuration error at '{source.shown}'. Exiting."
        try:
            roots = parse(source.path.read_bytes(), source.path, variables=True)
        except OSError as error:
            self._unread = True
            missing = DialectError(f"File '{source.shown}' not found.", source.shown)
            told = f"{NAME}(1226): {missing.upstream}"
            self.report.fail(f"cannot read it: {error.strerror}", source.path, 0, told, closing)
            return
        except DialectError as error:
            self._unread = True
            shown = DialectError(
                error.reason, source.shown, error.line, reader_line=error.reader_line, variables=error.variables
            )
            told = f"{NAME}({error.code}): {shown.upstream}"
            self.report.fail(error.reason, source.path, error.line, told, closing)
            return
        for node in roots:
            try:
                self._add(node, source)
            except _Refused as refused:
                self._broken.add(node.get("name") or "")
                lines = (*refused.lines, closing) if refused.closing else refused.lines
                self.report.fail(refused.message, source.path, refused.line, *lines)

    def known_names(self) -> set[str] | None:
        """What rules may name, refused decoders too; None when a file could not be read at all."""
        return None if self._unread else DecoderSet(self.tops).keys() | self._broken

    def finish(self) -> DecoderSet:
        """The set of all that was read; LoadError when something was refused."""
        decoders = DecoderSet(self.tops)
        for found in (decoders.with_program, decoders.without_program):
            if not found:
                self.report.say(_error(2106, "Error adding decoder plugin."))
        if self.report.failed:
            raise self.report.error()
        for top in self.tops:
            link_chains(top)
        return decoders

    def _add(self, node: Node, source: Source) -> None:
        if node.name.lower() != "decoder":
            raise _Refused(
                f"only <decoder> may stand here, not <{node.name}>",
                node.line,
                _error(1230, f"Invalid element in the configuration: '{node.name}'."),
            )
        if len(node.attributes) != 1 or node.attributes[0][0].lower() != "name":
            raise _Refused(
                "a decoder has exactly one attribute, name",
                node.line,
                _error(1230, "Invalid element in the configuration: 'decoder'."),
            )
        draft = _Draft(node.attributes[0][1], node.line)
        if not node.children:
            raise _Refused(
                f"decoder '{draft.name}' is empty",
                node.line,
                _error(1231, "Invalid NULL element in the configuration."),
            )
        for child in node.children:
            self._element(draft, child, source)
        self._check(draft)
        self._attach(self._compile(draft, source), draft)

    def _element(self, draft: _Draft, node: Node, source: Source) -> None:
        name = node.name if node.name.lower() == "type" else node.name.lower()
        if name not in ELEMENTS:
            near = get_close_matches(name, ELEMENTS, 1)
            hint = f", did you mean <{near[0]}>?" if near else ""
            raise _Refused(
                f"decoder '{draft.name}': unknown element <{node.name}>{hint}",
                node.line,
                f"{NAME}: Invalid element '{node.name}' for decoder 'decoder'",
            )
        text = node.text
        if len(text.encode("utf-8", "surrogateescape")) >= MAX_TEXT:
            told = f"decoder '{draft.name}': <{name}> holds {MAX_TEXT} bytes or more and is left out, as OSSEC does"
            self.report.warn(told, source.path, node.line)
            return
        draft.lines.setdefault(name, node.line)
        if name in ("prematch", "prematch_pcre2", "regex", "pcre2"):
            self._offset(draft, node, name)
            draft.texts[name] = draft.texts.get(name, "") + text
        elif name in ("program_name", "program_name_pcre2"):
            draft.texts[name] = draft.texts.get(name, "") + text
        elif name == "order":
            self._order(draft, node)
        elif name == "fts":
            self._fts(draft, node)
        elif name == "type":
            if text not in TYPES:
                raise _Refused(
                    f"decoder '{draft.name}': type '{text}' is none of {' '.join(TYPES)}",
                    node.line,
                    f"{NAME}: Invalid decoder type '{text}'.",
                )
            draft.type = text
        elif name == "plugin_decoder":
            if text not in PLUGINS:
                raise _Refused(
                    f"decoder '{draft.name}': plugin '{text}' is none of {' '.join(PLUGINS)}",
                    node.line,
                    _error(2110, f"Invalid decoder argument for plugin_decoder: '{text}'."),
                )
            draft.texts[name] = text
        elif name == "accumulate":
            draft.accumulate = True
        elif name in ("parent", "use_own_name"):
            draft.texts[name] = text
        elif name == "ftscomment":
            self.report.warn(f"decoder '{draft.name}': <ftscomment> has no effect", source.path, node.line)

    def _offset(self, draft: _Draft, node: Node, name: str) -> None:
        kind = "prematch" if name.startswith("prematch") else "regex"
        for attribute, value in node.attributes:
            if attribute.lower() != "offset":
                raise draft.bad(
                    f"decoder '{draft.name}': <{name}> has no attribute '{attribute}', only offset",
                    node.line,
                    _error(2121, f"Invalid decoder attribute: '{attribute}'"),
                )
            if value not in OFFSETS:
                raise draft.bad(
                    f"decoder '{draft.name}': offset '{value}' is none of {' '.join(OFFSETS)}",
                    node.line,
                    _error(2120, f"Invalid offset value: '{value}'"),
                )
            if kind in draft.offsets:
                raise draft.bad(
                    f"decoder '{draft.name}': the offset of its {kind} is given twice",
                    node.line,
                    _error(2109, f"Duplicated offsets for same regex: '{draft.name}'."),
                )
            draft.offsets[kind] = value

    def _order(self, draft: _Draft, node: Node) -> None:
        words = node.text.split(",")
        if len(words) > self.order_size:
            raise _Refused(
                f"decoder '{draft.name}': <order> has {len(words)} words, "
                f"analysisd.decoder_order_size allows {self.order_size}",
                node.line,
                f"{NAME}: ERROR: Order has too many fields.",
                closing=False,
            )
        for raw in words:
            alias, equals, name = raw.strip().partition("=")
            if equals and alias in FIELDS and name:
                draft.aliases.append((name, FIELDS[alias]))
                continue
            word = raw.removeprefix(" ")
            cut = word.find(" ", 1)
            if cut > 0:
                word = word[:cut]
            if not word.strip():
                raise _Refused(
                    f"decoder '{draft.name}': <order> has an empty word",
                    node.line,
                    f"decode-xml: Wrong field '{word}' in the order of decoder '{draft.name}'",
                    closing=False,
                )
            if word in FIELDS:
                draft.order.append(FIELDS[word])
            else:
                draft.order.append("filename" if "filename" in word else f"={word}")

    def _fts(self, draft: _Draft, node: Node) -> None:
        for count, word in enumerate(node.text.split(","), 1):
            found = next((name for name in FTS_FIELDS if name in word), None)
            if found is None or count > MAX_FTS:
                raise _Refused(
                    f"decoder '{draft.name}': <fts> '{word.strip()}' is none of {' '.join(FTS_FIELDS)}",
                    node.line,
                    f"decode-xml: Wrong field '{word}' in the fts decoder '{draft.name}'",
                    closing=False,
                )
            draft.fts.add(FTS_FIELDS[found])

    def _check(self, draft: _Draft) -> None:
        """What the elements of one decoder demand of each other."""
        texts, name, line = draft.texts, draft.name, draft.line
        has_regex = "regex" in texts or "pcre2" in texts
        has_prematch = "prematch" in texts or "prematch_pcre2" in texts
        child = "parent" in texts
        if not child and not has_prematch and "program_name" not in texts and "program_name_pcre2" not in texts:
            raise draft.bad(
                f"decoder '{name}' needs a <program_name> or a <prematch>",
                line,
                _error(2108, f"No 'prematch' found in decoder: '{name}'."),
            )
        if "plugin_decoder" in texts and has_regex:
            raise _Refused(
                f"decoder '{name}' has both <plugin_decoder> and <regex>",
                line,
                _error(2111, f"Additional data to plugin decoder: '{name}'."),
            )
        if draft.aliases and texts.get("plugin_decoder") != ALIASED:
            raise draft.bad(f"decoder '{name}': FIELD=NAME in <order> is for {ALIASED}", line)
        if has_regex != bool(draft.order):
            missing = "<order>" if has_regex else "<regex>"
            raise draft.bad(f"decoder '{name}' has no {missing}", line)
        if draft.fts and not has_regex and "plugin_decoder" not in texts:
            raise draft.bad(f"decoder '{name}': <fts> needs a <regex>", line)
        prematch, regex = draft.offsets.get("prematch"), draft.offsets.get("regex")
        if AFTER_PARENT in (prematch, regex) and not child:
            raise draft.bad(
                f"decoder '{name}' has no parent, so no offset after_parent",
                line,
                _error(2120, "Invalid offset value: 'after_parent'"),
            )
        if prematch in (AFTER_PREMATCH, AFTER_REGEX):
            raise draft.bad(f"decoder '{name}': a prematch knows only the offset after_parent", line)
        if regex == AFTER_PREMATCH and child and not has_prematch:
            raise draft.bad(
                f"decoder '{name}' has no prematch to start after",
                line,
                _error(2120, "Invalid offset value: 'after_prematch'"),
            )

    def _compile(self, draft: _Draft, source: Source) -> Decoder:
        texts = draft.texts

        def compiled(name: str, of_match: bool = False) -> Matcher | None:
            for element, compiler in (
                (name, compile_match if of_match else compile_regex),
                (pcre2[name], compile_pcre2),
            ):
                if element in texts:
                    try:
                        found = compiler(texts[element])
                    except PatternError as error:
                        raise _Refused(
                            f"decoder '{draft.name}': <{element}> cannot be used: {error.message}",
                            draft.lines[element],
                            _error(1450, f"Syntax error on regex: '{texts[element]}': {error.code}."),
                        ) from None
                    owner = f"decoder '{draft.name}'"
                    look_at(found, self.report, owner, element, source.path, draft.lines[element])
                    return found
            return None

        pcre2 = {"program_name": "program_name_pcre2", "prematch": "prematch_pcre2", "regex": "pcre2"}
        regex = compiled("regex")
        if regex is not None and not regex.groups:
            element = "regex" if "regex" in texts else "pcre2"
            if regex.fast_path:
                raise _Refused(
                    f"decoder '{draft.name}': <{element}> captures nothing: put what you want into ( )",
                    draft.lines[element],
                    _error(1451, f"Missing sub_strings on regex: '{texts[element]}'."),
                )
            self.report.warn(f"decoder '{draft.name}': <{element}> captures nothing", source.path, draft.lines[element])
        own = texts.get("use_own_name") == "true"
        if "use_own_name" in texts and not own:
            self.report.warn(
                f"decoder '{draft.name}': <use_own_name> does nothing unless it is 'true'", source.path, draft.line
            )
        return Decoder(
            draft.name,
            path=source.path,
            line=draft.line,
            type=draft.type,
            program_name=compiled("program_name", of_match=True),
            prematch=compiled("prematch"),
            prematch_offset=draft.offsets.get("prematch", ""),
            regex=regex,
            regex_offset=draft.offsets.get("regex", ""),
            order=tuple(draft.order),
            fts=frozenset(draft.fts),
            accumulate=draft.accumulate,
            aliases=tuple(draft.aliases),
            plugin=PLUGINS.get(texts.get("plugin_decoder", "")),
            use_own_name=own,
        )

    def _attach(self, decoder: Decoder, draft: _Draft) -> None:
        wrong = _error(2106, "Error adding decoder plugin.")
        parent_name = draft.texts.get("parent")
        if parent_name is None:
            if decoder.regex_offset == AFTER_REGEX:
                raise _Refused(f"decoder '{decoder.name}': nothing to start after_regex of", draft.line, wrong)
            self.tops.append(decoder)
            return
        parents = [top for top in self.tops if top.own_name == parent_name]
        if not parents:
            if parent_name in self._broken:
                return
            raise _Refused(
                f"decoder '{decoder.name}': there is no top decoder '{parent_name}' before it "
                "(a child cannot be a parent)",
                draft.lines["parent"],
                _error(2101, f"Parent decoder name invalid: '{parent_name}'."),
                wrong,
            )
        self._check_chain(decoder, parents[0], draft, wrong)
        for parent in parents:
            child = decoder if parent is parents[0] else _copy(decoder)
            child.parent = parent
            if not child.use_own_name:
                child.name, child.key = parent.name, parent.key
            parent.children.append(child)

    def _check_chain(self, decoder: Decoder, parent: Decoder, draft: _Draft, wrong: str) -> None:
        options = _error(2105, "Error loading decoder options.")
        namesakes = [child for child in parent.children if child.own_name == decoder.own_name]
        name, line = decoder.own_name, draft.line
        if not namesakes:
            if decoder.regex_offset == AFTER_REGEX:
                raise _Refused(
                    f"decoder '{name}' is the first of its name, so there is no regex to start after",
                    line,
                    _error(2120, f"Invalid offset value: '{name}'"),
                    options,
                    wrong,
                )
            return
        if decoder.prematch is not None:
            message, text = "only the first of a name may have a prematch", "Duplicated decoder with prematch"
            raise _Refused(f"decoder '{name}': {message}", line, _error(2102, f"{text}: '{name}'."), options, wrong)
        if decoder.fts:
            message, text = "only the first of a name may have fts", "Duplicated decoder with fts set"
            raise _Refused(f"decoder '{name}': {message}", line, _error(2103, f"{text}: '{name}'."), options, wrong)
        kinds = {None if child.regex is None else child.regex.kind == "pcre2" for child in (*namesakes, decoder)}
        if None in kinds or len(kinds) > 1:
            message, text = "decoders of one name all have a <regex>, or all a <pcre2>", "Invalid duplicated decoder"
            raise _Refused(f"decoder '{name}': {message}", line, _error(2104, f"{text}: '{name}'."), options, wrong)


def _copy(decoder: Decoder) -> Decoder:
    values = {name: getattr(decoder, name) for name in Decoder.__slots__}
    return Decoder(**{**values, "name": decoder.own_name, "key": "", "children": [], "chain": ()})


def load_decoders(sources: Iterable[Source], report: Report, order_size: int = DEFAULT_ORDER_SIZE) -> DecoderSet:
    """All decoders of some files, in order; LoadError, with every mistake in the report."""
    loader = DecoderLoader(report, order_size)
    for source in sources:
        loader.read(source)
    return loader.finish()
