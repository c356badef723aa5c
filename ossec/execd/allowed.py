"""Whom execd never blocks, whoever asks: the allow list of this host's own ossec.conf.

analysisd looks into its list before it asks; an order by hand, or one of a server that does not know what matters here,
meets this one.  Addresses and networks have the meaning of `ossec.config.addresses`; a host name stands for itself, and
for what it ends with if it begins with a dot.  Nothing here asks the DNS.
"""

from __future__ import annotations

from collections.abc import Sequence

from ossec.config.addresses import AddressList, Entry, parse


class Allowed:
    """A list as ossec.conf has it, all `allow_list` and `white_list` of all `global` sections in order."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        entries = [parse(text) for text in texts]
        self.texts = tuple(texts)
        self._addresses = AddressList(entry for entry in entries if isinstance(entry, Entry))
        names = [text for text, entry in zip(texts, entries, strict=True) if entry is None and text.strip()]
        self._names = frozenset(name.lower().encode("utf-8", "surrogateescape") for name in names)
        self._suffixes = tuple(name for name in self._names if name.startswith(b"."))

    def contains(self, address: bytes) -> bool:
        """Whether a message's address is spared; `-` and nothing are no address."""
        if address in (b"", b"-"):
            return False
        host = address.partition(b"%")[0]
        if self._addresses and self._addresses.contains(host):
            return True
        name = host.lower()
        return name in self._names or (bool(self._suffixes) and name.endswith(self._suffixes))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Allowed) and self.texts == other.texts

    __hash__ = None  # type: ignore[assignment]
