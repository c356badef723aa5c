"""What was known of every file: path and SUM, on disk, so memory does not grow with them (part of the shell).

One SQLite file.  Changes are written in transactions that the caller ends once what they stand for has been sent:
after a crash something is told again, and nothing is forgotten.  A file that cannot be read as a database is set aside.
Where it cannot be written (the disk is full) what is new is forgotten again, and so told again by the next scan: for
the receiver it is nothing new.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

log = logging.getLogger("ossec.syscheckd")

CACHE = 4096  # KiB of pages that SQLite keeps: enough for the inner nodes of an index of millions
MAX_ADDED = 256  # new files that are written together
PAGE = 512  # rows of a look through the table that are held at a time
SCHEMA = """
CREATE TABLE IF NOT EXISTS files (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, sums BLOB NOT NULL);
"""
BROKEN = ".broken"


class Baseline:
    """`path` is made where it does not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            log.error("The file baseline '%s' is set aside, it cannot be read: %s", path, error)
            self._connection.close()
            self._remove_side_files()
            path.replace(path.with_name(path.name + BROKEN))
            self._open()
        self.count: int = self._connection.execute("SELECT COUNT(*) FROM files").fetchone()[0]
        self._counted = self.count  # at the last commit
        self._next_row: int = self._connection.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM files").fetchone()[0]
        self._added: list[tuple[int, bytes, bytes]] = []
        self._refused = False  # and it was said

    def _open(self) -> None:
        self._connection = sqlite3.connect(self.path, isolation_level=None, cached_statements=32)
        execute = self._connection.execute
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=NORMAL")
        execute(f"PRAGMA cache_size=-{CACHE}")
        self._connection.executescript(SCHEMA)
        self._execute = execute

    def _remove_side_files(self) -> None:
        for end in ("-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)

    # files
    def look(self, paths: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
        """(number of its row, SUM) of each of a batch of paths that is known."""
        self._write_added()
        marks = ",?" * (len(paths) - 1)
        rows = self._execute(f"SELECT path, id, sums FROM files WHERE path IN (?{marks})", paths)
        return {path: (row, sums) for path, row, sums in rows}

    def add(self, path: bytes, sums: bytes) -> int:
        """A path that is not known; the number of its row.  It is written with the next look, or commit."""
        row = self._next_row
        self._next_row += 1
        self.count += 1
        self._added.append((row, path, sums))
        if len(self._added) >= MAX_ADDED:
            self._write_added()
        return row

    def _write_added(self) -> None:
        if self._added:
            added, self._added = self._added, []
            with self._writing():
                self._connection.executemany("INSERT OR REPLACE INTO files (id, path, sums) VALUES (?, ?, ?)", added)

    def update(self, row: int, sums: bytes) -> None:
        self._write_added()
        with self._writing():
            self._execute("UPDATE files SET sums=? WHERE id=?", (sums, row))

    def remove(self, path: bytes) -> None:
        self._write_added()
        with self._writing():
            self.count -= self._execute("DELETE FROM files WHERE path=?", (path,)).rowcount

    # many
    def below(self, inside: bytes = b"") -> Iterator[tuple[int, bytes]]:
        """(row, path) of all whose path begins so, in order; what changes meanwhile may or may not be seen."""
        self._write_added()
        last = inside
        comparison = ">="
        while True:
            rows = self._execute(
                f"SELECT id, path FROM files WHERE path {comparison} ? ORDER BY path LIMIT {PAGE}", (last,)
            ).fetchall()
            for row in rows:
                if not row[1].startswith(inside):
                    return
                yield row
            if len(rows) < PAGE:
                return
            last, comparison = rows[-1][1], ">"

    # transactions
    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """In a transaction; a disk that refuses is said once, and the transaction has not been."""
        try:
            if not self._connection.in_transaction:
                self._execute("BEGIN")
            yield
        except sqlite3.OperationalError as error:
            if not self._refused:
                self._refused = True
                log.error("The file baseline '%s' cannot be written: %s", self.path, error)
            self.rollback()

    @property
    def changed(self) -> bool:
        """Whether something waits for `commit`."""
        return bool(self._added) or self._connection.in_transaction

    def commit(self) -> None:
        self._write_added()
        if self._connection.in_transaction:
            with self._writing():
                self._execute("COMMIT")
                self._refused = False
        self._counted = self.count

    def rollback(self) -> None:
        """As if what was not committed had not happened."""
        self._added.clear()
        if self._connection.in_transaction:
            self._execute("ROLLBACK")
        self.count = self._counted

    def close(self) -> None:
        self._connection.close()
