"""Keys to which a party has its answers encrypted: public JWKs, one owner each, revocable.

A party makes the key pair itself; the private half never comes here. It registers the public half
with a document that its registered document key signs, or the operator adds it at the console.
The newest active one is used. An answer that was encrypted stays readable by whoever kept the
private key: a revocation concerns answers to come.
"""

import json
from dataclasses import dataclass, replace
from typing import Literal

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import ConflictError, DeniedError, InvalidRequestError, NotFoundError
from gateway.domain.facts import RecipientKey
from gateway.domain.vocabulary import Status
from gateway.registry import document_keys, parties
from gateway.registry.act import Act, raise_version
from gateway.registry.documents import Claims, verify
from gateway.registry.licences import Instant, PartyId
from gateway.store.upsert import upsert

COLUMNS = "key_id, party_id, jwk, status, log_index"
EncryptionKeyRow = tuple[str, str, str, str, int]
PURPOSE = "encryption"
KEY_TYPE = "xinguan-encryption-key+jwt"
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_CURVES = frozenset({"P-256", "P-384", "P-521", "X25519"})
_TRIAL = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM"}
_OPTIONAL = frozenset({"kid", "use", "alg", "key_ops"})


class PublicJwk(Claims):
    """A public key as a document states it; a private member is an unknown claim."""

    kty: Literal["EC", "OKP"]
    crv: str
    x: str
    y: str | None = None


class EncryptionKeyClaims(Claims):
    """What a party signs to have answers encrypted to a key of its own."""

    v: Literal[1] = 1
    party_id: PartyId
    jwk: PublicJwk
    issued_at: Instant


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A registered encryption key.

    Args:
        key_id: JWK thumbprint of the key.
        party_id: Whose it is.
        jwk: The public key, JSON.
        status: ACTIVE or REVOKED.
        index: Log index of the act that set the status.
    """

    key_id: str
    party_id: str
    jwk: str
    status: Status
    index: int

    def recipient(self) -> RecipientKey:
        """Return it as a delivery needs it."""
        return RecipientKey(self.key_id, self.jwk)


def parse_jwk(text: str | bytes) -> tuple[str, str]:
    """Return key id and canonical JSON of a public key for key agreement.

    Raises:
        InvalidRequestError: `BAD_KEY` for a private key, another kind or curve, or no key.
    """
    bad = InvalidRequestError(
        "BAD_KEY",
        "not a public key for ECDH: a JWK, EC (P-256, P-384, P-521) or OKP (X25519)",
        hints=(
            "give the public half alone, a JSON object as `make --public` writes it",
            "a private key stays with its owner: leave its member `d` out",
        ),
    )
    try:
        stated = json.loads(text)
        needed = _MEMBERS[stated["kty"]]
        if stated["crv"] not in _CURVES or not set(stated) - _OPTIONAL == set(needed):
            raise bad
        if stated.get("use", "enc") != "enc":
            raise bad
        jwk: dict[str, str | list[str]] = {name: str(stated[name]) for name in needed}
        key = ECKey.import_key(jwk) if jwk["kty"] == "EC" else OKPKey.import_key(jwk)
        # Points of small order are found only by agreeing on a secret with them.
        jwe.encrypt_compact(dict(_TRIAL), b"", key, algorithms=list(_TRIAL.values()))
        return key.thumbprint(), json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    except (ValueError, TypeError, KeyError, JoseError):
        raise bad from None


def register(tx: Transaction, party_id: str, jwk: str | bytes, act: Act) -> EncryptionKey:
    """Register an encryption key of a party and log it.

    Raises:
        InvalidRequestError: `BAD_KEY`.
        NotFoundError: `NOT_FOUND` when the party is not registered.
        ConflictError: `CONFLICT` when the key is registered already, by anyone.
    """
    parties.find(tx, party_id)
    identity, public = parse_jwk(jwk)
    if _row(tx, identity) is not None:
        raise ConflictError("CONFLICT", "this key is registered already")
    return _write(tx, EncryptionKey(identity, party_id, public, Status.ACTIVE, -1), act)


def register_signed(tx: Transaction, document: str, act: Act) -> EncryptionKey:
    """Register the key in a document that the party signed with its registered document key.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        DeniedError: `ROLE_FORBIDDEN` when another party's key signed it.
        InvalidRequestError, NotFoundError, ConflictError: as `register`.
    """
    verified = verify(
        document,
        lambda key: document_keys.active_public_key(tx, key),
        KEY_TYPE,
        EncryptionKeyClaims,
    )
    claims = verified.claims
    if document_keys.find(tx, verified.signer).party_id != claims.party_id:
        raise DeniedError("ROLE_FORBIDDEN", "a party signs for its own encryption key only")
    return register(tx, claims.party_id, claims.jwk.model_dump_json(exclude_none=True), act)


def revoke(tx: Transaction, identity: str, act: Act) -> EncryptionKey:
    """Encrypt nothing more to a key, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was revoked before.
    """
    row = _row(tx, identity)
    if row is None:
        raise NotFoundError("NOT_FOUND", "no such encryption key is registered")
    key = from_row(row)
    if key.status is Status.REVOKED:
        raise ConflictError("CONFLICT", "this key was revoked before")
    return _write(tx, replace(key, status=Status.REVOKED), act)


def from_row(row: EncryptionKeyRow) -> EncryptionKey:
    """Return the key in a row of `COLUMNS`."""
    identity, party_id, jwk, status, index = row
    return EncryptionKey(identity, party_id, jwk, Status(status), index)


def _write(tx: Transaction, key: EncryptionKey, act: Act) -> EncryptionKey:
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
        upsert("encryption_keys", f"{COLUMNS}, changed", "key_id"),
        (
            written.key_id,
            written.party_id,
            written.jwk,
            written.status.value,
            written.index,
            raise_version(tx),
        ),
    )
    return written


def _row(tx: Transaction, identity: str) -> EncryptionKeyRow | None:
    sql = f"SELECT {COLUMNS} FROM encryption_keys WHERE key_id = ?"
    row: EncryptionKeyRow | None = tx.execute(sql, (identity,)).fetchone()
    return row
