"""Recall notices and their acknowledgements, as a receiver reads and signs them.

A notice is a compact JWS (Ed25519) by the gateway's notice key. An acknowledgement is a compact
JWS (ES256) by the key of the receiver's TLS certificate, the one that signs its requests.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

NOTICE_TYPE = "xinguan-recall+jwt"
ACKNOWLEDGEMENT_TYPE = "xinguan-recall-ack+jwt"
_ED25519 = jws.JWSRegistry(algorithms=["Ed25519"])
_ED25519.max_payload_length = 4 << 20
_HEADER_NAMES = {"alg", "kid", "typ"}


class NoticeError(Exception):
    """The notice is malformed, of another type, or not signed by a key of the gateway."""


@dataclass(frozen=True, slots=True)
class NamedRow:
    """One row that was delivered.

    Args:
        request: Id of the request.
        batch: Number of the batch, as the answer numbered it.
        position: Place of the row in that batch, from 0.
        snapshot: The snapshot that answered.
        record_hash: Digest of the content, where the row carried it.
    """

    request: str
    batch: int
    position: int
    snapshot: str
    record_hash: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified notice.

    Args:
        cursor: Where to go on after it.
        status: Where it stands at the gateway.
        notice_id: Its id.
        party: To whom it is.
        kind: STOP_USE, SUSPEND_USE or RESUME_USE.
        reason: REPAIRED, WITHDRAWN or MASKED.
        product: Product of the record.
        effective_at: Unix seconds since which the record may not be used.
        issued_at: Unix seconds.
        due_at: Unix seconds by which it is to be acknowledged.
        form: CLEAR or PSEUDONYM.
        record_key: The record's key, where it was delivered.
        subject: The subject's pseudonym, where it was delivered.
        rows: How many rows it concerns.
        named: The first thousand of them; `Client.purge_list` has all.
        list_sha256: Digest of the list of all of them.
        document: The signed form, to be kept.
    """

    cursor: int
    status: str
    notice_id: str
    party: str
    kind: str
    reason: str
    product: str
    effective_at: int
    issued_at: int
    due_at: int
    form: str
    record_key: str
    subject: str
    rows: int
    named: tuple[NamedRow, ...]
    list_sha256: str
    document: str


def key_id_of(document: str) -> str:
    """Return the key id that a document names, unverified; empty when it names none."""
    try:
        return str(jws.extract_compact(document.encode()).protected.get("kid", ""))
    except (JoseError, ValueError):
        return ""


def read_notice(
    document: str, keys: Mapping[str, bytes], *, cursor: int = 0, status: str = ""
) -> Notice:
    """Return a notice after verifying its type and signature.

    Args:
        document: The compact form.
        keys: Key id to Ed25519 public key, 32 bytes, of the gateway.
        cursor: Where to go on after it.
        status: Where it stands at the gateway.

    Raises:
        NoticeError: It is malformed or no key of the gateway signed it.
    """
    try:
        header = jws.extract_compact(document.encode()).protected
        if header.keys() != _HEADER_NAMES or header["typ"] != NOTICE_TYPE:
            raise NoticeError("another kind of document")
        raw = keys[str(header["kid"])]
        pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        opened = jws.deserialize_compact(document, OKPKey.import_key(pem), registry=_ED25519)
        claims: dict[str, Any] = json.loads(opened.payload or b"")
        if claims.pop("v") != 1:
            raise NoticeError("another version")
        claims.pop("issuer")
        named = tuple(NamedRow(**row) for row in claims.pop("named"))
        return Notice(cursor=cursor, status=status, named=named, document=document, **claims)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise NoticeError("not a notice that this gateway signed") from error


def sign_acknowledgement(
    notice_id: str, party_id: str, key_pem: bytes, reply: str, *, rows: int = 0, reason: str = ""
) -> str:
    """Return a signed statement about a notice.

    Args:
        notice_id: The notice.
        party_id: The receiver.
        key_pem: The private key of its certificate (EC P-256), PEM.
        reply: PURGED, SUSPENDED, NOT_HELD or OBJECTED.
        rows: How many rows were purged or suspended.
        reason: Why it objects.
    """
    claims = {
        "v": 1,
        "notice_id": notice_id,
        "party": party_id,
        "reply": reply,
        "rows": rows,
        "reason": reason,
        "answered_at": int(time.time()),
    }
    header = {"alg": "ES256", "typ": ACKNOWLEDGEMENT_TYPE}
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    return jws.serialize_compact(header, payload, ECKey.import_key(key_pem))
