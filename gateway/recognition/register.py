"""The registers of mutual recognition: signed, versioned, put in effect by one of two ways.

- The authority's signature puts a document in effect at once.
- An administrator proposes one; two others, of two different roles, approve exactly its content.

A later version in effect replaces an earlier one. A withdrawn version is never replaced by an
older one: deny on doubt. Every act is one transaction with its entry.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit import entries
from audit.journal import Transaction
from gateway.domain.approvals import added, check_approver, indexes, is_enough
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.party import Party
from gateway.domain.recognition import Register
from gateway.domain.vocabulary import Role
from gateway.recognition import identifiers
from gateway.recognition.claims import (
    MODELS,
    AnyClaims,
    Ground,
    IdentifiersClaims,
    check,
    name_of,
    register_of,
)
from gateway.registry.act import Act, raise_version
from gateway.registry.approvals import read_approval
from gateway.registry.documents import Claims, Verified, parse_claims, verify
from gateway.registry.recognition import COLUMNS, Row
from gateway.store.upsert import upsert

_DOMAIN = b"xinguan/recognition/v1\x00"
KeyOf = Callable[[str], Ed25519PublicKey | None]


def document_type(register: Register, *, approval: bool = False) -> str:
    """Return the type of a signed document of a register, or of an approval of one."""
    return f"xinguan-{register.value}{'-approval' if approval else ''}+jwt"


@dataclass(frozen=True, slots=True)
class Statement:
    """One version of a document with everything known about it.

    Args:
        claims: What it says.
        salt: With it the log's digest of the content was made.
        proposer: Who proposed it, or handed in what the authority signed.
        approvals: Role to the approver and the log index of the approval.
        effect_index: Log index of what put it in effect, or None.
        withdrawn_at: Unix seconds, or None.
        index: Log index of the proposal, or of the registration.
    """

    claims: AnyClaims
    salt: bytes = field(repr=False)
    proposer: str
    approvals: dict[str, tuple[str, int]] = field(default_factory=dict)
    effect_index: int | None = None
    withdrawn_at: int | None = None
    index: int = -1

    @property
    def register(self) -> Register:
        """The register that it belongs to."""
        return register_of(self.claims)

    @property
    def name(self) -> str:
        """What its versions share."""
        return name_of(self.claims)

    @property
    def signed(self) -> bool:
        """True when the authority's signature put it in effect."""
        return self.effect_index is not None and self.effect_index == self.index


def enact(
    tx: Transaction, document: str, register: Register, act: Act, *, key_of: KeyOf, known: Ground
) -> Statement:
    """Put a document in effect that the authority signed, and log it.

    Args:
        tx: The transaction.
        document: The signed document.
        register: The register that it is for.
        act: The circumstances.
        key_of: Key id to the authority's public key, or None.
        known: What it is checked against.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        InvalidRequestError: as `claims.check`.
        ConflictError: `CONFLICT` when the version is not the next one, or an identifier names
            another enterprise already.
    """
    verified: Verified[Claims] = verify(document, key_of, document_type(register), MODELS[register])
    claims = _typed(verified.claims, register)
    check(claims, known, act.now)
    _check_version(tx, claims)
    salt = os.urandom(32)
    appended = tx.append(
        entries.recognition_registered(
            time=act.now,
            node=act.node,
            actor=act.actor,
            register=register.value,
            name=name_of(claims),
            version=claims.version,
            content=content_digest(claims, salt),
            signer=verified.signer,
            not_before=claims.not_before,
        )
    )
    return _store(
        tx,
        Statement(
            claims,
            salt,
            act.actor,
            {Role.AUTHORITY.value: (verified.signer, appended.index)},
            appended.index,
            index=appended.index,
        ),
    )


def propose(tx: Transaction, claims: AnyClaims, act: Act, known: Ground) -> Statement:
    """Record a document that awaits its approvals, and log it.

    Raises:
        BadDocumentError, InvalidRequestError: as `claims.check`.
        ConflictError: `CONFLICT` when the version is not the next one.
    """
    check(claims, known, act.now)
    _check_version(tx, claims)
    salt = os.urandom(32)
    appended = tx.append(
        entries.recognition_proposed(
            time=act.now,
            node=act.node,
            actor=act.actor,
            register=register_of(claims).value,
            name=name_of(claims),
            version=claims.version,
            content=content_digest(claims, salt),
            not_before=claims.not_before,
        )
    )
    return _store(tx, Statement(claims, salt, act.actor, index=appended.index))


def approve(tx: Transaction, claims: AnyClaims, approver: Party, act: Act) -> Statement:
    """Record the approval of exactly this content by an authenticated administrator.

    Raises:
        NotFoundError: `NOT_FOUND` when no such version was proposed.
        DeniedError: `ROLE_FORBIDDEN` for a role that doesn't approve, a suspended approver, or
            the proposer.
        ConflictError: `CONFLICT` when the content differs, the role has approved already, or the
            version was withdrawn, or put in effect by the authority.
    """
    found = find(tx, register_of(claims), name_of(claims), claims.version)
    if _canonical(found.claims) != _canonical(claims):
        raise ConflictError("CONFLICT", "what is approved is not what was proposed")
    given = found.approvals
    if found.withdrawn_at is not None or found.signed:
        raise ConflictError("CONFLICT", "it is withdrawn, or signed by the authority")
    check_approver(approver, "documents of recognition", proposer=found.proposer, given=given)
    appended = tx.append(
        entries.recognition_approved(
            time=act.now,
            node=act.node,
            actor=approver.party_id,
            register=found.register.value,
            name=found.name,
            version=claims.version,
            role=approver.role.value,
            proposal=found.index,
            earlier=indexes(given),
        )
    )
    approvals = added(given, approver, appended.index)
    done = found.effect_index
    if done is None and is_enough(approvals):
        done = appended.index
    return _store(tx, replace(found, approvals=approvals, effect_index=done))


def approve_signed(tx: Transaction, document: str, register: Register, act: Act) -> Statement:
    """Record an approval that its approver signed with a registered document key.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        NotFoundError, DeniedError, ConflictError: as `approve`.
    """
    kind = document_type(register, approval=True)
    model: type[Claims] = MODELS[register]
    verified, approver = read_approval(tx, document, kind, model)
    return approve(tx, _typed(verified.claims, register), approver, act)


def withdraw(tx: Transaction, register: Register, name: str, version: int, act: Act) -> Statement:
    """End a version from now on, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was withdrawn before.
    """
    found = find(tx, register, name, version)
    if found.withdrawn_at is not None:
        raise ConflictError("CONFLICT", "this version was withdrawn before")
    link = {"registration" if found.signed else "proposal": found.index}
    tx.append(
        entries.recognition_withdrawn(
            time=act.now,
            node=act.node,
            actor=act.actor,
            register=register.value,
            name=name,
            version=version,
            proposal=link.get("proposal"),
            registration=link.get("registration"),
        )
    )
    return _store(tx, replace(found, withdrawn_at=act.now))


def next_version(tx: Transaction, register: Register, name: str) -> int:
    """Return the number that the next version must have."""
    sql = "SELECT max(version) FROM recognition_documents WHERE register = ? AND name = ?"
    last: int | None = tx.execute(sql, (register.value, name)).fetchone()[0]
    return 1 if last is None else last + 1


def find(tx: Transaction, register: Register, name: str, version: int) -> Statement:
    """Return one version.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    row = tx.execute(
        f"SELECT {COLUMNS} FROM recognition_documents"
        " WHERE register = ? AND name = ? AND version = ?",
        (register.value, name, version),
    ).fetchone()
    if row is None:
        raise NotFoundError("NOT_FOUND", "no such version of such a document")
    return _from_row(row)


def every(tx: Transaction, register: Register) -> Sequence[Statement]:
    """Return every version of a register that was ever signed or proposed."""
    rows = tx.execute(
        f"SELECT {COLUMNS} FROM recognition_documents WHERE register = ? ORDER BY name, version",
        (register.value,),
    ).fetchall()
    return [_from_row(row) for row in rows]


def content_digest(claims: AnyClaims, salt: bytes) -> str:
    """Return the digest under which the log knows a document's content, hex."""
    return hashlib.sha256(_DOMAIN + salt + _canonical(claims)).hexdigest()


def _typed(claims: Claims, register: Register) -> AnyClaims:
    """Return verified claims as what `MODELS` made them."""
    for model in MODELS.values():
        if isinstance(claims, model) and model is MODELS[register]:
            return claims
    raise TypeError(register)


def _check_version(tx: Transaction, claims: AnyClaims) -> None:
    if claims.version != next_version(tx, register_of(claims), name_of(claims)):
        raise ConflictError("CONFLICT", "the version is not the one after the last")


def _canonical(claims: AnyClaims) -> bytes:
    content = claims.model_dump(mode="json")
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _from_row(row: Row) -> Statement:
    register, _, _, content, salt, proposer, approvals, effect, _, withdrawn, index = row
    claims = _typed(parse_claims(content.encode(), MODELS[Register(register)]), Register(register))
    given = {role: (who, at) for role, (who, at) in json.loads(approvals).items()}
    return Statement(claims, salt, proposer, given, effect, withdrawn, index)


def _store(tx: Transaction, statement: Statement) -> Statement:
    claims = statement.claims
    tx.execute(
        upsert("recognition_documents", f"{COLUMNS}, changed", "register, name, version"),
        (
            statement.register.value,
            statement.name,
            claims.version,
            _canonical(claims).decode(),
            statement.salt,
            statement.proposer,
            json.dumps(statement.approvals),
            statement.effect_index,
            claims.not_before,
            statement.withdrawn_at,
            statement.index,
            raise_version(tx),
        ),
    )
    if isinstance(claims, IdentifiersClaims) and statement.effect_index is not None:
        identifiers.write(tx, claims, withdrawn=statement.withdrawn_at is not None)
    return statement
