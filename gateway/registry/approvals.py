"""An approval as a document that its approver signed with a registered key."""

from typing import TypeVar

from audit.journal import Transaction
from gateway.domain.party import Party
from gateway.registry import document_keys, parties
from gateway.registry.documents import Claims, Verified, verify

C = TypeVar("C", bound=Claims)


def read_approval(
    tx: Transaction, document: str, document_type: str, model: type[C]
) -> tuple[Verified[C], Party]:
    """Return what a signed approval approves, and who signed it.

    Args:
        tx: The transaction.
        document: The signed document.
        document_type: The type it must have.
        model: What it must say.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        NotFoundError: `NOT_FOUND` when its signer is not registered.
    """
    verified = verify(
        document, lambda key: document_keys.active_public_key(tx, key), document_type, model
    )
    return verified, parties.find(tx, document_keys.find(tx, verified.signer).party_id)
