"""Repair decisions: documents of the authority, verified before anything changes.

Sources: Order 36 art. 3 (stop of publicity, sharing and use), M32, M34; R25, R29 with the
origins that domain-rules 13 adds.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field

from gateway.registry.documents import Claims, Verified, verify

REPAIR_TYPE = "xinguan-repair+jwt"


class Origin(StrEnum):
    """Who may change the state of a record (R29 with domain-rules 13); nobody else may."""

    AUTHORITY = "AUTHORITY"  # 认定单位
    CREDIT_CHINA = "CREDIT_CHINA"  # 信用中国
    COURT = "COURT"
    RECONSIDERATION = "RECONSIDERATION"  # 行政复议
    COURT_ANNULMENT = "COURT_ANNULMENT"
    OBJECTION = "OBJECTION"  # correction after 异议


class Verdict(StrEnum):
    """What was decided; both end sharing for good."""

    APPROVED = "APPROVED"  # repaired
    WITHDRAWN = "WITHDRAWN"  # changed, annulled or void (行政处罚法 48, R08)


class RepairClaims(Claims):
    """What a repair decision says.

    Args:
        repair_id: Stable id.
        origin: Who decided.
        sequence: Rises with every decision of an origin, so that none is lost or replayed.
        product: Product that holds the record.
        record_id: The record.
        verdict: What was decided.
        deciding_unit: USCC of the deciding unit.
        decided_at: Unix seconds.
    """

    repair_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:\-]{4,64}$")]
    origin: Annotated[Origin, Field(strict=False)]
    sequence: Annotated[int, Field(ge=1, le=2**53 - 1)]
    product: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
    record_id: Annotated[str, Field(min_length=1, max_length=64)]
    verdict: Annotated[Verdict, Field(strict=False)]
    deciding_unit: Annotated[str, Field(min_length=18, max_length=18)]
    decided_at: Annotated[int, Field(ge=0, le=2**53 - 1)]


def read_decision(
    token: str, find_key: Callable[[str], Ed25519PublicKey | None]
) -> Verified[RepairClaims]:
    """Return a repair decision after verifying signature, type and shape.

    Args:
        token: The signed document, compact.
        find_key: Key id to an authority's public key, or None.

    Raises:
        InvalidRequestError: `BAD_DOCUMENT` or `BAD_SIGNATURE`.
    """
    return verify(token, find_key, REPAIR_TYPE, RepairClaims)
