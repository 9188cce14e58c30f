"""What the state keeps of a foreign document: sealed, and found by a keyed label of its firm.

The state is copied, backed up and read by people who administer it. None of them needs to know
which firms a bank may have asked about, so the document, what it says and whom it is about stand
in it as ciphertext (AES-256-GCM, bound to the record's key).
"""

import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_LABEL, _SEAL = b"xinguan/foreign-label/v1", b"xinguan/foreign-seal/v1"
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals and labels.

    Args:
        key: 32 bytes, the gateway's opening key; the keys used are derived from it, one for each
            use.
    """

    key: bytes = field(repr=False)

    def label(self, subject: str) -> str:
        """Return the label under which a firm's documents are found again, hex."""
        return hmac.new(self._derived(_LABEL), subject.encode(), "sha256").hexdigest()

    def seal(self, record_key: str, content: Mapping[str, object]) -> bytes:
        """Return what is kept of a record."""
        plain = json.dumps(content, sort_keys=True, ensure_ascii=False).encode()
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._derived(_SEAL)).encrypt(nonce, plain, record_key.encode())

    def open(self, record_key: str, sealed: bytes) -> dict[str, object]:
        """Return what was sealed for exactly this record.

        Raises:
            InvalidTag: It wasn't, or the key is another.
        """
        cipher = AESGCM(self._derived(_SEAL))
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        opened: dict[str, object] = json.loads(cipher.decrypt(nonce, rest, record_key.encode()))
        return opened

    def _derived(self, use: bytes) -> bytes:
        return hmac.digest(self.key, use, "sha256")
