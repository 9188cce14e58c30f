"""Checking a credential offline, as a partner does: issuer keys and status list are files.

(1) it is an SD-JWT VC of an issuer that is trusted: see `gateway.credential.opening`
(2) it says what kind it is and until when it is valid, and the times hold
(3) the holder has proved its key, where that is asked for
(4) the status list is this credential's, signed, fresh, and says that it is valid
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.credential.encoding import Object, object_from_json
from gateway.credential.errors import CredentialError, malformed
from gateway.credential.jws import Token, VerificationKey
from gateway.credential.key_binding import Binding, not_proven
from gateway.credential.opening import instant, open_credential
from gateway.credential.status_list import CredentialStatus, ReadList, bad_list

SKEW_S = 60  # of a verifier's clock

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

    def key_of(self, token: Token) -> VerificationKey:
        """Return the key that a token has to be signed by.

        Raises:
            CredentialError: `UNKNOWN_ISSUER`.
        """
        key = self.keys(token.payload.get("iss")).get(str(token.header.get("kid")))
        if key is None:
            raise _unknown()
        return VerificationKey.of(key)


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
    opened = open_credential(text.strip(), trust.key_of)  # (1)
    claims = opened.claims
    _check_claims(claims, checks.at)  # (2)
    try:
        proved = opened.holder_proved(checks.binding, checks.at)  # (3)
    except CredentialError:
        raise not_proven() from None
    status = None
    if checks.status_list is not None:
        keys = trust.keys(opened.token.payload.get("iss"))
        status = _check_status(claims, ReadList.of(checks.status_list, keys), checks)  # (4)
    shown = tuple(name for name in claims if name not in opened.token.payload)
    return Verified(claims, shown, proved, status)


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


def _check_claims(claims: Object, at: int) -> None:
    bound = claims.get("cnf")
    if bound is not None and not (isinstance(bound, dict) and isinstance(bound.get("jwk"), dict)):
        raise malformed()
    begins, ends = instant(claims, "nbf"), instant(claims, "exp")
    if not isinstance(claims.get("vct"), str) or begins is None or ends is None:
        raise malformed()
    if at >= ends + SKEW_S:
        raise CredentialError("CREDENTIAL_EXPIRED", "the credential's validity has ended")
    if at < begins - SKEW_S:
        raise CredentialError("CREDENTIAL_NOT_YET", "the credential is not valid yet")


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
