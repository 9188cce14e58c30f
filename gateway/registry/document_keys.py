"""Keys with which parties sign documents and requests: Ed25519, one owner each, revocable."""

from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.vocabulary import Status
from gateway.registry import parties
from gateway.registry.act import Act, raise_version
from gateway.registry.documents import key_id
from gateway.store.upsert import upsert

COLUMNS = "key_id, party_id, public_key, status, log_index"
DocumentKeyRow = tuple[str, str, bytes, str, int]
PURPOSE = "document"


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """A registered document key.

    Args:
        key_id: JWK thumbprint of the key.
        party_id: Whose signature it makes.
        public_key: The key.
        status: ACTIVE or REVOKED.
        index: Log index of the act that set the status.
    """

    key_id: str
    party_id: str
    public_key: Ed25519PublicKey
    status: Status
    index: int


def register(tx: Transaction, party_id: str, key: Ed25519PublicKey, act: Act) -> DocumentKey:
    """Register a document key of a party and log it.

    Raises:
        NotFoundError: `NOT_FOUND` when the party is not registered.
        ConflictError: `CONFLICT` when the key is registered already, by anyone.
    """
    parties.find(tx, party_id)
    identity = key_id(key)
    if _row(tx, identity) is not None:
        raise ConflictError("CONFLICT", "this key is registered already")
    return _write(tx, DocumentKey(identity, party_id, key, Status.ACTIVE, index=-1), act)


def revoke(tx: Transaction, identity: str, act: Act) -> DocumentKey:
    """Accept nothing more that a key signs, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was revoked before.
    """
    key = find(tx, identity)
    if key.status is Status.REVOKED:
        raise ConflictError("CONFLICT", "this key was revoked before")
    return _write(tx, replace(key, status=Status.REVOKED), act)


def find(tx: Transaction, identity: str) -> DocumentKey:
    """Return a registered key, whatever its status.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    row = _row(tx, identity)
    if row is None:
        raise NotFoundError("NOT_FOUND", "no such document key is registered")
    return from_row(row)


def active_public_key(tx: Transaction, identity: str) -> Ed25519PublicKey | None:
    """Return a key whose signatures count now, or None."""
    row = _row(tx, identity)
    if row is None or row[3] != Status.ACTIVE.value:
        return None
    return from_row(row).public_key


def from_row(row: DocumentKeyRow) -> DocumentKey:
    """Return the key in a row of `COLUMNS`."""
    identity, party_id, public_key, status, index = row
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return DocumentKey(identity, party_id, key, Status(status), index)


def _write(tx: Transaction, key: DocumentKey, act: Act) -> DocumentKey:
    appended = tx.append(
        entries.key_changed(
            time=act.now,
            node=act.node,
            actor=act.actor,
            party=key.party_id,
            purpose=PURPOSE,
            key=key.key_id,
            status=key.status.value,
        )
    )
    written = replace(key, index=appended.index)
    tx.execute(
        upsert("document_keys", f"{COLUMNS}, changed", "key_id"),
        (
            written.key_id,
            written.party_id,
            written.public_key.public_bytes_raw(),
            written.status.value,
            written.index,
            raise_version(tx),
        ),
    )
    return written


def _row(tx: Transaction, identity: str) -> DocumentKeyRow | None:
    sql = f"SELECT {COLUMNS} FROM document_keys WHERE key_id = ?"
    row: DocumentKeyRow | None = tx.execute(sql, (identity,)).fetchone()
    return row
