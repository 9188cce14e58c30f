"""Making a credential (SD-JWT VC) of a record that the road released: pure, but for salts."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.credential.jws import Jwk, Signer
from gateway.credential.opening import CREDENTIAL_TYPE
from gateway.credential.sd_jwt import ALGORITHM, DIGESTS, SHA_256, Salts, combine, conceal
from gateway.domain.errors import InternalError

# Claims that the issuer always shows, and that no field of a record may be named like.
RESERVED = frozenset(
    {"iss", "iat", "nbf", "exp", "vct", "vct#integrity", "cnf", "status", "jti", "sub", "aud"}
    | {"release", DIGESTS, ALGORITHM, "..."}
)
_APART = "_of_record"  # a product's own `status` is another thing than a credential's


@dataclass(frozen=True, slots=True)
class Head:
    """What every reader of a credential sees.

    Args:
        issuer: URL of the issuer.
        credential_id: Random id.
        kind: URL of the type metadata.
        integrity: Its digest, as subresource integrity states it.
        issued_at: Unix seconds.
        expires_at: Unix seconds.
        list_uri: Where its status is.
        place: Its entry there.
        release: What the answer rested on: policy, log, snapshot, duties.
        holder: Public key of the holder, or None when it isn't bound.
    """

    issuer: str
    credential_id: str
    kind: str
    integrity: str
    issued_at: int
    expires_at: int
    list_uri: str
    place: int
    release: Mapping[str, object]
    holder: Jwk | None = None


def claim_name(field: str) -> str:
    """Return the name of the claim that a field of a record becomes."""
    return f"{field}{_APART}" if field in RESERVED else field


def mint(
    signer: Signer,
    head: Head,
    fields: Mapping[str, object],
    *,
    decoys: int = 0,
    salts: Salts = secrets.token_bytes,
) -> str:
    """Return a credential in which each field is disclosed by itself.

    Args:
        signer: The issuer's key.
        head: What everybody sees.
        fields: Released fields with their values, by `claim_name`.
        decoys: Digests of nothing.
        salts: Draws random bytes.

    Raises:
        InternalError: `EDGE_CHECK` when a field is named like a claim of the issuer.
    """
    if not RESERVED.isdisjoint(fields):
        raise InternalError("EDGE_CHECK", "a field has the name of a registered claim")
    digests, disclosures = conceal(fields, decoys=decoys, salts=salts)
    payload = {
        "iss": head.issuer,
        "jti": head.credential_id,
        "iat": head.issued_at,
        "nbf": head.issued_at,
        "exp": head.expires_at,
        "vct": head.kind,
        "vct#integrity": head.integrity,
        "status": {"status_list": {"idx": head.place, "uri": head.list_uri}},
        "release": head.release,
        **({} if head.holder is None else {"cnf": {"jwk": head.holder}}),
        DIGESTS: digests,
        ALGORITHM: SHA_256,
    }
    return combine(signer.sign(CREDENTIAL_TYPE, payload), [one.text for one in disclosures])
