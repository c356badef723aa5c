"""Manual pages from the same source as `--help`: `python tools/make_manual.py` writes man/, `--check` only compares.

Every console script of pyproject.toml gets a page in section 8.  What a program says of itself stands in its click
command (tools) or its `Service` (daemons), and nowhere else.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
import tomllib
from pathlib import Path

import click

from ossec import COMPATIBLE_VERSION, __version__
from ossec.daemon import Service
from ossec.daemon.command import make_command

ROOT = Path(__file__).resolve().parent.parent
MAN = ROOT / "man"
FILES = {
    "etc/ossec.conf": "the configuration of the whole suite",
    "etc/internal_options.conf, etc/local_internal_options.conf": "what only experts change",
    "logs/ossec.log": "what the daemons say",
}


def programs() -> dict[str, click.Command]:
    """name → command of every console script."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    return {name: find_command(name, target.split(":")[0]) for name, target in sorted(scripts.items())}


def find_command(name: str, module_name: str) -> click.Command:
    """The one click command or service that a program's module holds; LookupError."""
    module = importlib.import_module(module_name)
    for value in vars(module).values():
        if isinstance(value, click.Command):
            return value
        if inspect.isclass(value) and issubclass(value, Service) and value is not Service:
            return make_command(value)
    raise LookupError(f"{module_name} has neither a click command nor a service: no manual page for {name}")


def escape(text: str) -> str:
    """Text as roff takes it literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in text.split("\n"))


def page(name: str, command: click.Command) -> str:
    """The page of one program."""
    context = click.Context(command, info_name=name, **command.context_settings)
    text = inspect.cleandoc(command.help or "").replace("\b\n", "").replace("\f", "")
    first, _, rest = text.partition("\n\n")
    summary = " ".join(first.split()).rstrip(".")
    lines = [
        f'.TH {name.upper()} 8 "" "OSSEC in Python {__version__}" "OSSEC {COMPATIBLE_VERSION}"',
        ".SH NAME",
        f"{escape(name)} \\- {escape(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        f".B {escape(name)}",
        escape(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        escape(" ".join(first.split())),
    ]
    for paragraph in rest.split("\n\n"):
        if paragraph.strip():
            lines += [".PP", escape(paragraph)]
    lines.append(".SH OPTIONS")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            lines += [".TP", f".B {escape(record[0])}", escape(" ".join(record[1].split()))]
    lines.append(".SH FILES")
    for path, meaning in FILES.items():
        lines += [".TP", f".I {escape(path)}", escape(meaning)]
    lines += [".SH SEE ALSO", ".BR ossec\\-install (8),", ".BR ossec\\-control (8)"]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the manual pages.")
    parser.add_argument("--check", action="store_true", help="only say which pages are not up to date")
    check = parser.parse_args().check
    pages = {MAN / f"{name}.8": page(name, command) for name, command in programs().items()}
    stale = [path for path, text in pages.items() if not path.is_file() or path.read_text() != text]
    orphans = [path for path in MAN.glob("*.8") if path not in pages]
    if check:
        for path in stale + orphans:
            print(f"{path.relative_to(ROOT)}: not up to date; run tools/make_manual.py")
        return 1 if stale or orphans else 0
    MAN.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(pages[path])
    for path in orphans:
        path.unlink()
    print(f"{len(pages)} pages, {len(stale)} written, {len(orphans)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
