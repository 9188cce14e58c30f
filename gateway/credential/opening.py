"""Opening an SD-JWT VC: what RFC 9901 itself demands, whoever issued it and whoever reads it.

(1) the parts can be read
(2) a key that the reader trusts for it signed these bytes
(3) every disclosure is one that the issuer signed, once and in its place
(4) what may not be hidden isn't
(5) the holder has proved its key, where that is asked for, and nothing unasked is taken for proof

What remains is the reader's: whom it trusts, which claims and times it wants, what a status list
has to say. What we issued is read by `gateway.credential.verify`, what others issued by
`gateway.inbound.presentation`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.credential import sd_jwt
from gateway.credential.encoding import Object
from gateway.credential.errors import malformed
from gateway.credential.jws import Token, VerificationKey, parse
from gateway.credential.key_binding import Binding, check_holder

CREDENTIAL_TYPE = "dc+sd-jwt"


@dataclass(frozen=True, slots=True)
class Opened:
    """An SD-JWT VC whose signature and disclosures hold.

    Args:
        presented: Its parts.
        token: The issuer-signed JWT.
        key_id: The key that signed it.
        claims: What it says; what was withheld is not there.
    """

    presented: sd_jwt.Presented
    token: Token
    key_id: str
    claims: Object

    def holder_proved(self, binding: Binding | None, at: int) -> bool:
        """Check the holder's proof (5); see `check_holder`."""
        return check_holder(self.presented, self.claims, binding, at)


def open_credential(text: str, key_of: Callable[[Token], VerificationKey]) -> Opened:
    """Open a credential: (1) to (4).

    Args:
        text: The credential.
        key_of: Returns the key that a token has to be signed by, or raises; nothing of the token
            is verified yet.

    Raises:
        CredentialError: It doesn't hold; the code says why.
    """
    presented = sd_jwt.split(text)  # (1)
    token = parse(presented.jwt, CREDENTIAL_TYPE)
    key = key_of(token)  # (2)
    token.check(key)
    claims = sd_jwt.reveal(token.payload, presented.disclosures)  # (3)
    sd_jwt.check_open(token.payload, claims)  # (4)
    return Opened(presented, token, key.key_id, claims)


def instant(claims: Mapping[str, object], name: str) -> int | None:
    """Return a time that a token states in unix seconds, or None when it states none.

    Raises:
        CredentialError: `BAD_CREDENTIAL` for anything but whole seconds.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise malformed("a time is not a number of seconds")
    return value
