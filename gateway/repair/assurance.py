"""An origin's assurance: everything that it decided up to a moment is in the feed.

Without it a silent feed and a cut one look the same. It names the newest sequence that the
origin gave out; the feed must have brought it before, or something is missing. Then the
products that follow the origin count as reconciled up to that moment (R13).
"""

from typing import Annotated, Literal

from pydantic import Field

from audit.journal import Transaction
from gateway.domain.errors import ConflictError, DeniedError, InvalidRequestError, Reason
from gateway.registry import feeds
from gateway.registry.act import Act
from gateway.registry.documents import Claims
from gateway.repair.precedence import precedence_of

ASSURANCE_TYPE = "xinguan-assurance+jwt"
_Product = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]


class AssuranceClaims(Claims):
    """What an assurance says.

    Args:
        v: Version of the document.
        origin: Whose decisions it is about.
        sequence: The newest sequence that the origin gave out in this feed; 0 before the first.
        products: Products that are complete; all of them follow the origin (R11).
        as_of: Unix seconds up to which nothing is missing.
    """

    v: Literal[1]
    origin: Annotated[str, Field(pattern=r"^[A-Z][A-Z_]{1,31}$")]
    sequence: Annotated[int, Field(ge=0, le=2**53 - 1)]
    products: Annotated[tuple[_Product, ...], Field(strict=False, min_length=1, max_length=64)]
    as_of: Annotated[int, Field(ge=0, le=2**53 - 1)]


def apply_assurance(tx: Transaction, claims: AssuranceClaims, feed: str, act: Act) -> None:
    """Count products as reconciled, when nothing is missing.

    An older assurance than the newest one says nothing new and changes nothing.

    Args:
        tx: The transaction.
        claims: The assurance, its signature verified.
        feed: The feed that brought it.
        act: The circumstances.

    Raises:
        DeniedError: `OUTRANKED` when a product follows another authority (R11).
        ConflictError: `FEED_INCOMPLETE` when the feed did not bring the sequence it names.
        InvalidRequestError: `DECIDED_IN_FUTURE` when it is dated after now.
    """
    for product in claims.products:
        precedence = precedence_of(product)
        if precedence is None or precedence.default != claims.origin:
            raise DeniedError(
                "OUTRANKED",
                "another publicity authority prevails for a product of the assurance (R11)",
                reasons=[Reason("R11", "OUTRANKED")],
            )
    if claims.as_of > act.now:
        raise InvalidRequestError(
            "DECIDED_IN_FUTURE",
            "the assurance is dated after now",
            reasons=[Reason("R25", "DECIDED_IN_FUTURE")],
        )
    row = tx.execute(
        "SELECT sequence FROM feed_sequences WHERE feed = ? AND origin = ?", (feed, claims.origin)
    ).fetchone()
    if claims.sequence > (row[0] if row is not None else 0):
        raise ConflictError(
            "FEED_INCOMPLETE",
            "the feed did not bring every decision that the assurance counts",
            reasons=[Reason("R13", "FEED_INCOMPLETE")],
        )
    for product in claims.products:
        known = tx.execute("SELECT as_of FROM feeds WHERE product = ?", (product,)).fetchone()
        # A product that was found to differ stays suspended until a comparison finds it right.
        if known is None or 0 < known[0] < claims.as_of:
            feeds.reconciled(tx, product, claims.as_of, act)
