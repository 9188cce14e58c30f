"""In which words the receiver of a delivery can be told which row of it is meant.

Kept beside each intent, because a recall may come years later, when neither the licence nor the
decision is what it was. Every row can be named by request, batch and place; more only where the
receiver has more, and never anything that it doesn't have.

    K  the record's key left as it is
    H  the digest of the record's content left as it is
    P  the subject left as this consumer's pseudonym
    S  the rows were shuffled, because the licence is pseudonymous: no notice may link them with
       rows that the same receiver has in the clear
"""

from gateway.domain.decision import Decision
from gateway.domain.product import Product
from gateway.domain.vocabulary import FieldAction
from gateway.release.plan import SHUFFLE

KEY, HASH, PSEUDONYM, UNLINKED = "K", "H", "P", "S"
CONTENT_HASH = "content_hash"


def reference_form(product: Product, decision: Decision) -> str:
    """Return the letters that hold for what a decision lets leave.

    Args:
        product: The contract.
        decision: An allowing decision.
    """
    actions = decision.actions
    held = {
        KEY: actions.get(product.record_key) is FieldAction.ALLOW,
        HASH: actions.get(CONTENT_HASH) is FieldAction.ALLOW,
        PSEUDONYM: actions.get(product.subject_key) is FieldAction.PSEUDONYM,
        UNLINKED: SHUFFLE in decision.obligations,
    }
    return "".join(letter for letter, holds in held.items() if holds)
