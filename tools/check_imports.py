"""The check that keeps the house in order: who may import whom.

Daemons never import each other; they share the kernel and messages.  The kernel imports no daemon.  Tools in
`ossec/cli` may use anything.  `python tools/check_imports.py` prints each offence as path:line and exits 1.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

KERNEL = {"errors", "layout", "config", "messages", "regex", "queues", "daemon", "crypto", "agents", "alertstream"}
ANYTHING = {"cli"}  # tools stand on top of all
PACKAGE = Path(__file__).resolve().parent.parent / "ossec"


def rooms_imported(tree: ast.AST, rooms: set[str]) -> list[tuple[int, str]]:
    """(line, room) of every import of a room of the package."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [
                (node.lineno, alias.name.split(".")[1]) for alias in node.names if alias.name.startswith("ossec.")
            ]
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts == ["ossec"]:
                found += [(node.lineno, alias.name) for alias in node.names if alias.name in rooms]
            elif parts[0] == "ossec":
                found.append((node.lineno, parts[1]))
    return found


def offences() -> list[str]:
    rooms = {path.stem if path.suffix else path.name for path in PACKAGE.iterdir() if not path.name.startswith("_")}
    complaints = []
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        own = relative.parts[0].removesuffix(".py")
        if own in ANYTHING or own == "__init__":
            continue
        allowed = KERNEL | {own} if own not in KERNEL else KERNEL
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for line, room in rooms_imported(tree, rooms):
            if room not in allowed:
                complaints.append(f"ossec/{relative}:{line}: ossec.{own} must not import ossec.{room}")
    return complaints


if __name__ == "__main__":
    found = offences()
    print("\n".join(found) or "imports: in order")
    sys.exit(1 if found else 0)
