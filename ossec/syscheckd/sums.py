"""SUM: what is compared of a file, as one text (spec/syscheck.md, 4).  `make` writes it, `Parts` takes it apart."""

from __future__ import annotations

from typing import NamedTuple

from ossec.config.model import Check
from ossec.messages.syscheck import NOT_KNOWN

# As plain numbers: they are looked at several times for every file.
SIZE, PERM, OWNER, GROUP = Check.SIZE.value, Check.PERM.value, Check.OWNER.value, Check.GROUP.value
MD5, SHA1, SHA256 = Check.MD5.value, Check.SHA1.value, Check.SHA256.value
HASHES = MD5 | SHA1 | SHA256
FIELDS = 7
FIRST_HASH = 4


class Parts(NamedTuple):
    """One SUM taken apart; what an older text lacks is `xxx`."""

    size: bytes
    mode: bytes
    uid: bytes
    gid: bytes
    md5: bytes
    sha1: bytes
    sha256: bytes

    @classmethod
    def parse(cls, text: bytes) -> Parts:
        found = text.split(b":")[:FIELDS]
        found += [b"0"] * (FIRST_HASH - len(found))
        return cls(*found, *[NOT_KNOWN] * (FIELDS - len(found)))

    def format(self) -> bytes:
        return b":".join(self)


def make(
    checks: int, size: int, mode: int, uid: int, gid: int, md5: bytes = b"", sha1: bytes = b"", sha256: bytes = b""
) -> bytes:
    """The text for a file; what `checks` leaves out is 0 or `xxx`, and so is a hash that could not be had (b"")."""
    return b"%d:%d:%d:%d:%b:%b:%b" % (
        size if checks & SIZE else 0,
        mode if checks & PERM else 0,
        uid if checks & OWNER else 0,
        gid if checks & GROUP else 0,
        md5 or NOT_KNOWN,
        sha1 or NOT_KNOWN,
        sha256 or NOT_KNOWN,
    )


def same(old: bytes, new: bytes) -> bool:
    """Whether nothing differs but hashes that one side does not know."""
    if old == new:
        return True
    before, after = Parts.parse(old), Parts.parse(new)
    if before[:FIRST_HASH] != after[:FIRST_HASH]:
        return False
    pairs = zip(before[FIRST_HASH:], after[FIRST_HASH:], strict=True)
    return all(was == now or NOT_KNOWN in (was, now) for was, now in pairs)
