"""Pseudonyms: a keyed permutation of short identifiers, a keyed hash of longer values.

A value that packs into one AES block is encrypted by itself under the consumer's key (the
electronic code book is exactly that: a permutation of blocks), a whole column in one call.
So different values have different pseudonyms, the same value always the same one, and
whoever holds the key can go back. Longer values are dictionary-encoded and hashed with
HMAC-SHA256, cut to 128 bits. Keys are derived per consumer, so that two consumers can't
join what they hold (DESIGN, pseudonyms; GB/T 37964-2019, de-identification).

    block   0x92, then two base-36 halves  18 characters 0-9A-Z (a USCC, an identity number)
            0x00 to 0x0F, then the bytes   up to 15 bytes of UTF-8
    output  "p" and 32 hex digits          an encrypted block
            "h" and 32 hex digits          a keyed hash
"""

import hmac
import threading
from binascii import hexlify
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from gateway.domain.errors import InvalidRequestError

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_arrow: Any = pa
_BLOCK = 16  # bytes of an AES block
_CODE = 18  # characters of a USCC
_HALF = 9  # characters of half of it: 36^9 < 2^47
_PLAIN = 15  # longest value packed as it is, bytes
_TAG = 0x92
_WIDTH = 1 + 2 * _BLOCK  # characters of a pseudonym
_FEW = 16  # rows
_SMALL = 1 << 16  # bytes; up to here one shared encryptor is used under a lock
_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NO_DIGIT = 255
_VALUE_OF = np.full(256, _NO_DIGIT, dtype=np.uint8)
_VALUE_OF[np.frombuffer(_DIGITS, dtype=np.uint8)] = np.arange(36, dtype=np.uint8)
_POWERS = 36 ** np.arange(_HALF - 1, -1, -1, dtype=np.uint64)
# A table of bytes is looked up by the text's own method: three times as quick as by numpy's.
_VALUES = _VALUE_OF.tobytes()
_PROBED = 512  # values that are looked at to see whether a column repeats a few
_REPEATED = 64
_TAG_BITS = np.uint64(_TAG << 56)
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ConsumerKeys:
    """The keys under which one consumer sees pseudonyms.

    Args:
        permutation: AES-256 key, 32 bytes.
        digest: HMAC-SHA256 key, 32 bytes.
    """

    permutation: bytes
    digest: bytes

    @classmethod
    def derive(cls, master: bytes, consumer: str) -> Self:
        """Derive a consumer's keys with HKDF-SHA256 (RFC 5869).

        Args:
            master: The gateway's pseudonym key, at least 32 bytes, secret.
            consumer: Party id in canonical form.

        Raises:
            ValueError: The master key is short or the consumer empty.
        """
        if len(master) < 32 or not consumer:  # noqa: PLR2004 - bytes, as the docstring says
            raise ValueError("a master key of 32 bytes and a consumer are needed")
        info = b"xinguan/pseudonym/v1\x00" + consumer.encode()
        made = HKDF(hashes.SHA256(), 64, salt=None, info=info).derive(master)
        return cls(made[:32], made[32:])

    def __repr__(self) -> str:
        return "ConsumerKeys(secret)"


class Pseudonymiser:
    """Makes the pseudonyms of one consumer, whole columns at a time; thread-safe."""

    __slots__ = ("_cipher", "_digest_key", "_lock", "_shared")

    def __init__(self, keys: ConsumerKeys) -> None:
        # ECB is right here, and only here: each block is one whole value, and equality of
        # values is what a pseudonym is meant to show.
        self._cipher = Cipher(algorithms.AES(keys.permutation), modes.ECB())  # noqa: S305
        self._digest_key = keys.digest
        self._shared = self._cipher.encryptor()
        self._lock = threading.Lock()

    def column(self, values: Any) -> Any:
        """Return the pseudonyms of a column.

        Args:
            values: A string array, a list<string> array (its elements are replaced), or
                another type, whose values are taken as text. Nulls stay null.

        Returns:
            A string array, or a list<string> array.
        """
        if pa.types.is_list(values.type):
            inner = self.column(values.flatten())
            offsets = pc.subtract(values.offsets, values.offsets[0])
            mask = values.is_null() if values.null_count else None
            return _arrow.ListArray.from_arrays(offsets, inner, mask=mask)
        if not pa.types.is_string(values.type):
            values = values.cast(pa.string())
        if not values.null_count:
            return self._known(values)
        places = pc.indices_nonzero(values.is_valid())
        found = self._known(values.take(places))
        back = pc.if_else(
            values.is_valid(), pc.cumulative_sum(values.is_valid().cast("int64")), None
        )
        return found.take(pc.subtract(back, 1))

    def reveal(self, pseudonyms: Any) -> Any:
        """Return the values behind encrypted pseudonyms.

        Args:
            pseudonyms: A string array; nulls stay null.

        Raises:
            InvalidRequestError: `BAD_ID` when one isn't an encrypted pseudonym of this
                consumer. Keyed hashes have no way back.
        """
        revealed = [None if text is None else self._reveal(text) for text in pseudonyms.to_pylist()]
        return pa.array(revealed, pa.string())

    def _known(self, values: Any) -> Any:
        """Return the pseudonyms of strings without nulls."""
        count = len(values)
        if count <= _FEW:
            return self._few(values.to_pylist())
        if count > _PROBED and len(values.slice(0, _PROBED).unique()) < _REPEATED:
            # Codes of authorities and the like: each distinct value is encrypted once.
            coded = values.dictionary_encode()
            if len(coded.dictionary) < count // 2:
                return self._known(coded.dictionary).take(coded.indices)
        _, offsets, data = values.buffers()
        ends = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + count + 1]
        text = np.frombuffer(data, dtype=np.uint8) if data is not None else _NOTHING
        lengths = ends[1:] - ends[:-1]
        blocks = np.zeros((count, _BLOCK), dtype=np.uint8)
        if int(ends[-1]) - int(ends[0]) == count * _CODE and bool((lengths == _CODE).all()):
            codes = _values(text[ends[0] : ends[-1]]).reshape(count, _CODE)
            if count and int(codes.max()) < _NO_DIGIT:
                _pack_codes(codes, blocks)
                return _from_characters(self._characters(blocks))
        return self._mixed(values, (text, ends, lengths), blocks)

    def _few(self, texts: list[str]) -> Any:
        """Do what `_known` does for one subject's rows, where each kernel call costs more.

        Measured for one row: 6 us here, 20 us through the kernels. A property test holds the
        two ways together.
        """
        blocks = [_pack(text) for text in texts]
        spare = bytes(_BLOCK)
        made = self._encrypt(b"".join(block or spare for block in blocks)).hex()
        width = 2 * _BLOCK
        return pa.array(
            [
                "h" + hmac.digest(self._digest_key, text.encode(), "sha256")[:_BLOCK].hex()
                if block is None
                else "p" + made[place * width : (place + 1) * width]
                for place, (text, block) in enumerate(zip(texts, blocks, strict=True))
            ],
            pa.string(),
        )

    def _mixed(self, values: Any, shape: tuple[Bytes, Any, Any], blocks: Bytes) -> Any:
        text, ends, lengths = shape
        todo = np.ones(len(blocks), dtype=np.bool_)
        coded = np.flatnonzero(lengths == _CODE)
        if len(coded):
            codes = _values(text[ends[coded, None] + np.arange(_CODE)])
            good = codes.max(axis=1) < _NO_DIGIT
            packed = np.zeros((int(good.sum()), _BLOCK), dtype=np.uint8)
            _pack_codes(codes[good], packed)
            blocks[coded[good]] = packed
            todo[coded[good]] = False
        short = np.flatnonzero(lengths <= _PLAIN)
        if len(short):
            inside = np.arange(_PLAIN) < lengths[short, None]
            places = np.where(inside, ends[short, None] + np.arange(_PLAIN), 0)
            plain = text[places] * inside if len(text) else np.zeros_like(inside, dtype=np.uint8)
            blocks[short, 0] = lengths[short]
            blocks[short, 1:] = plain
            todo[short] = False
        out = self._characters(blocks)
        if todo.any():
            out[todo] = _characters(self._digests(values.filter(pa.array(todo))), b"h")
        return _from_characters(out)

    def _characters(self, blocks: Bytes) -> Bytes:
        made = self._encrypt(blocks.reshape(-1).data)
        return _characters(np.frombuffer(made, dtype=np.uint8).reshape(-1, _BLOCK), b"p")

    def _digests(self, values: Any) -> Bytes:
        """Hash each distinct value once."""
        coded = values.dictionary_encode()
        digest, key = hmac.digest, self._digest_key
        distinct = b"".join(
            digest(key, text.encode(), "sha256")[:_BLOCK] for text in coded.dictionary.to_pylist()
        )
        table = np.frombuffer(distinct, dtype=np.uint8).reshape(-1, _BLOCK)
        found: Bytes = table[coded.indices.to_numpy()]
        return found

    def _encrypt(self, blocks: bytes | memoryview) -> bytes:
        if len(blocks) > _SMALL:
            return self._cipher.encryptor().update(blocks)
        # Without chaining and padding an encryptor has no state between calls, but
        # OpenSSL's object must not be used by two threads at once.
        with self._lock:
            return self._shared.update(blocks)

    def _reveal(self, text: str) -> str:
        try:
            block = bytes.fromhex(text[1:]) if text[:1] == "p" and len(text) == _WIDTH else b""
            return _unpack(self._cipher.decryptor().update(block))
        except ValueError:
            raise InvalidRequestError(
                "BAD_ID", "a value is not an encrypted pseudonym of this consumer"
            ) from None


_NOTHING: Bytes = np.empty(0, dtype=np.uint8)


def _pack_codes(codes: Bytes, blocks: Bytes) -> None:
    """Pack rows of 18 digits of base 36 into blocks: tag, then two halves, big-endian."""
    wide = codes.astype(np.uint64)
    words = blocks.view(">u8")
    words[:, 0] = (wide[:, :_HALF] @ _POWERS) | _TAG_BITS
    words[:, 1] = wide[:, _HALF:] @ _POWERS


def _pack(text: str) -> bytes | None:
    """Return the block of one value, or None when it doesn't pack into one."""
    raw = text.encode()
    if len(raw) == _CODE and not raw.translate(None, _DIGITS):
        high, low = int(raw[:_HALF], 36), int(raw[_HALF:], 36)
        return (_TAG << 56 | high).to_bytes(8, "big") + low.to_bytes(8, "big")
    if len(raw) <= _PLAIN:
        return bytes((len(raw),)) + raw.ljust(_PLAIN, b"\x00")
    return None


def _unpack(block: bytes) -> str:
    """Return the value of a block, or raise ValueError when no value packs into it."""
    if len(block) != _BLOCK:
        raise ValueError
    if block[0] == _TAG:
        halves = (int.from_bytes(block[1:8], "big"), int.from_bytes(block[8:], "big"))
        if max(halves) >= 36**_HALF:
            raise ValueError
        return "".join(_base36(half) for half in halves)
    length = block[0]
    if length > _PLAIN or any(block[1 + length :]):
        raise ValueError
    return block[1 : 1 + length].decode()


def _base36(number: int) -> str:
    digits = bytearray()
    for _ in range(_HALF):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return bytes(reversed(digits)).decode()


def _characters(encrypted: Bytes, kind: bytes) -> Bytes:
    """Return each block as its letter and 32 hex digits, one row of bytes each."""
    out = np.empty((len(encrypted), _WIDTH), dtype=np.uint8)
    out[:, 0] = kind[0]
    digits = hexlify(np.ascontiguousarray(encrypted).data)
    out[:, 1:] = np.frombuffer(digits, dtype=np.uint8).reshape(-1, _WIDTH - 1)
    return out


def _values(text: Bytes) -> Bytes:
    """Return the value of each digit of base 36, `_NO_DIGIT` for any other character."""
    return np.frombuffer(text.tobytes().translate(_VALUES), dtype=np.uint8).reshape(text.shape)


def _from_characters(characters: Bytes) -> Any:
    count = len(characters)
    offsets = np.arange(0, (count + 1) * _WIDTH, _WIDTH, dtype=np.int32)
    buffers = [None, _arrow.py_buffer(offsets), _arrow.py_buffer(characters)]
    return _arrow.Array.from_buffers(pa.string(), count, buffers)
