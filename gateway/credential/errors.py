"""What is wrong with a credential, a status list or an issuer's keys, one code for each.

CredentialError
|-- BAD_CREDENTIAL        not an SD-JWT VC as we understand it
|-- CREDENTIAL_FORGED     the issuer's signature is not over these bytes
|-- DISCLOSURE_ALTERED    a disclosure is not one that the issuer signed
|-- UNKNOWN_ISSUER        issuer or key is not among those that the verifier trusts
|-- CREDENTIAL_EXPIRED, CREDENTIAL_NOT_YET
|-- HOLDER_NOT_PROVEN     the key binding is missing, altered, old or for somebody else
|-- BAD_STATUS_LIST, STALE_STATUS_LIST
|-- CREDENTIAL_REFRESH    superseded: a fresh one can be fetched
`-- CREDENTIAL_INVALID    issued in error or by fraud
"""

from gateway.domain.errors import InvalidRequestError


class CredentialError(InvalidRequestError):
    """A credential is refused; `code` says why, the law tables what would help."""


class DisclosureRulesError(CredentialError):
    """A `BAD_CREDENTIAL` whose payload breaks the rules of selective disclosure."""

    def __init__(self, message: str) -> None:
        """Say which rule it breaks."""
        super().__init__("BAD_CREDENTIAL", message)


def malformed(
    message: str = "this is not a credential that can be read",
) -> CredentialError:
    """Return the refusal of what isn't of the form that it claims."""
    return CredentialError("BAD_CREDENTIAL", message)
