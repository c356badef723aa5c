"""The sealed datagram: text in, bytes out, and back (spec/protocol.md, section 2).

::

    [ '!' ID '!' ]  marker  body
    marker ':'      body = Blowfish-CBC(P), constant IV          key: the 47 derived characters
    marker '#AES:'  body = IV[16] + AES-256-CBC(P + PKCS#7)      key: their first 32
    P = '!' * 1..8 + Z, a multiple of 8 long;  Z = zlib(S + M);  S = md5hex(M);  M = RRRRR GGGGGGGGGG:LLLL:text

`Channel` is one agent's key in one place; it holds no counters: `open` returns them, `counters` judges them.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import zlib
from enum import Enum
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

try:  # where `cryptography` keeps Blowfish now
    from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
except ImportError:
    from cryptography.hazmat.primitives.ciphers.algorithms import Blowfish

from ossec.crypto.keys import AgentKey
from ossec.errors import OssecError, RemoteError

MAX_TEXT = 6016  # bytes of one message: OSSEC's buffer less its header
MAX_INFLATED = 6144  # OSSEC's buffer for the inflated datagram
MAX_COUNTED = 2**32 - 1
AES_MARK = b"#AES:"
BLOWFISH_MARK = b":"
BLOWFISH_IV = bytes.fromhex("fedcba9876543210")
BLOCK = 8  # P is padded to it, also for AES
AES_BLOCK = 16
LEVEL = 9
CHECKSUM = 32
HEADER = CHECKSUM + 5 + 10 + 1 + 4 + 1  # S R G : L :
_LEADING_NUMBER = re.compile(rb"\s*\+?(\d{1,20})")


class Method(Enum):
    """The two ciphers, by the name that configuration and agent-info use."""

    AES = "aes"
    BLOWFISH = "blowfish"


class BadSize(OssecError):
    """A message of 0 or more than MAX_TEXT bytes is not sent (OSSEC's 1217)."""


class SealError(RemoteError):
    """A datagram that does not open; `code` is OSSEC's number for the reason."""

    code = 1404

    def complaint(self, key: AgentKey, source: str) -> str:
        """OSSEC's line for it; `source` is who sent it, `key` whose key it should have had."""
        return WrongKey.text(key.address_text)


class BadFormat(SealError):
    """No marker, or no `:` behind the counters (1403)."""

    code = 1403

    def complaint(self, key: AgentKey, source: str) -> str:
        return f"Incorrectly formatted message from '{key.id}'."


class WrongKey(SealError):
    """It does not decrypt to anything of ours (1404)."""

    @staticmethod
    def text(address: str) -> str:
        return f"Authentication error. Wrong key from '{address}'."


class Noise(WrongKey):
    """It decrypts, as every Blowfish body does, but to noise: OSSEC names the sender then, not the key's address."""

    def complaint(self, key: AgentKey, source: str) -> str:
        return self.text(source)


class BadCompression(SealError):
    """What it holds does not inflate (2202)."""

    code = 2202

    def complaint(self, key: AgentKey, source: str) -> str:
        return "Error uncompressing string."


class BadChecksum(SealError):
    """The inflated text is not what was sealed (1406)."""

    code = 1406

    def complaint(self, key: AgentKey, source: str) -> str:
        return f"Checksum mismatch on message from '{key.address_text}'."


class Opened(NamedTuple):
    """What a datagram held: the counters, not yet judged, and the text up to its first NUL."""

    counter: tuple[int, int]
    text: bytes
    method: Method


def split_id(datagram: bytes) -> tuple[str | None, bytes]:
    """(ID, rest) of a datagram with an `!ID!` prefix, (None, datagram) of one without; BadFormat."""
    if datagram[:1] != b"!":
        return None, datagram
    end = datagram.find(b"!", 1, 11)
    if end < 1 or datagram[1:end].strip(b"0123456789"):
        raise BadFormat("a prefix that is no `!ID!`")
    return datagram[1:end].decode(), datagram[end + 1 :]


class Channel:
    """Seals and opens with one agent's key.  Server and agent use the same form; only agents prefix their id."""

    __slots__ = ("_aes", "_blowfish", "key", "prefix")

    def __init__(self, key: AgentKey, *, prefixed: bool = False) -> None:
        """`prefixed`: put `!ID!` in front, as an agent without a fixed address does."""
        self.key = key
        self._aes = algorithms.AES(key.derived[:32])
        self._blowfish = Blowfish(key.derived)
        self.prefix = f"!{key.id}!".encode() if prefixed else b""

    def seal(
        self,
        text: bytes,
        counter: tuple[int, int],
        method: Method = Method.AES,
        *,
        noise: int | None = None,
        iv: bytes | None = None,
    ) -> bytes:
        """A datagram; BadSize.  `noise` (0..65535) and `iv` (16 bytes) are random unless a test gives them."""
        if not 1 <= len(text) <= MAX_TEXT:
            raise BadSize(f"Incorrect message size: {len(text)}")
        if noise is None:
            noise = secrets.randbelow(65536)
        message = b"%05d%010d:%04d:" % (noise, *counter) + text
        checksum = hashlib.md5(message, usedforsecurity=False).hexdigest().encode()
        packed = zlib.compress(checksum + message, LEVEL)
        plain = b"!" * (BLOCK - len(packed) % BLOCK) + packed
        if method is Method.BLOWFISH:
            encryptor = Cipher(self._blowfish, modes.CBC(BLOWFISH_IV)).encryptor()
            return self.prefix + BLOWFISH_MARK + encryptor.update(plain)
        if iv is None:
            iv = os.urandom(AES_BLOCK)
        fill = AES_BLOCK - len(plain) % AES_BLOCK
        encryptor = Cipher(self._aes, modes.CBC(iv)).encryptor()
        return self.prefix + AES_MARK + iv + encryptor.update(plain + bytes([fill]) * fill)

    def open(self, datagram: bytes) -> Opened:
        """What `seal` sealed, without its `!ID!`; SealError.  Costs little where the key is wrong."""
        if datagram.startswith(AES_MARK):
            method, plain = Method.AES, self._decrypt_aes(datagram[len(AES_MARK) :])
        elif datagram.startswith(b"#AES"):
            raise BadFormat("no `:` after the marker")
        elif datagram.startswith(BLOWFISH_MARK):
            method, plain = Method.BLOWFISH, self._decrypt_blowfish(datagram[1:])
        else:
            raise BadFormat("no marker")
        if plain[:1] != b"!":
            raise Noise("it decrypts to noise")
        inflated = _inflate(plain.lstrip(b"!"))
        message = inflated[CHECKSUM:]
        checksum = hashlib.md5(message, usedforsecurity=False).hexdigest().encode()
        if checksum != inflated[:CHECKSUM]:
            raise BadChecksum("its checksum is not that of its text")
        if inflated[47:48] != b":":
            raise BadFormat("no `:` behind the counter")
        text = inflated[HEADER:]
        end = text.find(b"\0")
        number, local = inflated[37:47], inflated[48:52]
        if number.isdigit() and local.isdigit() and inflated[52:53] == b":":
            counter = int(number) & MAX_COUNTED, int(local)
        else:
            counter = _leading_number(number), _leading_number(inflated[48:])
        return Opened(counter, text if end < 0 else text[:end], method)

    def _decrypt_aes(self, body: bytes) -> bytes:
        iv, sealed = body[:AES_BLOCK], body[AES_BLOCK:]
        if len(iv) < AES_BLOCK or not sealed or len(sealed) % AES_BLOCK:
            raise WrongKey("not whole blocks")
        plain = Cipher(self._aes, modes.CBC(iv)).decryptor().update(sealed)
        fill = plain[-1]
        if not 1 <= fill <= AES_BLOCK or plain[-fill:] != bytes([fill]) * fill:
            raise WrongKey("its padding is wrong")
        return plain[:-fill]

    def _decrypt_blowfish(self, body: bytes) -> bytes:
        whole = len(body) - len(body) % BLOCK  # OSSEC ignores an odd tail
        return Cipher(self._blowfish, modes.CBC(BLOWFISH_IV)).decryptor().update(body[:whole])


def _inflate(packed: bytes) -> bytes:
    """At most MAX_INFLATED bytes; what follows the stream's end is ignored; BadCompression."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(packed, MAX_INFLATED)
    except zlib.error:
        raise BadCompression("it does not inflate") from None
    if not stream.eof:
        raise BadCompression("it is cut, or too long")
    return inflated


def _leading_number(text: bytes) -> int:
    match = _LEADING_NUMBER.match(text)
    return int(match[1]) & MAX_COUNTED if match else 0
