"""ossec-regex-convert: OS_Regex and OS_Match patterns as PCRE2.  spec/regex.md §10."""

from __future__ import annotations

import sys

import click

from ossec import __version__
from ossec.regex import to_pcre2
from ossec.regex.translate import Kind

REFUSED = 255

TAGS = {
    "regex": "pcre2",
    "match": "match_pcre2",
    **{
        tag: f"{tag}_pcre2"
        for tag in (
            "program_name", "prematch", "srcgeoip", "dstgeoip", "srcport", "dstport", "user", "url", "id", "status",
            "hostname", "extra_data",
        )
    },
}  # fmt: skip
"""Elements of rules and decoders, and the element that takes the same pattern as PCRE2."""

REGEX_TAGS = frozenset({"regex", "prematch"})  # the others hold an OS_Match


@click.command(context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True})
@click.option("-r", "as_regex", is_flag=True, help="Take the patterns as OS_Regex only.")
@click.option("-m", "as_match", is_flag=True, help="Take the patterns as OS_Match only.")
@click.option("-b", "tag", metavar="TAG", help="Print the new name of element TAG and the converted patterns alone.")
@click.option("-t", "list_tags", is_flag=True, help="List the elements and their new names.")
@click.version_option(__version__, "--version", message="ossec-regex-convert (OSSEC in Python) %(version)s")
@click.argument("patterns", nargs=-1, metavar="PATTERN...", type=click.UNPROCESSED)
def command(patterns: tuple[str, ...], as_regex: bool, as_match: bool, tag: str | None, list_tags: bool) -> None:
    """Show what a pattern of an OSSEC rule or decoder is in PCRE2."""
    if list_tags:
        for old, new in TAGS.items():
            click.echo(f"{old} {new}")
        return
    if not patterns:
        click.echo(command.get_usage(click.get_current_context()))
        sys.exit(1)
    if tag is not None:
        if tag not in TAGS:
            click.echo(f"ossec-regex-convert: no element '{tag}' to convert; -t lists them", err=True)
            sys.exit(1)
        click.echo(TAGS[tag])
        kind: Kind = "regex" if tag in REGEX_TAGS else "match"
        converted = [to_pcre2(kind, pattern) for pattern in patterns]
        for pattern, text in zip(patterns, converted, strict=True):
            click.echo(_refusal(pattern) if text is None else text, err=text is None)
        sys.exit(REFUSED if None in converted else 0)
    for pattern in patterns:
        click.echo(f"pattern = {pattern}")
        if as_regex or not as_match:
            text = to_pcre2("regex", pattern)
            click.echo(f"regex   = {_refusal(pattern) if text is None else text}")
        if as_match or not as_regex:
            click.echo(f"match   = {to_pcre2('match', pattern)}")


def _refusal(pattern: str) -> str:
    return f"({pattern} is no OS_Regex: it has a backslash before a character that may not follow one)"


def main() -> None:
    """Run the tool."""
    command(prog_name="ossec-regex-convert")


if __name__ == "__main__":
    main()
