"""Openings of commitments and the index of subjects: outside the log, inside the database.

Openings are sealed with AES-256-GCM and bound to the index of their entry. They can be
destroyed without touching the log: its proofs still hold, only the values become unknowable.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.commitment import Opening
from audit.errors import ProofError
from audit.store import Reader
from audit.transaction import Row, Transaction

_NONCE_BYTES: Final = 12
_TAG: Final = b"xinguan/opening/v1\0"
_INTO_OPENINGS: Final = "INSERT INTO audit_opening (entry, sealed) VALUES"
_INTO_LABELS: Final = "INSERT INTO audit_label (label, entry) VALUES"
_ONCE: Final = "ON CONFLICT (label, entry) DO NOTHING"


class OpeningStore:
    """Seals and opens what the commitments of entries hide.

    Args:
        key: Sealing key, 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._seal = AESGCM(key)

    def record(
        self,
        tx: Transaction,
        index: int,
        openings: Mapping[str, Opening],
        labels: Sequence[bytes],
    ) -> None:
        """Keep the openings and subjects of an entry, in the transaction of the entry.

        Args:
            tx: The transaction that appended the entry.
            index: Index of the entry.
            openings: Member of the entry to what opens it.
            labels: Keyed labels of the subjects that the entry concerns.
        """
        for row in self.rows(index, openings, labels):
            tx.execute(f"{row.into} ({','.join('?' * len(row.values))}) {row.conflict}", row.values)

    def rows(
        self, index: int, openings: Mapping[str, Opening], labels: Sequence[bytes]
    ) -> list[Row]:
        """Return what `record` writes, as rows for `Journal.record`.

        Args:
            index: Index of the entry.
            openings: Member of the entry to what opens it.
            labels: Keyed labels of the subjects that the entry concerns.
        """
        made = [Row(_INTO_LABELS, (label, index), _ONCE) for label in labels]
        if openings:
            nonce = os.urandom(_NONCE_BYTES)
            sealed = nonce + self._seal.encrypt(nonce, _encode(openings), _bound_to(index))
            made.append(Row(_INTO_OPENINGS, (index, sealed)))
        return made

    def openings(self, connection: Reader, index: int) -> dict[str, Opening]:
        """Unseal what opens the commitments of an entry.

        Args:
            connection: Any connection to the state database.
            index: Index of the entry.

        Returns:
            Member to opening; empty when there is none or it was destroyed.

        Raises:
            ProofError: What is stored was not sealed with this key for this entry.
        """
        query = "SELECT sealed FROM audit_opening WHERE entry = ?"
        row = connection.execute(query, (index,)).fetchone()
        if row is None:
            return {}
        sealed: bytes = row[0]
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return _decode(self._seal.decrypt(nonce, text, _bound_to(index)))
        except (InvalidTag, ValueError) as error:
            raise ProofError("the openings of this entry cannot be unsealed") from error


def who(connection: Reader, label: bytes) -> list[int]:
    """Find the entries that concern a subject.

    Args:
        connection: Any connection to the state database.
        label: As `audit.commitment.subject_label` gives it.

    Returns:
        Indexes in order.
    """
    query = "SELECT entry FROM audit_label WHERE label = ? ORDER BY entry"
    return [row[0] for row in connection.execute(query, (label,))]


def _bound_to(index: int) -> bytes:
    return _TAG + index.to_bytes(8, "big")


def _encode(openings: Mapping[str, Opening]) -> bytes:
    plain = {
        name: [each.domain, b64encode(each.value).decode(), b64encode(each.salt).decode()]
        for name, each in openings.items()
    }
    return json.dumps(plain, separators=(",", ":")).encode()


def _decode(plain: bytes) -> dict[str, Opening]:
    return {
        name: Opening(domain, b64decode(value), b64decode(salt))
        for name, (domain, value, salt) in json.loads(plain).items()
    }
