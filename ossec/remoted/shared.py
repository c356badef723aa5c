"""The files that agents get: `etc/shared` as one merge, and what an agent lacks of it (spec/protocol.md, section 6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from ossec.messages import control, merged

NOT_SHARED = frozenset({control.MERGED})


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file ready to be sent."""

    name: str
    content: bytes
    digest: str

    @classmethod
    def of(cls, name: str, content: bytes) -> SharedFile:
        return cls(name, content, hashlib.md5(content, usedforsecurity=False).hexdigest())

    def messages(self) -> list[bytes]:
        """The texts that carry it, in order."""
        return [
            control.format_file_start(self.digest, self.name),
            *merged.chunks(self.content),
            control.FILE_END,
        ]


class SharedFiles:
    """What the directory held when it was last read.  `left_out` are (name, reason) for the log."""

    def __init__(self, files: Iterable[tuple[str, bytes]] = ()) -> None:
        self.left_out: list[tuple[str, str]] = []
        taken = []
        for name, content in sorted(files):
            reason = self._why_not(name, content)
            if reason is None:
                taken.append(SharedFile.of(name, content))
            elif reason:
                self.left_out.append((name, reason))
        self.files = tuple(taken)
        merge = merged.format_merged((file.name, file.content) for file in self.files)
        self.merge = SharedFile.of(control.MERGED, merge)

    @staticmethod
    def _why_not(name: str, content: bytes) -> str | None:
        """Why a file is not shared; an empty reason needs no word, None means that it is shared."""
        if name in NOT_SHARED or name.startswith(".") or name.endswith("~"):
            return ""
        if merged.safe_name(name) is None:
            return "agents could not store this name"
        if b"\0" in content:
            return "it holds a NUL byte, which the protocol cannot carry"
        return None

    def lacking(self, keepalive: control.Keepalive) -> list[SharedFile]:
        """What to send to an agent that listed these sums: the merge, or, to one that knows none, single files."""
        listed = keepalive.sum_of(control.MERGED)
        if listed is not None:
            return [] if listed == self.merge.digest else [self.merge]
        return [file for file in self.files if keepalive.sum_of(file.name) != file.digest]
