"""One file to its sum (part of the shell; it runs in a worker, which may wait for a slow disk).

Nothing but regular files and links are opened, and never in a way that could wait: a name may have become a FIFO since
the folder was read.  A link is described by its own mode and owner and the content that it leads to.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
from typing import Final, NamedTuple

from ossec.syscheckd import differences, sums
from ossec.syscheckd.copies import Copies

CHUNK = 1 << 20  # bytes read at a time
SMALLEST_READ = 4096  # asked of a file that says it is empty: those of /proc do
FILTER_TIMEOUT = 60.0  # seconds for prefilter_cmd and one file
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

SHOW, HIDE, FORWARD = 1, 2, 4  # of a request: report_changes; but not the content; tell also what is the same


class Request(NamedTuple):
    """A file to look at; `known` is its last SUM, b"" for none."""

    path: bytes
    known: bytes
    checks: int
    flags: int


class Outcome:
    """Plain numbers: they cross a pipe."""

    SAME: Final = 0
    TOLD: Final = 1  # `sums` are new, or asked for
    GONE: Final = 2  # no such file any more
    OTHER: Final = 3  # there is something else: a folder, a FIFO, ...
    UNREADABLE: Final = 4


class Finding(NamedTuple):
    """What became of a request.  `note`: the diff, or why it cannot be read; `trouble`: what else went wrong."""

    outcome: int
    sums: bytes = b""
    note: bytes = b""
    trouble: bytes = b""


class Examiner:
    """Looks at files.  `prefilter`: the words of a command whose output md5 and sha1 are made of."""

    def __init__(self, copies: Copies, prefilter: tuple[bytes, ...] = ()) -> None:
        self._copies = copies
        self._prefilter = prefilter

    def examine(self, request: Request) -> Finding:
        path = request.path
        try:
            found = os.lstat(path)
            kind = stat.S_IFMT(found.st_mode)
            if kind == stat.S_IFREG:
                return self._tell(request, found, path)
            if kind == stat.S_IFLNK:
                return self._tell(request, found, path if leads_to_file(path) else None)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return Finding(Outcome.GONE)
            return Finding(Outcome.UNREADABLE, b"", os.fsencode(error.strerror or str(error)))
        return Finding(Outcome.OTHER)

    def _tell(self, request: Request, found: os.stat_result, content_of: bytes | None) -> Finding:
        path, known, checks, flags = request
        md5 = sha1 = sha256 = content = b""
        shown = bool(flags & SHOW) and not flags & HIDE and stat.S_ISREG(found.st_mode)
        if content_of is not None and (checks & sums.HASHES or shown):
            limit = self._copies.max_file if shown else -1
            md5, sha1, sha256, content = read(content_of, checks, limit, found.st_size)
            if self._prefilter:
                md5, sha1 = self._filtered(path, checks)
        text = sums.make(checks, found.st_size, found.st_mode, found.st_uid, found.st_gid, md5, sha1, sha256)
        is_same = bool(known) and sums.same(known, text)
        if is_same and not flags & FORWARD:
            return Finding(Outcome.SAME)
        note = trouble = b""
        if flags & SHOW and stat.S_ISREG(found.st_mode):
            try:
                note, trouble = self._show(request, content, text)
            except OSError as error:
                trouble = b"No copy can be kept: %b" % os.fsencode(error.strerror or str(error))
        return Finding(Outcome.TOLD, text, note, trouble)

    def _show(self, request: Request, content: bytes, text: bytes) -> tuple[bytes, bytes]:
        """(the diff for the message, trouble)."""
        hashes = slice(sums.FIRST_HASH, None)
        changed = bool(request.known) and request.known.split(b":")[hashes] != text.split(b":")[hashes]
        if request.flags & HIDE:
            return (differences.HIDDEN if changed else b""), b""
        shown = self._copies.see(request.path, content)
        if shown:
            return differences.shorten(shown), b""
        return b"", b"Unable to generate diff alert (fread)." if shown == b"" and changed else b""

    def _filtered(self, path: bytes, checks: int) -> tuple[bytes, bytes]:
        """Hashes of what the command prints of the file, which is its last argument; no shell."""
        try:
            done = subprocess.run(
                [*self._prefilter, path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=FILTER_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OSError(errno.ETIMEDOUT, "the prefilter command does not end") from None
        md5 = hashlib.md5(done.stdout).hexdigest().encode() if checks & sums.MD5 else b""
        return md5, hashlib.sha1(done.stdout).hexdigest().encode() if checks & sums.SHA1 else b""


def leads_to_file(path: bytes) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return False


def read(path: bytes, checks: int, limit: int, size: int) -> tuple[bytes, bytes, bytes, bytes]:
    """(md5, sha1, sha256, content): hex for those that `checks` ask for; the content up to `limit` + 1 bytes.

    `size` is what stat said: a small file is read at once.
    """
    descriptor = os.open(path, OPEN_FLAGS)
    try:
        data = os.read(descriptor, min(max(size + 1, SMALLEST_READ), CHUNK))
        if len(data) != size or not size or size >= CHUNK:
            return _read_on(descriptor, data, checks, limit)
    finally:
        os.close(descriptor)
    return (
        hashlib.md5(data).hexdigest().encode() if checks & sums.MD5 else b"",
        hashlib.sha1(data).hexdigest().encode() if checks & sums.SHA1 else b"",
        hashlib.sha256(data).hexdigest().encode() if checks & sums.SHA256 else b"",
        data if limit >= 0 else b"",
    )


def _read_on(descriptor: int, data: bytes, checks: int, limit: int) -> tuple[bytes, bytes, bytes, bytes]:
    wanted = (checks & sums.MD5, checks & sums.SHA1, checks & sums.SHA256)
    hashes = [make() if want else None for make, want in zip(_MAKERS, wanted, strict=True)]
    content = bytearray()
    while data:
        for running in hashes:
            if running is not None:
                running.update(data)
        if len(content) <= limit:
            content += data[: limit + 1 - len(content)]
        data = os.read(descriptor, CHUNK)
    md5, sha1, sha256 = (b"" if running is None else running.hexdigest().encode() for running in hashes)
    return md5, sha1, sha256, bytes(content)


_MAKERS = (hashlib.md5, hashlib.sha1, hashlib.sha256)
