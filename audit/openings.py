"""Openings of commitments and the index of subjects: outside the log, inside the database.

Openings are sealed with AES-256-GCM and bound to the index of their entry. They can be
destroyed without touching the log: its proofs still hold, only the values become unknowable.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.commitment import Opening
from audit.errors import ProofError
from audit.store import Cursor
from audit.transaction import Row, Rows, Transaction

_NONCE_BYTES: Final = 12
_TAG: Final = b"xinguan/opening/v1\0"
_INTO_OPENINGS: Final = "INSERT INTO audit_opening (entry, sealed) VALUES"
_INTO_LABELS: Final = "INSERT INTO audit_label (label, entry) VALUES"
_ONCE: Final = "ON CONFLICT (label, entry) DO NOTHING"
_SUBJECT_TAG: Final = b"xinguan/subject-opening/v1\0"
_SALT_BYTES: Final = 32
_INTO_SUBJECTS: Final = "INSERT INTO subject_openings (entry, label, sealed) VALUES"
_INTO_BULK: Final = "INSERT INTO bulk_entries (entry) VALUES"
# From so many subjects on, an entry's labels stand beside their openings alone, in the order of
# entries: in a table in the order of labels each would cost a page of its own.
BULK: Final = 1_025


class Reading(Protocol):
    """Runs a statement that reads: a connection, or a transaction under way."""

    def execute(self, sql: str, params: Sequence[object] = ..., /) -> Cursor:
        """Run one statement with positional parameters."""


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
        subjects: Sequence[bytes] = (),
    ) -> None:
        """Keep the openings and subjects of an entry, in the transaction of the entry.

        Args:
            tx: The transaction that appended the entry.
            index: Index of the entry.
            openings: Member of the entry to what opens it.
            labels: Keyed labels of the subjects that the entry concerns.
            subjects: What opens each of several subjects, as `rows` takes it.
        """
        for row in self.rows(index, openings, labels, subjects):
            for statement, values in row.statements():
                tx.execute(statement, values)

    def rows(
        self,
        index: int,
        openings: Mapping[str, Opening],
        labels: Sequence[bytes],
        subjects: Sequence[bytes] = (),
    ) -> list[Row | Rows]:
        """Return what `record` writes, as rows for `Journal.record`.

        Args:
            index: Index of the entry.
            openings: Member of the entry to what opens it.
            labels: Keyed labels of the subjects that the entry concerns.
            subjects: What opens each of several subjects, in the order of their labels, as
                `commit_subjects` returns it; each is sealed by itself, so that one can be
                destroyed without the others.
        """
        bulk = len(subjects) >= BULK
        made: list[Row | Rows] = [Row(_INTO_BULK, (index,))] if bulk else []
        if not bulk:
            made += [Row(_INTO_LABELS, (label, index), _ONCE) for label in labels]
        if openings:
            nonce = os.urandom(_NONCE_BYTES)
            sealed = nonce + self._seal.encrypt(nonce, _encode(openings), _bound_to(index))
            made.append(Row(_INTO_OPENINGS, (index, sealed)))
        if subjects:
            made.append(Rows(_INTO_SUBJECTS, 3, self._sealed_singly(index, labels, subjects)))
        return made

    def _sealed_singly(
        self, index: int, labels: Sequence[bytes], subjects: Sequence[bytes]
    ) -> list[object]:
        """Return entry, label and sealed opening of each subject, in the order of the table."""
        # One draw for all: a portfolio has thousands, and this runs on the writer's thread.
        drawn = os.urandom(_NONCE_BYTES * len(subjects))
        bound = _SUBJECT_TAG + index.to_bytes(8, "big")
        encrypt, at = self._seal.encrypt, 0
        values: list[object] = []
        for label, plain in sorted(zip(labels, subjects, strict=True), key=itemgetter(0)):
            nonce = drawn[at : at + _NONCE_BYTES]
            at += _NONCE_BYTES
            values += (index, label, nonce + encrypt(nonce, plain, bound + label))
        return values

    def subjects(self, connection: Reading, index: int) -> dict[bytes, Opening]:
        """Unseal what opens the single subjects of an entry that names several.

        Args:
            connection: Any connection to the state database, or a transaction.
            index: Index of the entry.

        Returns:
            Label to opening, without those that were destroyed.

        Raises:
            ProofError: What is stored was not sealed with this key for this entry.
        """
        query = "SELECT label, sealed FROM subject_openings WHERE entry = ?"
        return {
            label: self._open_one(index, label, sealed)
            for label, sealed in connection.execute(query, (index,))
        }

    def forget(self, tx: Transaction, index: int, members: Sequence[str]) -> bool:
        """Destroy what opens some members of an entry and keep the rest, sealed anew.

        Args:
            tx: The transaction of the entry that says so.
            index: Index of the entry.
            members: Names of the members.

        Returns:
            False when there was nothing of them to destroy.

        Raises:
            ProofError: What is stored was not sealed with this key for this entry.
        """
        openings = self.openings(tx, index)
        kept = {name: each for name, each in openings.items() if name not in members}
        if len(kept) == len(openings):
            return False
        tx.execute("DELETE FROM audit_opening WHERE entry = ?", (index,))
        self.record(tx, index, kept, ())
        return True

    def _open_one(self, index: int, label: bytes, sealed: bytes) -> Opening:
        bound = _SUBJECT_TAG + index.to_bytes(8, "big") + label
        try:
            plain = self._seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
        except (InvalidTag, ValueError) as error:
            raise ProofError("the openings of this entry cannot be unsealed") from error
        return Opening("subject", plain[_SALT_BYTES:], plain[:_SALT_BYTES])

    def openings(self, connection: Reading, index: int) -> dict[str, Opening]:
        """Unseal what opens the commitments of an entry.

        Args:
            connection: Any connection to the state database, or a transaction.
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


def who(connection: Reading, label: bytes) -> list[int]:
    """Find the entries that concern a subject.

    Args:
        connection: Any connection to the state database, or a transaction.
        label: As `audit.commitment.subject_label` gives it.

    Returns:
        Indexes in order.
    """
    query = "SELECT entry FROM subject_labels WHERE label = ? ORDER BY entry"
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
