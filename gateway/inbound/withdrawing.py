"""Ending what is served of an issuer abroad: its word becomes a decision that goes the usual way.

A status list, or the end of an issuer's registration, is the decision; what follows for a record
is derived from it and goes through the publisher of repairs: durable, the bits, the gate, the
recall to whoever received it. When that returns, no batch that held the record can leave any more.
"""

import hashlib
import json

from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.domain.product import Product
from gateway.registry.act import Act
from gateway.registry.documents import Verified
from gateway.repair.decision import Origin, RepairClaims, Verdict
from gateway.repair.publish import Publisher


async def end(
    publisher: Publisher, product: Product, key: str, verdict: Verdict, ground: str, act: Act
) -> None:
    """Apply what follows for one record, and return once it holds everywhere.

    Args:
        publisher: Applies decisions.
        product: The contract.
        key: The record.
        verdict: `WITHDRAWN`, `HOLD` or `RELEASE`.
        ground: Digest of the status list or the name of the registration that it follows from.
        act: The circumstances.

    Raises:
        XinguanError: As `Publisher.publish`, except where there is nothing left to end: the
            record is in no snapshot yet, or its sharing ended before.
    """
    decision = _derived(product, key, verdict, ground, act.now)
    try:
        await publisher.publish(decision, act.actor, act.now, sequenced=False)
    except NotFoundError:
        return
    except ConflictError as conflict:
        if conflict.code != "CONTRADICTION":
            raise


def _derived(
    product: Product, key: str, verdict: Verdict, ground: str, now: int
) -> Verified[RepairClaims]:
    """Return the decision that follows from an issuer's word for one record."""
    name = hashlib.sha256(f"{ground}\n{verdict.value}\n{key}".encode()).hexdigest()
    claims = RepairClaims(
        repair_id=f"foreign-{name[:40]}",
        origin=Origin.FOREIGN_ISSUER,
        sequence=max(1, now),
        product=FOREIGN_PRODUCT,
        record_id=key,
        verdict=verdict,
        deciding_unit=product.manager_uscc,
        decided_at=now,
    )
    token = json.dumps(
        {
            "v": 1,
            "type": "xinguan/derived-decision",
            "ground": ground,
            "repair_id": claims.repair_id,
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    return Verified(claims, "foreign-issuer", hashlib.sha256(token.encode()).hexdigest(), token)
