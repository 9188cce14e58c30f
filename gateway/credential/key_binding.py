"""The holder's proof (RFC 9901, section 4.3): that whoever shows a credential holds its key."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.credential import sd_jwt
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


def check_binding(
    presented: sd_jwt.Presented, holder: Mapping[str, object], binding: Binding, at: int
) -> None:
    """Check the holder's proof.

    Args:
        presented: What was shown.
        holder: The JWK of the credential's `cnf`.
        binding: What the verifier asked for.
        at: Unix seconds.

    Raises:
        CredentialError: `HOLDER_NOT_PROVEN`.
    """
    try:
        token = parse(presented.key_binding, KEY_BINDING_TYPE)
        token.check(holder)
    except CredentialError:
        raise not_proven() from None
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
