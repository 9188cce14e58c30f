"""Licences: documents that the authority signs, activated here, then suspended or revoked.

The authority's key signs elsewhere; the gateway holds only its public half. A renewal is the
same licence id with a higher serial. A suspension outlives a renewal, a revocation is final.
"""

import json
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, Field, StringConstraints

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.domain.licence import Agreement, Grant, Licence, Quotas
from gateway.domain.party import parse_party_id
from gateway.domain.vocabulary import LicenceKind, Status, SubjectKind
from gateway.registry import parties
from gateway.registry.act import Act, raise_version
from gateway.registry.documents import (
    LICENCE_TYPE,
    BadDocumentError,
    Claims,
    Verified,
    verify,
)
from gateway.store.upsert import upsert

SELECT = """
SELECT s.licence_id, s.serial, s.status, s.status_index, l.claims, l.signer, l.log_index
FROM licence_status AS s
JOIN licences AS l ON l.licence_id = s.licence_id AND l.serial = s.serial
"""
LicenceRow = tuple[str, int, str, int, str, str, int]

_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Instant = Annotated[int, Field(ge=0, le=_LAST_SECOND)]
PartyId = Annotated[str, StringConstraints(max_length=64), AfterValidator(parse_party_id)]


class AgreementClaims(Claims):
    """The agreement behind a licence (R32); a recognition agreement may name an exporter."""

    agreement_id: Identifier
    not_before: Instant
    not_after: Instant
    exporter: PartyId | None = None


class GrantClaims(Claims):
    """What is granted of one product."""

    fields: tuple[Name, ...] = Field(min_length=1, max_length=512)
    pseudonymous: bool = False
    minimum_subjects: int = Field(default=1, ge=1, le=1_000_000)
    provider_consent: Identifier | None = None


class QuotaClaims(Claims):
    """Limits of use; where one is missing the node's own holds."""

    calls_per_second: int | None = Field(default=None, ge=1)
    rows_per_day: int | None = Field(default=None, ge=1)


class LicenceClaims(Claims):
    """What a licence document says. Times are unix seconds, the end of a term exclusive."""

    v: Literal[1]
    licence_id: Identifier
    serial: int = Field(ge=1, le=2**31)
    party_id: PartyId
    kind: LicenceKind
    agreement: AgreementClaims
    grants: dict[Name, GrantClaims] = Field(min_length=1, max_length=256)
    purposes: tuple[Code, ...] = Field(min_length=1, max_length=256)
    scenarios: tuple[Code, ...] = Field(min_length=1, max_length=256)
    destinations: tuple[Country, ...] = Field(default=("CN",), min_length=1, max_length=250)
    subject_kinds: tuple[SubjectKind, ...] = Field(min_length=1, max_length=16)
    not_before: Instant
    not_after: Instant
    quotas: QuotaClaims = QuotaClaims()
    signed_requests: bool = False
    sealed_answers: bool = False


def activate(
    tx: Transaction,
    document: str,
    act: Act,
    *,
    authority_key: Callable[[str], Ed25519PublicKey | None],
    catalogue: Mapping[str, AbstractSet[str]] | None = None,
) -> Licence:
    """Verify a signed licence, put it in force and log it.

    Args:
        tx: The transaction.
        document: The signed document.
        act: The circumstances.
        authority_key: Key id to the authority's public key, or None.
        catalogue: Product name to its field names; given, unknown grants are refused.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, also for a term that is empty or over.
        BadSignatureError: `BAD_SIGNATURE`.
        NotFoundError: `NOT_FOUND` when the organisation is not registered.
        InvalidRequestError: `UNKNOWN_PRODUCT` or `UNKNOWN_FIELD`.
        ConflictError: `CONFLICT` when the serial is not higher than the last, the licence is
            another organisation's, or it was revoked.
    """
    verified = verify(document, authority_key, LICENCE_TYPE, LicenceClaims)
    claims = verified.claims
    _check_terms(claims, act.now)
    if catalogue is not None:
        check_grants(claims, catalogue)
    parties.find(tx, claims.party_id)
    if claims.agreement.exporter is not None:
        parties.find(tx, claims.agreement.exporter)
    last = _row(tx, claims.licence_id)
    if last is not None:
        _check_renewal(claims, from_row(last), act.now)
    return _write_document(tx, verified, last, act)


def suspend(tx: Transaction, licence_id: str, act: Act) -> Licence:
    """Suspend a licence at once, for running streams too, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` unless it is active.
    """
    return _set_status(tx, licence_id, {Status.ACTIVE}, Status.SUSPENDED, act)


def resume(tx: Transaction, licence_id: str, act: Act) -> Licence:
    """End a suspension and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` unless it is suspended.
    """
    return _set_status(tx, licence_id, {Status.SUSPENDED}, Status.ACTIVE, act)


def revoke(tx: Transaction, licence_id: str, act: Act) -> Licence:
    """End a licence for ever and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was revoked before.
    """
    return _set_status(tx, licence_id, {Status.ACTIVE, Status.SUSPENDED}, Status.REVOKED, act)


def next_serial(tx: Transaction, licence_id: str) -> int:
    """Return the serial that a renewal of this licence must have at least."""
    row = _row(tx, licence_id)
    return 1 if row is None else row[1] + 1


def find(tx: Transaction, licence_id: str) -> Licence:
    """Return a licence in its highest serial, whatever its status.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    row = _row(tx, licence_id)
    if row is None:
        raise NotFoundError("NOT_FOUND", "no such licence")
    return from_row(row)


def from_row(row: LicenceRow) -> Licence:
    """Return the licence in a row of `SELECT`."""
    _, _, status, status_index, claims_text, signer, index = row
    claims = json.loads(claims_text)  # the gateway wrote it after verifying it
    agreement, quotas = claims["agreement"], claims["quotas"]
    return Licence(
        licence_id=claims["licence_id"],
        serial=claims["serial"],
        party_id=claims["party_id"],
        kind=LicenceKind(claims["kind"]),
        agreement=Agreement(
            agreement["agreement_id"],
            agreement["not_before"],
            agreement["not_after"],
            # Licences of before this claim was known have none.
            agreement.get("exporter") or "",
        ),
        grants={
            name: Grant(
                frozenset(grant["fields"]),
                grant["pseudonymous"],
                grant["minimum_subjects"],
                # Licences of before this claim was known have none.
                grant.get("provider_consent") or "",
            )
            for name, grant in claims["grants"].items()
        },
        purposes=frozenset(claims["purposes"]),
        scenarios=frozenset(claims["scenarios"]),
        destinations=frozenset(claims["destinations"]),
        subject_kinds=frozenset(SubjectKind(kind) for kind in claims["subject_kinds"]),
        not_before=claims["not_before"],
        not_after=claims["not_after"],
        quotas=Quotas(quotas["calls_per_second"], quotas["rows_per_day"]),
        signed_requests=claims["signed_requests"],
        signer=signer,
        status=Status(status),
        index=index,
        status_index=status_index,
        # Licences of before this claim was known have none.
        sealed_answers=claims.get("sealed_answers", False),
    )


def check_grants(claims: LicenceClaims, catalogue: Mapping[str, AbstractSet[str]]) -> None:
    """Refuse grants of what no contract has.

    Raises:
        InvalidRequestError: `UNKNOWN_PRODUCT` or `UNKNOWN_FIELD`.
    """
    for product, grant in claims.grants.items():
        known = catalogue.get(product)
        if known is None:
            raise InvalidRequestError("UNKNOWN_PRODUCT", "the licence grants an unknown product")
        if not known >= set(grant.fields):
            raise InvalidRequestError(
                "UNKNOWN_FIELD", f"the licence grants unknown fields of {product}"
            )


def _check_terms(claims: LicenceClaims, now: int) -> None:
    if claims.not_before >= claims.not_after:
        raise BadDocumentError("the licence's term is empty")
    if claims.agreement.not_before >= claims.agreement.not_after:
        raise BadDocumentError("the agreement's term is empty")
    if min(claims.not_after, claims.agreement.not_after) <= now:
        raise BadDocumentError("the licence or its agreement is over already")


def _check_renewal(claims: LicenceClaims, last: Licence, now: int) -> None:
    if claims.party_id != last.party_id:
        raise ConflictError("CONFLICT", "this licence id is another organisation's")
    if last.status is Status.REVOKED:
        raise ConflictError("CONFLICT", "this licence was revoked; a new one has a new id")
    if claims.serial <= last.serial:
        raise ConflictError("CONFLICT", "the serial is not higher than the one in force")
    if claims.not_before > now:
        # It would replace the serial in force before its own term begins: an outage.
        raise BadDocumentError("the renewal's term has not begun; activate it when it has")


def _write_document(
    tx: Transaction, verified: Verified[LicenceClaims], last: LicenceRow | None, act: Act
) -> Licence:
    claims = verified.claims
    appended = tx.append(
        entries.licence_activated(
            time=act.now,
            node=act.node,
            actor=act.actor,
            licence=claims.licence_id,
            serial=claims.serial,
            party=claims.party_id,
            licence_kind=claims.kind.value,
            signer=verified.signer,
            document=verified.digest,
            not_before=claims.not_before,
            not_after=claims.not_after,
            registration=parties.find(tx, claims.party_id).index,
        )
    )
    tx.execute(
        "INSERT INTO licences (licence_id, serial, party_id, document, claims, signer, log_index)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            claims.licence_id,
            claims.serial,
            claims.party_id,
            verified.token,
            claims.model_dump_json(),
            verified.signer,
            appended.index,
        ),
    )
    status, status_index = (Status.ACTIVE.value, appended.index) if last is None else last[2:4]
    _store_status(tx, claims.licence_id, claims.serial, claims.party_id, status, status_index)
    return find(tx, claims.licence_id)


def _set_status(
    tx: Transaction, licence_id: str, allowed: AbstractSet[Status], status: Status, act: Act
) -> Licence:
    licence = find(tx, licence_id)
    if licence.status not in allowed:
        raise ConflictError("CONFLICT", "the licence's present status does not admit this")
    appended = tx.append(
        entries.licence_status(
            time=act.now,
            node=act.node,
            actor=act.actor,
            licence=licence_id,
            serial=licence.serial,
            party=licence.party_id,
            status=status.value,
            reason=act.reason,
        )
    )
    _store_status(tx, licence_id, licence.serial, licence.party_id, status.value, appended.index)
    return find(tx, licence_id)


def _store_status(
    tx: Transaction, licence_id: str, serial: int, party_id: str, status: str, index: int
) -> None:
    tx.execute(
        upsert(
            "licence_status",
            "licence_id, serial, party_id, status, status_index, changed",
            "licence_id",
        ),
        (licence_id, serial, party_id, status, index, raise_version(tx)),
    )


def _row(tx: Transaction, licence_id: str) -> LicenceRow | None:
    row: LicenceRow | None = tx.execute(SELECT + "WHERE s.licence_id = ?", (licence_id,)).fetchone()
    return row
