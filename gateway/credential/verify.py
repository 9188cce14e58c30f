"""Checking a credential offline, as a partner does: issuer keys and status list are files.

(1) the parts can be read
(2) the issuer is trusted and the signature is its over these bytes
(3) every disclosure is one that the issuer signed
(4) what may not be hidden isn't, and the times hold
(5) the holder has proved its key, where that is asked for
(6) the status list is this credential's, signed, fresh, and says that it is valid
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.credential import sd_jwt
from gateway.credential.encoding import Object, malformed, object_from_json
from gateway.credential.errors import CredentialError
from gateway.credential.jws import parse
from gateway.credential.key_binding import Binding, check_binding, not_proven
from gateway.credential.mint import CREDENTIAL_TYPE
from gateway.credential.status_list import CredentialStatus, ReadList, bad_list

SKEW_S = 60  # of a verifier's clock
# SD-JWT VC: claims that a holder may not keep back, so neither may they come as disclosures.
_NEVER_HIDDEN = ("iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status")

Jwks = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a verifier trusts.

    Args:
        issuers: Issuer URL to its keys by key id.
    """

    issuers: Mapping[str, Jwks]

    @classmethod
    def of(cls, *metadata: bytes) -> Self:
        """Trust the issuers of some issuer metadata files (`/.well-known/jwt-vc-issuer`).

        Raises:
            CredentialError: `BAD_CREDENTIAL` when one can't be read.
        """
        issuers = {}
        for text in metadata:
            said = object_from_json(text)
            try:
                keys = {str(key["kid"]): dict(key) for key in said["jwks"]["keys"]}
                issuers[str(said["issuer"])] = keys
            except (KeyError, TypeError, ValueError):
                raise malformed() from None
        return cls(issuers)

    def keys(self, issuer: object) -> Jwks:
        """Return the keys of an issuer.

        Raises:
            CredentialError: `UNKNOWN_ISSUER`.
        """
        found = self.issuers.get(issuer) if isinstance(issuer, str) else None
        if found is None:
            raise _unknown()
        return found


@dataclass(frozen=True, slots=True)
class Checks:
    """What a verifier asks for.

    Args:
        at: Unix seconds.
        binding: The holder's proof that it asked for, or None.
        status_list: The status list as it was fetched, or None to leave status out; then nothing
            is known of it, and `Verified.status` is None.
        longest_list_age_s: Instead of the list's own `ttl`.
    """

    at: int
    binding: Binding | None = None
    status_list: str | None = None
    longest_list_age_s: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """A credential that holds.

    Args:
        claims: Everything that it says to this verifier.
        shown: Names of the claims that were disclosed.
        holder_proved: True when the holder's key was proved.
        status: What the status list says, or None when it wasn't asked.
    """

    claims: Object
    shown: tuple[str, ...]
    holder_proved: bool
    status: CredentialStatus | None


def verify(text: str, trust: Trust, checks: Checks) -> Verified:
    """Check a credential.

    Args:
        text: The credential.
        trust: Whom to trust.
        checks: What to check besides.

    Raises:
        CredentialError: It doesn't hold; the code says why.
    """
    presented = sd_jwt.split(text.strip())  # (1)
    token = parse(presented.jwt, CREDENTIAL_TYPE)
    keys = trust.keys(token.payload.get("iss"))  # (2)
    key = keys.get(str(token.header.get("kid")))
    if key is None:
        raise _unknown()
    token.check(key)
    claims = sd_jwt.reveal(token.payload, presented.disclosures)  # (3)
    _check_claims(token.payload, claims, checks.at)  # (4)
    holder = _holder(claims)
    if checks.binding is not None:  # (5)
        if holder is None:
            raise not_proven()
        check_binding(presented, holder, checks.binding, checks.at)
    elif presented.key_binding:
        raise not_proven()  # a proof that nobody checks proves nothing
    status = None
    if checks.status_list is not None:
        status = _check_status(claims, ReadList.of(checks.status_list, keys), checks)  # (6)
    shown = tuple(name for name in claims if name not in token.payload)
    return Verified(claims, shown, checks.binding is not None, status)


def status_place(claims: Object) -> tuple[str, int]:
    """Return where a credential's status is: the list's URI and the entry.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    try:
        where = claims["status"]["status_list"]
        uri, place = where["uri"], where["idx"]
    except (KeyError, TypeError):
        raise malformed() from None
    if not isinstance(uri, str) or type(place) is not int or place < 0:
        raise malformed()
    return uri, place


def _check_claims(signed: Object, claims: Object, at: int) -> None:
    if any(name in claims and name not in signed for name in _NEVER_HIDDEN):
        raise malformed()
    if not isinstance(claims.get("vct"), str):
        raise malformed()
    begins, ends = (claims.get(name) for name in ("nbf", "exp"))
    if type(begins) is not int or type(ends) is not int:
        raise malformed()
    if at >= ends + SKEW_S:
        raise CredentialError("CREDENTIAL_EXPIRED", "the credential's validity has ended")
    if at < begins - SKEW_S:
        raise CredentialError("CREDENTIAL_NOT_YET", "the credential is not valid yet")


def _holder(claims: Object) -> Object | None:
    bound = claims.get("cnf")
    if bound is None:
        return None
    holder = bound.get("jwk") if isinstance(bound, dict) else None
    if not isinstance(holder, dict):
        raise malformed()
    return holder


def _check_status(claims: Object, found: ReadList, checks: Checks) -> CredentialStatus:
    uri, place = status_place(claims)
    if found.uri != uri:
        raise bad_list()
    found.check_fresh(checks.at, longest_age_s=checks.longest_list_age_s)
    value = found.status(place)
    if value == CredentialStatus.VALID:
        return CredentialStatus.VALID
    if value == CredentialStatus.REFRESH:
        raise CredentialError(
            "CREDENTIAL_REFRESH", "the credential was superseded; a fresh one can be fetched"
        )
    # A value that nobody defined for us counts as the worst that we know.
    raise CredentialError("CREDENTIAL_INVALID", "the credential was issued in error or by fraud")


def _unknown() -> CredentialError:
    return CredentialError(
        "UNKNOWN_ISSUER", "the credential's issuer or its key is not among those trusted here"
    )
