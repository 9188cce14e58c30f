"""Who may put a statement into a register of the border, alone or with another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.journal import Transaction
from gateway.border.claims import (
    MODELS,
    AssessmentClaims,
    BorderClaims,
    ExemptionClaims,
    document_type,
)
from gateway.domain import approvals
from gateway.domain.border import Register
from gateway.domain.errors import DeniedError
from gateway.domain.party import Party
from gateway.domain.vocabulary import Role, Status
from gateway.registry import document_keys, parties
from gateway.registry.documents import Verified, verify

AuthorityKey = Callable[[str], Ed25519PublicKey | None]
REGULATORS: Final = frozenset(
    {Role.AUTHORITY, Role.REGULATOR_COMPETENT, Role.REGULATOR_DATA, Role.REGULATOR_PBOC}
)
APPROVERS: Final = approvals.APPROVERS | {Role.REGULATOR_DATA}


@dataclass(frozen=True, slots=True)
class Ways:
    """How a statement of one register comes into effect.

    Args:
        regulators: The authority or a regulator signs it.
        exporter: The exporter that it is about signs it.
        approvals: Two approvals of different roles put a proposal in effect.
        withdrawable: It can be ended by the operator; otherwise only a newer one, signed anew,
            says something else.
    """

    regulators: bool = True
    exporter: bool = False
    approvals: bool = True
    withdrawable: bool = True


WAYS: Final[Mapping[Register, Ways]] = {
    Register.MECHANISM: Ways(),
    Register.ASSESSMENT: Ways(exporter=True),
    # To end a restriction is to permit: that is the authority's alone (PIPL 42).
    Register.RESTRICTED: Ways(approvals=False, withdrawable=False),
    Register.PARTNER: Ways(withdrawable=False),
    Register.EXPORTER: Ways(),
    Register.EXEMPTION: Ways(regulators=False, exporter=True, approvals=False),
    Register.IMPORTANT: Ways(withdrawable=False),
}


def verified_statement(
    tx: Transaction, register: Register, document: str, authority_key: AuthorityKey
) -> tuple[Verified[BorderClaims], str]:
    """Return a signed statement and the party id of its signer, empty for the authority's key.

    Args:
        tx: The transaction.
        register: The register it is for.
        document: The signed document.
        authority_key: Key id to the authority's public key, or None.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        DeniedError: `ROLE_FORBIDDEN` when the signer may not state this.
    """

    def find(key: str) -> Ed25519PublicKey | None:
        return authority_key(key) or document_keys.active_public_key(tx, key)

    verified: Verified[BorderClaims] = verify(
        document, find, document_type(register), MODELS[register]
    )
    ways = WAYS[register]
    if authority_key(verified.signer) is not None:
        if not ways.regulators:
            raise DeniedError("ROLE_FORBIDDEN", "only the exporter itself states this")
        return verified, ""
    signer = parties.find(tx, document_keys.find(tx, verified.signer).party_id)
    allowed = (ways.regulators and signer.role in REGULATORS) or (
        ways.exporter and is_exporter(verified.claims, signer)
    )
    if not allowed or signer.status is not Status.ACTIVE:
        raise DeniedError("ROLE_FORBIDDEN", "who signed this may not state it")
    return verified, signer.party_id


def is_exporter(claims: BorderClaims, signer: Party) -> bool:
    """Say whether a statement is about what its signer itself exports; not a permission."""
    if not isinstance(claims, AssessmentClaims | ExemptionClaims):
        return False
    return claims.exporter == signer.party_id
