"""Copies of watched texts, so that a change can be shown: `queue/diff/local/PATH/` (spec/syscheck.md, 4).

`last-entry` is the text as it was last seen, `state.TIME` what it was before, `diff.TIME` what diff(1) says of the two.
What is no text, or is larger than `max_file`, is kept as an empty file; what is excepted from diffs is not kept at all.
Part of the shell; it runs in a worker.
"""

# ruff: noqa: PTH103, PTH105, PTH106, PTH108, PTH116, PTH118, PTH120, PTH123
from __future__ import annotations

import os
from collections.abc import Iterator

from ossec.syscheckd import differences

LAST = b"last-entry"
OLD_STATE, OLD_DIFF = b"state.", b"diff."
DIRECTORY_MODE, FILE_MODE = 0o770, 0o640


class Copies:
    """The copies below `root`.  Every method raises OSError where the disk does not allow it."""

    def __init__(self, root: bytes, max_file: int) -> None:
        """`max_file`: bytes of a file that is kept."""
        self.root = root
        self.max_file = max_file

    def _folder(self, path: bytes) -> bytes:
        """OSError for a path that would climb out."""
        if b".." in path.split(b"/"):
            raise OSError(f"not kept: {path!r}")
        return self.root + b"/" + path.lstrip(b"/")

    def see(self, path: bytes, content: bytes) -> bytes | None:
        """Keep what the file is now.  The diff, if the copy shows another content; None at first sight.

        b"" is a change that cannot be shown: one side is no text.
        """
        folder = self._folder(path)
        last = os.path.join(folder, LAST)
        kept = content if len(content) <= self.max_file and differences.is_text(content) else b""
        try:
            with open(last, "rb") as file:
                before = file.read(self.max_file + 1)
                when = int(os.fstat(file.fileno()).st_mtime)
        except FileNotFoundError:
            os.makedirs(folder, DIRECTORY_MODE, exist_ok=True)
            self._write(last, kept)
            return None
        if before == kept:
            return b"" if not kept and content else None
        os.replace(last, os.path.join(folder, OLD_STATE + b"%d" % when))
        self._write(last, kept)
        text = differences.diff(before, kept) if kept or not content else b""
        self._write(os.path.join(folder, OLD_DIFF + b"%d" % int(os.stat(last).st_mtime)), text)
        return text

    def forget(self, path: bytes) -> None:
        """The file is gone: so are its copies."""
        folder = self._folder(path)
        try:
            names = [entry.path for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            os.unlink(name)
        while folder != self.root:  # as far up as nothing else is kept
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)

    def prune(self, quota: int) -> int:
        """Remove the oldest states and diffs until all takes at most `quota` bytes; how many files that cost."""
        total = 0
        old: list[tuple[int, int, bytes]] = []
        for entry in self._all(self.root):
            found = entry.stat(follow_symlinks=False)
            total += found.st_size
            if entry.name.startswith((OLD_STATE, OLD_DIFF)):
                old.append((int(found.st_mtime), found.st_size, entry.path))
        if total <= quota:
            return 0
        removed = 0
        for _, size, path in sorted(old):
            if total <= quota:
                break
            os.unlink(path)
            total -= size
            removed += 1
        return removed

    def _all(self, folder: bytes) -> Iterator[os.DirEntry[bytes]]:
        waiting = [folder]
        while waiting:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        elif entry.is_file(follow_symlinks=False):
                            yield entry
            except FileNotFoundError:
                continue

    @staticmethod
    def _write(path: bytes, content: bytes) -> None:
        temporary = path + b".new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(content)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
