"""Opening what an issuer signed: an SD-JWT VC (`dc+sd-jwt`, RFC 9901) or a signed report (JWS).

    verify(presentation, issuer_keys, now) -> claims

Everything that the document itself can prove is proved here: signature, disclosures, validity,
and the holder's binding when it is demanded. Who the issuer is and what it may state is the
register's affair (`gateway.inbound.checking`), and whether it still holds is the status list's.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.inbound.disclosures import disclose
from gateway.inbound.errors import ForeignDocumentError, malformed, untimely
from gateway.inbound.jose import (
    MAX_TOKEN_BYTES,
    Json,
    VerificationKey,
    encode,
    open_token,
    open_with,
    read_key,
)

SD_JWT_TYPE, KEY_BINDING_TYPE, REPORT_TYPE = "dc+sd-jwt", "kb+jwt", "credit-report+jwt"
LEEWAY_S = 60
_KEY_BINDING_AGE_S = 300
# SD-JWT VC section 3.2.2.2: these rule the document, so they always stand in the open.
_ALWAYS_OPEN = ("iss", "nbf", "exp", "cnf", "vct", "status")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a holder must have bound its presentation to.

    Args:
        audience: Who it was presented to: this gateway.
        nonce: What the gateway asked it to include, so that no older one can be replayed.
    """

    audience: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Presented:
    """A document that proved itself.

    Args:
        claims: What it says; what was withheld is not there.
        key_id: The issuer's key that signed it.
        form: `SD_JWT` or `JWS`.
        digest: SHA-256 of the document as its issuer signed it, without disclosures.
        bound: Whether its holder proved to be the one it was issued to.
    """

    claims: Json
    key_id: str
    form: str
    digest: bytes
    bound: bool


def verify(
    presentation: str,
    issuer_keys: Mapping[str, VerificationKey],
    now: int,
    *,
    binding: Binding | None = None,
) -> Presented:
    """Verify a document and return what it says.

    Args:
        presentation: Compact SD-JWT (with `~`) or compact JWS.
        issuer_keys: The keys that may have signed it, by `kid`; no other key counts.
        now: Unix seconds.
        binding: Demand that its holder bound it to this; None when nobody need hold it.

    Raises:
        ForeignDocumentError: With a `FOREIGN_` code: it proves nothing.
    """
    if len(presentation) > MAX_TOKEN_BYTES or not presentation.isascii():
        raise malformed("it is too large or not ASCII")
    token, *rest = presentation.split("~")
    if not rest:
        if binding is not None:
            raise _unbound("a signed report has no holder, and one is demanded")
        opened = open_token(token, issuer_keys, REPORT_TYPE)
        check_times(opened.payload, now)
        return Presented(opened.payload, opened.key_id, "JWS", _digest(token), bound=False)
    disclosures, key_binding = rest[:-1], rest[-1]
    opened = open_token(token, issuer_keys, SD_JWT_TYPE)
    claims = disclose(opened.payload, disclosures)
    for name in _ALWAYS_OPEN:
        if name in claims and name not in opened.payload:
            raise ForeignDocumentError(
                "FOREIGN_DISCLOSURE", f"the claim {name} may not be selectively disclosed"
            )
    check_times(claims, now)
    if binding is not None or key_binding:
        signed_part = presentation[: len(presentation) - len(key_binding)]
        _check_binding(key_binding, signed_part, claims, binding, now)
    return Presented(claims, opened.key_id, "SD_JWT", _digest(token), bound=bool(key_binding))


def check_times(claims: Json, now: int) -> None:
    """Check that a document is valid now: issued, begun, not over.

    Raises:
        ForeignDocumentError: `FOREIGN_TIME`, also when it doesn't say until when it is valid.
    """
    issued, begins, ends = instant(claims, "iat"), instant(claims, "nbf"), instant(claims, "exp")
    if issued is None or ends is None:
        raise untimely("it does not say when it was issued and until when it is valid")
    if issued > now + LEEWAY_S or (begins is not None and begins > now + LEEWAY_S):
        raise untimely("it is dated after now, or not valid yet")
    if ends <= now:
        raise untimely("it is no longer valid")
    if ends <= issued:
        raise untimely("it ends before it was issued")


def instant(claims: Json, name: str) -> int | None:
    """Return a time of a document in unix seconds, or None when it states none.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise malformed("a time is not a number of seconds")
    return value


def _check_binding(
    key_binding: str, signed_part: str, claims: Json, binding: Binding | None, now: int
) -> None:
    """Check the holder's own signature over exactly this presentation (RFC 9901, 7.3)."""
    if binding is None:
        # Its audience and nonce are nobody's here; accepting it unread would look like a check.
        raise _unbound("it is bound to a holder, and no binding was asked for")
    if not key_binding:
        raise _unbound("the holder did not bind it")
    confirmation = claims.get("cnf")
    jwk = confirmation.get("jwk") if isinstance(confirmation, dict) else None
    if not isinstance(jwk, dict):
        raise _unbound("it was issued to no holder's key")
    payload = open_with(key_binding, read_key(jwk, named=False), KEY_BINDING_TYPE)
    presented, stated = instant(payload, "iat"), payload.get("sd_hash")
    if presented is None or abs(now - presented) > _KEY_BINDING_AGE_S:
        raise _unbound("the holder's binding is not of now")
    due = encode(_digest(signed_part))
    same = isinstance(stated, str) and hmac.compare_digest(stated.encode(), due.encode())
    if not same or payload.get("aud") != binding.audience or payload.get("nonce") != binding.nonce:
        raise _unbound("the holder bound another presentation, or bound it to somebody else")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _unbound(message: str) -> ForeignDocumentError:
    return ForeignDocumentError("FOREIGN_HOLDER", message)
