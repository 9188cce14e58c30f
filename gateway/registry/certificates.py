"""Pinned certificates: a party may hold several, replace one, and lose one, licences untouched."""

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.domain.party import Certificate
from gateway.domain.vocabulary import Status
from gateway.identity.certificates import PeerCertificate, read_certificate
from gateway.registry import parties
from gateway.registry.act import Act, raise_version
from gateway.store.upsert import upsert

COLUMNS = "fingerprint, party_id, not_before, not_after, status, log_index"
CertificateRow = tuple[str, str, int, int, str, int]


def pin(tx: Transaction, pem: bytes, act: Act) -> Certificate:
    """Pin a certificate for the party that it names, and log it.

    The same key in a newer certificate renews the pin; a revoked key never comes back.

    Raises:
        CertificateError: `BAD_CERTIFICATE` or `WEAK_KEY`.
        InvalidRequestError: `BAD_CERTIFICATE` when it names no party or has expired.
        NotFoundError: `NOT_FOUND` when the party is not registered.
        ConflictError: `CONFLICT` when the key is another party's or was revoked.
    """
    peer = read_certificate(pem)
    if not peer.party_id:
        raise InvalidRequestError("BAD_CERTIFICATE", "the certificate names no party")
    if peer.not_after < act.now:
        raise InvalidRequestError("BAD_CERTIFICATE", "the certificate has expired already")
    parties.find(tx, peer.party_id)
    row = _row(tx, peer.fingerprint)
    if row is not None:
        present = from_row(row)
        if present.party_id != peer.party_id:
            raise ConflictError("CONFLICT", "this key is pinned for another organisation")
        if present.status is not Status.ACTIVE:
            raise ConflictError("CONFLICT", "this key was revoked; a new key is needed")
    return _pin(tx, peer, act)


def replace(tx: Transaction, pem: bytes, old_fingerprint: str, act: Act) -> Certificate:
    """Pin a new certificate and revoke an old one of the same party, in one transaction.

    Raises:
        NotFoundError: `NOT_FOUND` when the old one is not pinned.
        ConflictError: `CONFLICT` when it is another party's, or both have the same key.
        InvalidRequestError: as `pin`.
    """
    old = find(tx, old_fingerprint)
    new = pin(tx, pem, act)
    if new.party_id != old.party_id:
        raise ConflictError("CONFLICT", "the old certificate is another organisation's")
    if new.fingerprint == old.fingerprint:
        raise ConflictError("CONFLICT", "the new certificate holds the old key: pin it instead")
    revoke(tx, old.fingerprint, act)
    return new


def revoke(tx: Transaction, fingerprint: str, act: Act) -> Certificate:
    """Refuse a certificate's key from now on, for ever, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was revoked before.
    """
    certificate = find(tx, fingerprint)
    if certificate.status is Status.REVOKED:
        raise ConflictError("CONFLICT", "this certificate was revoked before")
    appended = tx.append(
        entries.certificate_revoked(
            time=act.now,
            node=act.node,
            actor=act.actor,
            party=certificate.party_id,
            fingerprint=certificate.fingerprint,
        )
    )
    revoked = Certificate(
        certificate.fingerprint,
        certificate.party_id,
        certificate.not_before,
        certificate.not_after,
        Status.REVOKED,
        appended.index,
    )
    _store(tx, revoked)
    return revoked


def find(tx: Transaction, fingerprint: str) -> Certificate:
    """Return a pinned certificate, whatever its status.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    row = _row(tx, fingerprint)
    if row is None:
        raise NotFoundError("NOT_FOUND", "no such certificate is pinned")
    return from_row(row)


def from_row(row: CertificateRow) -> Certificate:
    """Return the certificate in a row of `COLUMNS`."""
    fingerprint, party_id, not_before, not_after, status, index = row
    return Certificate(fingerprint, party_id, not_before, not_after, Status(status), index)


def _pin(tx: Transaction, peer: PeerCertificate, act: Act) -> Certificate:
    appended = tx.append(
        entries.certificate_pinned(
            time=act.now,
            node=act.node,
            actor=act.actor,
            party=peer.party_id,
            fingerprint=peer.fingerprint,
            not_before=peer.not_before,
            not_after=peer.not_after,
            registration=parties.find(tx, peer.party_id).index,
        )
    )
    certificate = Certificate(
        peer.fingerprint,
        peer.party_id,
        peer.not_before,
        peer.not_after,
        Status.ACTIVE,
        appended.index,
    )
    _store(tx, certificate)
    return certificate


def _store(tx: Transaction, certificate: Certificate) -> None:
    tx.execute(
        upsert("certificates", f"{COLUMNS}, changed", "fingerprint"),
        (
            certificate.fingerprint,
            certificate.party_id,
            certificate.not_before,
            certificate.not_after,
            certificate.status.value,
            certificate.index,
            raise_version(tx),
        ),
    )


def _row(tx: Transaction, fingerprint: str) -> CertificateRow | None:
    sql = f"SELECT {COLUMNS} FROM certificates WHERE fingerprint = ?"
    row: CertificateRow | None = tx.execute(sql, (fingerprint,)).fetchone()
    return row
