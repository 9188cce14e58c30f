"""Consents: documents of registered consent issuers, kept sealed, matched by keyed labels.

Subjects stand in the document in the clear; outside it they exist only as labels under a key
of this gateway. The log knows a consent by its index and a salted digest. The document itself
is kept sealed, so that it can be shown to an authority and to nobody else.
Sources: PIPL 14, 17, 23, 29, 39; domain-rules 3.3 M.
"""

import hmac
import json
import os
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field, StringConstraints

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import ConflictError, DeniedError, NotFoundError
from gateway.domain.identifiers import MalformedIdentifierError, parse_uscc
from gateway.domain.licence import Consent
from gateway.domain.vocabulary import Role, Status
from gateway.registry import document_keys, parties
from gateway.registry.act import Act, raise_version
from gateway.registry.documents import (
    CONSENT_TYPE,
    BadDocumentError,
    BadSignatureError,
    Claims,
    Verified,
    verify,
)
from gateway.registry.licences import Code, Identifier, Instant, Name, PartyId

COLUMNS = (
    "consent_id, issuer, recipient, subjects, terms, not_before, not_after, withdrawn_at,"
    " digest, log_index"
)
ConsentRow = tuple[str, str, str, str, str, int, int, int | None, str, int]
MAX_CONSENT_BYTES = 1 << 20
_SALT_BYTES = 32
_NONCE_BYTES = 12
_DIGEST_DOMAIN = b"xinguan/consent-digest/v1\0"
_LABEL_DOMAIN = b"xinguan/consent-subject/v1\0"

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Subject = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_\-]{8,64}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class CrossBorderClaims(Claims):
    """What a consent to export must name (PIPL 39); the exporter where it was given to one."""

    exporter: PartyId | None = None
    recipient_name: Text
    contact: Text
    purpose: Text
    method: Text
    kinds: tuple[Text, ...] = Field(min_length=1, max_length=64)
    rights_channel: Text


class ConsentClaims(Claims):
    """What a consent document says. Times are unix seconds, `expires_at` exclusive."""

    v: Literal[1]
    consent_id: Identifier
    subjects: tuple[Subject, ...] = Field(min_length=1, max_length=10_000)
    grantor: Text
    processor: Text
    recipient: PartyId
    recipient_name: Text
    recipient_contact: Text
    purpose_codes: tuple[Code, ...] = Field(min_length=1, max_length=64)
    data_kinds: tuple[Name, ...] = Field(min_length=1, max_length=256)
    mode: Literal["GENERAL", "SEPARATE", "WRITTEN"]
    cross_border: CrossBorderClaims | None = None
    given_at: Instant
    expires_at: Instant
    evidence_hash: Sha256
    text_version: Identifier


@dataclass(frozen=True, slots=True)
class ConsentKeys:
    """The keys of consents.

    Args:
        label_key: 32 bytes; labels subjects.
        sealing_key: 32 bytes; seals documents (AES-256-GCM).
    """

    label_key: bytes = field(repr=False)
    sealing_key: bytes = field(repr=False)


def subject_label(label_key: bytes, subject: str) -> str:
    """Return the keyed label under which a subject is matched, hex; not the log's label."""
    return hmac.new(label_key, _LABEL_DOMAIN + subject.encode(), "sha256").hexdigest()


def register(tx: Transaction, document: str, act: Act, keys: ConsentKeys) -> Consent:
    """Verify a consent document, register it and log its salted digest.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, also for a term that is empty, over or not begun.
        BadSignatureError: `BAD_SIGNATURE` when no registered document key signed it.
        DeniedError: `ROLE_FORBIDDEN` when the signer is no active consent issuer.
        ConflictError: `CONFLICT` when the consent id was used before.
    """
    verified = verify(
        document,
        lambda key: document_keys.active_public_key(tx, key),
        CONSENT_TYPE,
        ConsentClaims,
        max_bytes=MAX_CONSENT_BYTES,
    )
    claims = verified.claims
    if not claims.given_at <= act.now < claims.expires_at:
        raise BadDocumentError("the consent is not given yet, or it is over already")
    issuer = _issuer(tx, verified.signer)
    if _row(tx, claims.consent_id) is not None:
        raise ConflictError("CONFLICT", "this consent id was used before")
    salt = os.urandom(_SALT_BYTES)
    digest = hmac.new(salt, _DIGEST_DOMAIN + verified.token.encode(), "sha256").hexdigest()
    consent = Consent(
        consent_id=claims.consent_id,
        issuer=issuer,
        recipient=claims.recipient,
        subjects=frozenset(
            subject_label(keys.label_key, _canonical(subject)) for subject in claims.subjects
        ),
        mode=claims.mode,
        purposes=frozenset(claims.purpose_codes),
        data_kinds=frozenset(claims.data_kinds),
        cross_border=claims.cross_border is not None,
        exporter=(claims.cross_border and claims.cross_border.exporter) or "",
        not_before=claims.given_at,
        not_after=claims.expires_at,
        withdrawn_at=None,
        index=-1,
        digest=digest,
    )
    sealed = _seal(keys.sealing_key, salt, verified)
    return _insert(tx, consent, sealed, act)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The end of a consent.

    Args:
        consent: The consent, withdrawn.
        index: Log index of the withdrawal.
    """

    consent: Consent
    index: int


def withdraw(tx: Transaction, consent_id: str, act: Act) -> Withdrawal:
    """End a consent from now on, for running streams too, and log it.

    Raises:
        NotFoundError: `CONSENT_UNKNOWN`.
        ConflictError: `CONFLICT` when it was withdrawn before.
    """
    consent = find(tx, consent_id)
    if consent.withdrawn_at is not None:
        raise ConflictError("CONFLICT", "this consent was withdrawn before")
    appended = tx.append(
        entries.consent_withdrawn(
            time=act.now,
            node=act.node,
            actor=act.actor,
            consent=consent.index,
            issuer=consent.issuer,
            digest=consent.digest,
        )
    )
    tx.execute(
        "UPDATE consents SET withdrawn_at = ?, changed = ? WHERE consent_id = ?",
        (act.now, raise_version(tx), consent_id),
    )
    return Withdrawal(replace(consent, withdrawn_at=act.now), appended.index)


def open_sealed(tx: Transaction, consent_id: str, keys: ConsentKeys) -> tuple[bytes, str]:
    """Return the salt of a consent's digest and its document, for an authority's eyes.

    Raises:
        NotFoundError: `CONSENT_UNKNOWN`.
    """
    consent = find(tx, consent_id)
    sql = "SELECT sealed FROM consents WHERE consent_id = ?"
    sealed: bytes = tx.execute(sql, (consent.consent_id,)).fetchone()[0]
    cipher = AESGCM(keys.sealing_key)
    opened = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], consent_id.encode())
    return opened[:_SALT_BYTES], opened[_SALT_BYTES:].decode()


def find(tx: Transaction, consent_id: str) -> Consent:
    """Return a registered consent, withdrawn or not.

    Raises:
        NotFoundError: `CONSENT_UNKNOWN`.
    """
    row = _row(tx, consent_id)
    if row is None:
        raise NotFoundError("CONSENT_UNKNOWN", "no such consent is registered")
    return from_row(row)


def from_row(row: ConsentRow) -> Consent:
    """Return the consent in a row of `COLUMNS`."""
    identity, issuer, recipient, subjects, terms, start, end, withdrawn_at, digest, index = row
    stated = json.loads(terms)
    return Consent(
        consent_id=identity,
        issuer=issuer,
        recipient=recipient,
        subjects=frozenset(json.loads(subjects)),
        mode=stated["mode"],
        purposes=frozenset(stated["purposes"]),
        data_kinds=frozenset(stated["data_kinds"]),
        cross_border=stated["cross_border"],
        # Consents of before this claim was known name none.
        exporter=stated.get("exporter", ""),
        not_before=start,
        not_after=end,
        withdrawn_at=withdrawn_at,
        index=index,
        digest=digest,
    )


def _issuer(tx: Transaction, signer: str) -> str:
    """Return the party behind a signature after checking that it may issue consents."""
    try:
        party = parties.find(tx, document_keys.find(tx, signer).party_id)
    except NotFoundError:
        raise BadSignatureError from None
    if party.role is not Role.CONSENT_ISSUER or party.status is not Status.ACTIVE:
        raise DeniedError(
            "ROLE_FORBIDDEN",
            "only an active consent issuer signs consents",
            hints=("register it: xinguan party add --role CONSENT_ISSUER",),
        )
    return party.party_id


def _canonical(subject: str) -> str:
    """Return a subject as requests name it: a code in its canonical form, or a token as is."""
    try:
        return parse_uscc(subject)
    except MalformedIdentifierError:
        return subject


def _seal(sealing_key: bytes, salt: bytes, verified: Verified[ConsentClaims]) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    plain = salt + verified.token.encode()
    return nonce + AESGCM(sealing_key).encrypt(nonce, plain, verified.claims.consent_id.encode())


def _insert(tx: Transaction, consent: Consent, sealed: bytes, act: Act) -> Consent:
    appended = tx.append(
        entries.consent_registered(
            time=act.now,
            node=act.node,
            actor=act.actor,
            issuer=consent.issuer,
            recipient=consent.recipient,
            digest=consent.digest,
            mode=consent.mode,
            cross_border=consent.cross_border,
            not_before=consent.not_before,
            not_after=consent.not_after,
        )
    )
    terms = {
        "mode": consent.mode,
        "purposes": sorted(consent.purposes),
        "data_kinds": sorted(consent.data_kinds),
        "cross_border": consent.cross_border,
        "exporter": consent.exporter,
    }
    tx.execute(
        f"INSERT INTO consents ({COLUMNS}, sealed, changed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?)",
        (
            consent.consent_id,
            consent.issuer,
            consent.recipient,
            json.dumps(sorted(consent.subjects)),
            json.dumps(terms),
            consent.not_before,
            consent.not_after,
            consent.digest,
            appended.index,
            sealed,
            raise_version(tx),
        ),
    )
    return replace(consent, index=appended.index)


def _row(tx: Transaction, consent_id: str) -> ConsentRow | None:
    sql = f"SELECT {COLUMNS} FROM consents WHERE consent_id = ?"
    row: ConsentRow | None = tx.execute(sql, (consent_id,)).fetchone()
    return row
