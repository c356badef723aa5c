"""Rules from their files (spec/analysis.md, sections 4 and 5).

The first mistake is told in OSSEC's words and in ours; the rest of the files is still read, so that all are found.
Rules are put into the tree one by one, in the order of the files, for a rule may only name what was loaded before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial

from ossec.analysisd.decoder_loader import Source
from ossec.analysisd.diagnostics import Report
from ossec.analysisd.fts import IGNORE_FIELDS
from ossec.analysisd.patterns import compile_match, compile_pcre2, compile_regex, look_at
from ossec.analysisd.rules import CATEGORIES, COMPILED, LIST_FIELDS, LOOKUPS, OPTIONS, SAME, ListTest, Rule
from ossec.analysisd.traps import look_for_traps
from ossec.analysisd.tree import LEVEL_ZERO, NotFound, RuleSet
from ossec.config.addresses import AddressList, BadAddress
from ossec.config.dialect import DialectError, Node, parse
from ossec.config.times import BadTime, TimeRange, parse_days, parse_range
from ossec.regex import Matcher, PatternError

NAME = "ossec-analysisd"  # what OSSEC's rule code signs with, whatever the program
MAX_TEXT = 2048  # bytes of a text; OSSEC drops a longer one, and with it the test
INVERTED = "address_match_key_value"
MAX_LEVEL = 16  # documented; higher ones load

ID_DIGITS, LEVEL_DIGITS = 6, 4
MATCH_FIELDS = ("program_name", "hostname", "id", "url", "user", "status", "extra_data", "srcport", "dstport",
                "srcgeoip", "dstgeoip")  # fmt: skip
COMPILERS: dict[str, Callable[[str], Matcher]] = {
    "regex": compile_regex,
    "match": compile_match,
    "pcre2": compile_pcre2,
    "match_pcre2": compile_pcre2,
    **dict.fromkeys(MATCH_FIELDS, compile_match),
    **dict.fromkeys((f"{name}_pcre2" for name in MATCH_FIELDS), compile_pcre2),
}
NOT_SAME = {
    "not_same_source_ip": "same_source_ip",
    "not_same_user": "same_user",
    "not_same_id": "same_id",
    "not_same_agent": "same_location",
}
JOINED = ("description", "group", "action", "if_group", "if_matched_group", "if_matched_regex", "cve", "category",
          "decoded_as", "time", "weekday", "compiled_rule")  # fmt: skip
ELEMENTS = (
    *COMPILERS, *SAME, *NOT_SAME, *JOINED, "srcip", "dstip", "field", "list", "if_sid", "if_level", "if_matched_sid",
    "if_fts", "different_url", "different_srcgeoip", "different_srcip", "check_diff", "ignore", "check_if_ignored",
    "info", "options",
)  # fmt: skip
ATTRIBUTES = ("id", "level", "maxsize", "timeframe", "frequency", "accuracy", "noalert", "ignore", "overwrite")
# what overwrite="yes" leaves as it was (spec section 5.3)
KEPT_PATTERNS = tuple(name for name in COMPILERS if name.endswith("pcre2"))
REPLACED = (
    "level", "maxsize", "frequency", "timeframe", "ignore_time", "group", "time", "weekday", "srcip", "dstip", "action",
    "description", "info", "cve", "if_matched_sid", "if_matched_group", "if_matched_regex", "options", "log", "mail",
    "no_ar", "same", "different_url", "different_srcgeoip", "decoded_as", "compiled_rule",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What ossec.conf and internal_options.conf say about rules."""

    default_timeframe: int = 360  # analysisd.default_timeframe
    log_alert_level: int = 1
    email_alert_level: int = 7
    lists: frozenset[str] = frozenset()  # declared in <rules>
    sid_prev_matched_max: int = 128  # analysisd.sid_prev_matched_max
    compat: bool = False  # analysisd.ossec_compat: times as OSSEC reads them


class _Refused(Exception):
    """What is wrong with one rule, and OSSEC's lines for it (without the closing 1220)."""

    def __init__(self, message: str, line: int, *lines: str, closing: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.lines = lines
        self.closing = closing


@dataclass(slots=True)
class _Draft:
    """One rule while its elements are read."""

    rule: Rule
    overwrite: bool = False
    texts: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, list[str]] = field(default_factory=dict)
    same: list[str] = field(default_factory=list)
    if_sid: list[str] = field(default_factory=list)
    frequency_given: bool = False
    accuracy: int = 100
    skipped: bool = False  # <if_level>0</if_level>: OSSEC leaves the rule out
    patterns: list[tuple[str, Matcher, int]] = field(default_factory=list)  # element, pattern, line


def _error(code: int, text: str) -> str:
    return f"{NAME}({code}): ERROR: {text}"


def _bad_value(name: str, text: str) -> str:
    return _error(1274, f"Invalid configuration. Element '{name}': {text}.")


def _near(name: str, known: Iterable[str]) -> str:
    found = get_close_matches(name, list(known), 1)
    return f", did you mean {found[0]}?" if found else ""


class RuleLoader:
    """Reads rule files one after the other into a `RuleSet`."""

    def __init__(
        self, report: Report, decoder_keys: Collection[str] | None, options: LoadOptions | None = None
    ) -> None:
        """`decoder_keys`: what <decoded_as> may name; None: not known, so that nothing is said about it."""
        self.report = report
        self.decoder_keys = decoder_keys
        self.options = options or LoadOptions()
        self.rules = RuleSet()
        self._broken: set[int] = set()  # ids of refused rules, whose children are not told as mistakes

    def read(self, source: Source) -> None:
        """Read one file; mistakes go to the report.  `source.shown` is its name as ossec.conf gives it."""
        closing = f"{self.report.program}(1220): ERROR: Error loading the rules: '{source.shown}'."
        inner = f"rules//{source.shown}" if "/" not in source.shown else source.shown
        try:
            roots = parse(source.path.read_bytes(), source.path, variables=True)
        except OSError as error:
            reason = DialectError(f"File '{inner}' not found.", inner)
            self.report.fail(
                f"cannot read it: {error.strerror}", source.path, 0, f"{NAME}(1226): {reason.upstream}", closing
            )
            return
        except DialectError as error:
            told = DialectError(
                error.reason, inner, error.line, reader_line=error.reader_line, variables=error.variables
            )
            self.report.fail(error.reason, source.path, error.line, f"{NAME}({error.code}): {told.upstream}", closing)
            return
        if not roots:
            line = _error(1202, f"Configuration error at '{inner}'. Exiting.")
            self.report.fail("there is no rule in it", source.path, 0, line, closing)
        for group in roots:
            try:
                self._check_group(group)
            except _Refused as refused:
                self.report.fail(refused.message, source.path, refused.line, *refused.lines, closing)
                continue
            for index, node in enumerate(group.children):
                try:
                    self._add(node, group, index, source)
                except _Refused as refused:
                    lines = (*refused.lines, closing) if refused.closing else refused.lines
                    self.report.fail(refused.message, source.path, refused.line, *lines)

    def finish(self) -> RuleSet:
        """The rules of all files; LoadError when something was refused."""
        if self.report.failed:
            raise self.report.error()
        look_for_traps(self.rules, self.report)
        return self.rules

    @staticmethod
    def _check_group(group: Node) -> None:
        if group.name.lower() != "group":
            text = f'rules_op: Invalid root element "{group.name}".Only "group" is allowed'
            raise _Refused(f"only <group> may stand here, not <{group.name}>", group.line, text)
        if len(group.attributes) != 1 or group.attributes[0][0].lower() != "name":
            text = "rules_op: Invalid root element 'group'.Only the group name is allowed"
            raise _Refused("a group has exactly one attribute, name", group.line, text)
        if not group.children:
            raise _Refused(
                f"the group '{group.attributes[0][1]}' has no rule",
                group.line,
                f"{NAME}: Group 'group' without any rule.",
            )

    def _add(self, node: Node, group: Node, index: int, source: Source) -> None:
        if node.name.lower() != "rule":
            text = f"{NAME}: Invalid configuration. '{node.name}' is not a valid element."
            raise _Refused(f"only <rule> may stand in a group, not <{node.name}>", node.line, text)
        draft = self._attributes(node, index, source)
        rule = draft.rule
        rule.group = group.attributes[0][1]
        try:
            if not node.children:
                raise _Refused(
                    f"rule {rule.id} tests nothing",
                    node.line,
                    f"{NAME}: Rule '{rule.id}' without any option. It may lead to false positives and some other "
                    "problems for the system. Exiting.",
                )
            for child in node.children:
                self._element(draft, child)
            self._finish_draft(draft)
            for name, pattern, line in draft.patterns:
                look_at(pattern, self.report, f"rule {rule.id}", name, rule.path, line)
            if not draft.skipped:
                self._attach(draft)
        except _Refused:
            self._broken.add(rule.id)
            raise

    def _attributes(self, node: Node, index: int, source: Source) -> _Draft:
        invalid = f"{NAME}: Invalid attribute for rule."
        values: dict[str, int] = {}
        overwrite = noalert = False

        def refuse(message: str, told: str) -> _Refused:
            return _Refused(message, node.line, f"rules_op: {told}", invalid)

        for key, value in node.attributes:
            name = key.lower()
            if name not in ATTRIBUTES:
                raise refuse(
                    f"a rule has no attribute '{key}'{_near(name, ATTRIBUTES)}",
                    f'Invalid attribute "{key}". Only id, level, maxsize, accuracy, noalert and timeframe are allowed.',
                )
            if name == "noalert":
                noalert = True
            elif name == "overwrite":
                if value not in ("yes", "no"):
                    raise refuse(
                        "overwrite is 'yes' or 'no'", f"Invalid overwrite: {value}. Can only by 'yes' or 'no'."
                    )
                overwrite = value == "yes"
            else:
                if not value.isascii() or not value.isdigit():
                    what = "rule id" if name == "id" else name
                    raise refuse(f"{what} wants a number, got '{value}'", f"Invalid {what}: {value}. Must be integer")
                values[name] = int(value)
                if name == "id" and len(value) > ID_DIGITS:
                    values[name] = int(value[:ID_DIGITS])
                    self.report.warn(f"only {ID_DIGITS} digits of the id {value} count", source.path, node.line)
                if name == "level" and len(value) > LEVEL_DIGITS:
                    values[name] = int(value[:LEVEL_DIGITS])
        if "id" not in values or "level" not in values:
            text = f"{NAME}: No rule id or level specified for rule '{index}'."
            raise _Refused("a rule needs an id and a level", node.line, text)
        rule = Rule(
            values["id"],
            values["level"],
            path=source.path,
            line=node.line,
            noalert=noalert,
            maxsize=values.get("maxsize", 0),
            frequency=values.get("frequency", 0),
            timeframe=values.get("timeframe", self.options.default_timeframe),
            ignore_time=values.get("ignore", 0),
        )
        if rule.level > MAX_LEVEL:
            self.report.warn(f"rule {rule.id}: levels go up to {MAX_LEVEL}, not {rule.level}", source.path, node.line)
        return _Draft(rule, overwrite, frequency_given=bool(rule.frequency), accuracy=values.get("accuracy", 100))

    def _element(self, draft: _Draft, node: Node) -> None:
        name, rule, text = node.name.lower(), draft.rule, node.text
        draft.lines.setdefault(name, node.line)
        if name in COMPILERS or name in JOINED:
            draft.texts[name] = draft.texts.get(name, "") + text
        elif name in SAME:
            draft.same.append(name)
        elif name in NOT_SAME:
            if NOT_SAME[name] in draft.same:
                draft.same.remove(NOT_SAME[name])
            else:
                self._warn(draft, node, f"<{name}> only cancels an earlier <{NOT_SAME[name]}> of the same rule")
        elif name in ("srcip", "dstip"):
            draft.addresses.setdefault(name, []).append(text)
        elif name in ("if_fts", "check_diff", "different_url", "different_srcgeoip"):
            setattr(rule, name, True)
        elif name == "different_srcip":
            self._warn(draft, node, "<different_srcip> has no effect")
        elif name == "if_sid":
            draft.if_sid.append(text)
        elif name == "if_matched_sid":
            rule.if_matched_sid = self._number(draft, node)
        elif name == "if_level":
            rule.if_level = self._number(draft, node)
            if rule.if_level == 0:
                self.report.say(f"{NAME}: Invalid level (atoi)")
                self._warn(draft, node, "<if_level> 0 makes OSSEC leave the rule out, and so it is here")
                draft.skipped = True
        elif name == "field":
            self._field(draft, node)
        elif name == "list":
            self._list(draft, node)
        elif name == "info":
            self._info(draft, node)
        elif name == "options":
            if text not in OPTIONS:
                raise _Refused(
                    f"rule {rule.id}: <options> takes one of {' '.join(OPTIONS)} per element, not '{text}'",
                    node.line,
                    _error(1235, f"Invalid value for element 'options': {text}."),
                    f"{NAME}: Invalid option 'options' for rule '{rule.id}'.",
                )
            rule.options |= {text}
        elif name in ("ignore", "check_if_ignored"):
            self._ignore(draft, node, name)
        else:
            raise _Refused(
                f"rule {rule.id}: unknown element <{node.name}>{_near(name, ELEMENTS)}",
                node.line,
                f"{NAME}: Invalid option '{node.name}' for rule '{rule.id}'.",
            )

    def _warn(self, draft: _Draft, node: Node, message: str) -> None:
        self.report.warn(f"rule {draft.rule.id}: {message}", draft.rule.path, node.line)

    @staticmethod
    def _number(draft: _Draft, node: Node) -> int:
        text = node.text
        if not text.isascii() or not text.isdigit():
            name = node.name.lower()
            raise _Refused(
                f"rule {draft.rule.id}: <{name}> wants a number, got '{text}'", node.line, _bad_value(name, text)
            )
        return int(text)

    @staticmethod
    def _field(draft: _Draft, node: Node) -> None:
        given = dict(node.attributes)
        bad = next((key for key in given if key.lower() != "name"), "")
        if bad or not given:
            raise _Refused(
                f"rule {draft.rule.id}: <field> has exactly one attribute, name",
                node.line,
                f"{NAME}: Bad attribute '{bad}' for field.",
            )
        matcher = _compiled(draft, "field", node.text, compile_regex, node.line)
        draft.rule.fields.append((node.attributes[0][1].lower(), matcher))

    def _list(self, draft: _Draft, node: Node) -> None:
        wrong = _bad_value("list", node.text)
        given = {key.lower(): value for key, value in node.attributes}
        rule = draft.rule
        if "field" not in given:
            told = (
                'List requires the field="" Attrubute'
                if given
                else "List must have a correctly formatted field attribute"
            )
            raise _Refused(f"rule {rule.id}: <list> needs the attribute field", node.line, f"{NAME}:{told}", wrong)
        for key, known in (("field", LIST_FIELDS), ("lookup", LOOKUPS)):
            if key in given and given[key] not in known:
                raise _Refused(
                    f"rule {rule.id}: the {key} of <list> is none of {' '.join(known)}",
                    node.line,
                    wrong,
                    f'{NAME}: List match {key}="{given[key]}" is not valid.',
                )
        value = None
        if "check_value" in given:
            value = _compiled(draft, "check_value", given["check_value"], compile_match, node.line)
        name = node.text.removesuffix(".cdb")
        if name not in self.options.lists:
            self._warn(draft, node, f"the list '{node.text}' is not declared in <rules>, so it never matches")
        lookup, fixed = given.get("lookup", "match_key"), given.get("fixed") == "yes"
        if lookup == INVERTED and not fixed:
            self._warn(draft, node, f'{lookup} holds where the value does not match, as in OSSEC; fixed="yes" turns it')
        rule.lists.append(ListTest(name, given["field"], lookup, value, fixed))

    @staticmethod
    def _info(draft: _Draft, node: Node) -> None:
        kind = "text"
        for key, value in node.attributes:
            if key.lower() != "type" or value not in ("text", "link", "cve", "osvdb"):
                raise _Refused(
                    f"rule {draft.rule.id}: <info> has only the attribute type: text, link, cve or osvdb",
                    node.line,
                    f"{NAME}: Invalid option 'info' for rule '{draft.rule.id}'.",
                )
            kind = value
        draft.rule.info.append((kind, node.text))

    @staticmethod
    def _ignore(draft: _Draft, node: Node, name: str) -> None:
        fields = {word for word in IGNORE_FIELDS if word in node.text}
        if not fields:
            raise _Refused(
                f"rule {draft.rule.id}: <{name}> knows only {' '.join(IGNORE_FIELDS)}",
                node.line,
                f"{NAME}: Wrong {name} option: '{node.text}'",
            )
        setattr(draft.rule, name, getattr(draft.rule, name) | fields)

    def _time(self, draft: _Draft, text: str) -> TimeRange:
        """As it is meant: OSSEC takes 12 am for noon, and passes over the `!` before a range over midnight."""
        theirs, ours = parse_range(text), parse_range(text, as_meant=True)
        if theirs == ours or self.options.compat:
            return theirs
        told = f"rule {draft.rule.id}: <time> '{text}' is read as {ours.describe()}, by OSSEC as {theirs.describe()}"
        self.report.warn(told, draft.rule.path, draft.lines["time"])
        return ours

    def _finish_draft(self, draft: _Draft) -> None:
        rule, texts, lines = draft.rule, draft.texts, draft.lines
        for name in ("srcip", "dstip"):
            if name in draft.addresses:
                try:
                    setattr(rule, name, AddressList(draft.addresses[name]))
                except BadAddress as error:
                    raise _Refused(
                        f"rule {rule.id}: <{name}> wants an address or network, got '{error.text}'",
                        lines[name],
                        _error(1237, f"Invalid ip address: '{error.text}'."),
                    ) from None
        for name, parser in (("time", partial(self._time, draft)), ("weekday", parse_days)):
            if name in texts:
                try:
                    setattr(rule, name, parser(texts[name]))
                except BadTime as error:
                    raise _Refused(
                        f"rule {rule.id}: <{name}>: {error.message}",
                        lines[name],
                        f"{self.report.program}({error.code}): ERROR: {error.message}",
                        _bad_value(name, texts[name]),
                    ) from None
        if "category" in texts:
            if texts["category"] not in CATEGORIES:
                raise _Refused(
                    f"rule {rule.id}: category '{texts['category']}' is none of {' '.join(CATEGORIES)}",
                    lines["category"],
                    _error(1273, f"Invalid category '{texts['category']}' chosen."),
                )
            rule.category = texts["category"]
        compiled_rule = texts.get("compiled_rule")
        if compiled_rule is not None and compiled_rule not in COMPILED:
            raise _Refused(
                f"rule {rule.id}: there is no compiled rule '{compiled_rule}'{_near(compiled_rule, COMPILED)}",
                lines["compiled_rule"],
                f"{NAME}: ERROR: Compiled rule not found: '{compiled_rule}'",
                _bad_value("compiled_rule", compiled_rule),
            )
        rule.compiled_rule = compiled_rule
        rule.action = texts.get("action")
        rule.cve = texts.get("cve")
        rule.group += texts.get("group", "")
        if "\n" in rule.group:
            self.report.warn(f"rule {rule.id}: its group has a line break", rule.path, lines.get("group", rule.line))
        if "description" in texts:
            rule.description = texts["description"].replace("\n", " ", 1)
        rule.same = tuple(SAME[name] for name in dict.fromkeys(draft.same))
        rule.check_if_ignored -= {"data"} - rule.ignore  # OSSEC asks the other element for this one
        for name, compiler in COMPILERS.items():
            if name not in texts:
                continue
            if len(texts[name].encode("utf-8", "surrogateescape")) >= MAX_TEXT:
                self.report.warn(
                    f"rule {rule.id}: <{name}> holds {MAX_TEXT} bytes or more and is left out, as OSSEC does: "
                    "the rule matches more than it says",
                    rule.path,
                    lines[name],
                )
                continue
            rule.patterns[name] = _compiled(draft, name, texts[name], compiler, lines[name])
        if "if_matched_group" in texts:
            name = "if_matched_group"
            rule.if_matched_group = _compiled(draft, name, texts[name], compile_match, lines[name])
        if "if_matched_regex" in texts:
            name = "if_matched_regex"
            rule.if_matched_regex = _compiled(draft, name, texts[name], compile_regex, lines[name])
        self._decide(draft)
        if not rule.composite and (draft.frequency_given or rule.same or rule.different_url or rule.different_srcgeoip):
            raise _Refused(
                f"rule {rule.id} counts events (frequency, same_...) without an <if_matched_...>",
                rule.line,
                f"{NAME}: Invalid use of frequency/context options. Missing if_matched on rule '{rule.id}'.",
            )
        if rule.composite and rule.if_matched_sid is not None and rule.frequency >= self.options.sid_prev_matched_max:
            self.report.warn(
                f"rule {rule.id}: no more than {self.options.sid_prev_matched_max} events are kept "
                "(analysisd.sid_prev_matched_max), its frequency is never reached",
                rule.path,
                rule.line,
            )
        if "decoded_as" in texts:
            rule.decoded_as = texts["decoded_as"]
            if self.decoder_keys is not None and rule.decoded_as not in self.decoder_keys:
                near = _near(rule.decoded_as, self.decoder_keys)
                raise _Refused(
                    f"rule {rule.id}: there is no decoder '{rule.decoded_as}'{near}",
                    lines["decoded_as"],
                    f"{NAME}: Invalid decoder name: '{rule.decoded_as}'.",
                )
        rule.if_group = texts.get("if_group")
        rule.if_sid = self._sids(draft)

    def _decide(self, draft: _Draft) -> None:
        """What an alert of the rule leads to, from its level and options."""
        rule, options = draft.rule, self.options
        if rule.level == LEVEL_ZERO:
            rule.level = 0  # OSSEC's own mark for level 0
        if draft.accuracy == 0:
            rule.last_sibling = True
            if rule.level == 0:
                rule.level = LEVEL_ZERO
                rule.no_ar = True
                return
        rule.log = (rule.level >= options.log_alert_level or "log_alert" in rule.options) and rule.level > 0
        rule.mail = rule.level >= options.email_alert_level or "alert_by_email" in rule.options
        if "no_log" in rule.options:
            rule.log = False
        if "no_email_alert" in rule.options or rule.level == 0:
            rule.mail = False
        rule.no_ar = "no_ar" in rule.options

    @staticmethod
    def _sids(draft: _Draft) -> tuple[int, ...]:
        ids = []
        for word in ",".join(draft.if_sid).replace(" ", ",").split(","):
            if not word.strip():
                continue
            if not word.strip().isdigit():
                raise _Refused(
                    f"rule {draft.rule.id}: <if_sid> wants numbers, got '{word}'",
                    draft.lines["if_sid"],
                    "rules_list: Signature ID must be an integer. Exiting...",
                    closing=False,
                )
            ids.append(int(word))
        return tuple(ids)

    def _attach(self, draft: _Draft) -> None:
        rule = draft.rule
        old = self.rules.by_id.get(rule.id)
        if draft.overwrite:
            if old is None:
                if rule.id in self._broken:
                    return
                raise _Refused(
                    f"there is no rule {rule.id} to overwrite",
                    rule.line,
                    f"{NAME}: Overwrite rule '{rule.id}' not found.",
                )
            for name in REPLACED:
                setattr(old, name, getattr(rule, name))
            kept = {name: old.patterns[name] for name in KEPT_PATTERNS if name in old.patterns}
            old.patterns = kept | {k: v for k, v in rule.patterns.items() if k not in KEPT_PATTERNS}
            lost: list[str] = [n for n in ("if_sid", "if_group", "list", "field", "if_level") if n in draft.lines]
            lost += [name for name in draft.lines if name in KEPT_PATTERNS]
            if lost:
                told = ", ".join(f"<{name}>" for name in lost)
                self.report.warn(f"rule {rule.id}: overwrite does not replace {told}", rule.path, rule.line)
            return
        if old is not None:
            raise _Refused(
                f"rule {rule.id} is already defined in {old.path}:{old.line}",
                rule.line,
                f"{NAME}: Duplicate rule ID:{rule.id}",
            )
        try:
            self.rules.add(rule)
        except NotFound as missing:
            if missing.sid in self._broken:
                return
            name = "if_matched_sid" if missing.sid == rule.if_matched_sid else missing.element
            raise _Refused(
                f"rule {rule.id}: {missing.message}", draft.lines.get(name, rule.line), missing.told, closing=False
            ) from None


def _compiled(draft: _Draft, name: str, text: str, compiler: Callable[[str], Matcher], line: int) -> Matcher:
    try:
        pattern = compiler(text)
    except PatternError as error:
        raise _Refused(
            f"rule {draft.rule.id}: <{name}> cannot be used: {error.message}",
            line,
            _error(1450, f"Syntax error on regex: '{text}': {error.code}."),
        ) from None
    draft.patterns.append((name, pattern, line))
    return pattern


def load_rules(
    sources: Iterable[Source],
    report: Report,
    decoder_keys: Collection[str] | None,
    options: LoadOptions | None = None,
) -> RuleSet:
    """All rules of some files, in order; LoadError, with every mistake in the report."""
    loader = RuleLoader(report, decoder_keys, options)
    for source in sources:
        loader.read(source)
    return loader.finish()
