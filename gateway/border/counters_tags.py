"""Keyed tags: they tell whether a person was counted, and nobody without the key who it is.

    tag = HMAC(export key, "xinguan/export-person/v1" | algorithm | exporter | year | person)

each part ended by a zero byte. Exporter and year are part of it, so the same person looks unlike
in the books of two exporters, and from one year to the next.
"""

import hmac
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

_PERSON: Final = b"xinguan/export-person/v1\0"
_CHECK: Final = b"xinguan/export-key-check/v1\0"


class TagAlgorithm(StrEnum):
    """How tags are made; the choice is part of every tag."""

    SHA256 = "hmac-sha256"
    SM3 = "hmac-sm3"  # GB/T 32905, for deployments under a cryptography assessment


class Tagger:
    """Makes the tags of one export key."""

    def __init__(self, key: bytes, algorithm: TagAlgorithm = TagAlgorithm.SHA256) -> None:
        """Take the key.

        Args:
            key: 32 bytes, kept like the deployment's other keys.
            algorithm: How tags are made.
        """
        self._key = key
        self.algorithm = algorithm
        self._name = algorithm.value.encode() + b"\0"

    def tag(self, exporter: str, year: int, person: str) -> bytes:
        """Return the tag of a person, 32 bytes.

        Args:
            exporter: Party id of the exporter of record.
            year: The year that counts.
            person: Canonical identifier or token of the subject.
        """
        account = f"{exporter}\0{year}\0{person}\0".encode()
        return self._mac(_PERSON + self._name + account)

    @property
    def check_value(self) -> bytes:
        """What shows that two keys are the same one, and gives neither away."""
        return self._mac(_CHECK + self._name)

    def _mac(self, message: bytes) -> bytes:
        if self.algorithm is TagAlgorithm.SHA256:
            return hmac.digest(self._key, message, "sha256")
        made = HMAC(self._key, hashes.SM3())
        made.update(message)
        return made.finalize()
