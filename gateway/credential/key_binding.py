"""The holder's proof (RFC 9901, section 4.3): that whoever shows a credential holds its key."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.credential import sd_jwt
from gateway.credential.encoding import Object
from gateway.credential.errors import CredentialError
from gateway.credential.jws import Signer, parse

KEY_BINDING_TYPE = "kb+jwt"
LONGEST_AGE_S = 300  # between making and showing it


@dataclass(frozen=True, slots=True)
class Binding:
    """What a verifier expects of the proof.

    Args:
        audience: The verifier's own name.
        nonce: What it asked the holder to sign.
    """

    audience: str
    nonce: str


def bind(text: str, holder: Signer, binding: Binding, at: int) -> str:
    """Return a credential with the holder's proof for one verifier.

    Args:
        text: The credential, showing what the holder wants to show.
        holder: The holder's key.
        binding: For whom, over which nonce.
        at: Unix seconds.
    """
    presented = sd_jwt.split(text)
    claims = {
        "iat": at,
        "aud": binding.audience,
        "nonce": binding.nonce,
        "sd_hash": sd_jwt.digest_of(presented.bound),
    }
    proof = holder.sign(KEY_BINDING_TYPE, claims)
    return sd_jwt.combine(presented.jwt, presented.disclosures, proof)


def check_holder(
    presented: sd_jwt.Presented, claims: Object, binding: Binding | None, at: int
) -> bool:
    """Check that the holder has proved its key, where that is asked for, and only there.

    Args:
        presented: What was shown.
        claims: What it says, its signature and disclosures checked.
        binding: What the verifier asked for, or None.
        at: Unix seconds.

    Returns:
        True when the holder has proved its key.

    Raises:
        CredentialError: `HOLDER_NOT_PROVEN`; `BAD_CREDENTIAL` or `CREDENTIAL_FORGED` for a proof
            that is none, or is somebody else's.
    """
    if binding is None:
        if presented.key_binding:
            # Its audience and nonce are nobody's here; taken unread, it would look like a check.
            raise not_proven()
        return False
    confirmation = claims.get("cnf")
    holder = confirmation.get("jwk") if isinstance(confirmation, dict) else None
    if not presented.key_binding or not isinstance(holder, dict):
        raise not_proven()
    check_binding(presented, holder, binding, at)
    return True


def check_binding(
    presented: sd_jwt.Presented, holder: Mapping[str, object], binding: Binding, at: int
) -> None:
    """Check the holder's own signature over exactly this presentation.

    Args:
        presented: What was shown.
        holder: The JWK of the credential's `cnf`.
        binding: What the verifier asked for.
        at: Unix seconds.

    Raises:
        CredentialError: As `check_holder`.
    """
    token = parse(presented.key_binding, KEY_BINDING_TYPE)
    token.check(holder)
    said = token.payload
    made = said.get("iat")
    fresh = type(made) is int and at - LONGEST_AGE_S <= made <= at + LONGEST_AGE_S
    expected = {
        "aud": binding.audience,
        "nonce": binding.nonce,
        "sd_hash": sd_jwt.digest_of(presented.bound),
    }
    if not fresh or any(said.get(name) != value for name, value in expected.items()):
        raise not_proven()


def not_proven() -> CredentialError:
    """Return the refusal of a missing or wrong proof."""
    return CredentialError(
        "HOLDER_NOT_PROVEN", "nothing proves that whoever shows this credential holds its key"
    )
