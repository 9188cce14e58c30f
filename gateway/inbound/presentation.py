"""Opening what an issuer signed: an SD-JWT VC (`dc+sd-jwt`, RFC 9901) or a signed report (JWS).

    verify(presentation, issuer_keys, now) -> claims

Everything that the document itself can prove is proved here: signature, disclosures, validity,
and the holder's binding when it is demanded; by the same code as for what we issue ourselves
(`gateway.credential.opening`). Who the issuer is and what it may state is the register's affair
(`gateway.inbound.checking`), and whether it still holds is the status list's.
"""

import hashlib
from dataclasses import dataclass

from gateway.credential import opening
from gateway.credential.jws import LONGEST_TOKEN
from gateway.credential.key_binding import Binding
from gateway.inbound.errors import ForeignDocumentError, as_foreign, malformed, untimely
from gateway.inbound.jose import Json, Keys, key_for, open_token

REPORT_TYPE = "credit-report+jwt"
LEEWAY_S = 60


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
    presentation: str, issuer_keys: Keys, now: int, *, binding: Binding | None = None
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
    if len(presentation) > LONGEST_TOKEN or not presentation.isascii():
        raise malformed("it is too large or not ASCII")
    if "~" not in presentation:
        if binding is not None:
            message = "a signed report has no holder, and one is demanded"
            raise ForeignDocumentError("FOREIGN_HOLDER", message)
        report = open_token(presentation, issuer_keys, REPORT_TYPE)
        check_times(report.payload, now)
        key_id = str(report.header["kid"])
        return Presented(report.payload, key_id, "JWS", _digest(presentation), bound=False)
    with as_foreign():
        opened = opening.open_credential(presentation, lambda token: key_for(token, issuer_keys))
        check_times(opened.claims, now)
        bound = opened.holder_proved(binding, now)
    digest = _digest(opened.presented.jwt)
    return Presented(opened.claims, opened.key_id, "SD_JWT", digest, bound=bound)


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
    with as_foreign():
        return opening.instant(claims, name)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
