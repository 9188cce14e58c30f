"""Repair decisions: documents of the authority, verified before anything changes.

Sources: Order 36 art. 3 (stop of publicity, sharing and use), M32, M33, M34; R25, R26, R29 with
the origins that domain-rules 13 adds. Who may decide what is data, see `gateway.repair.origins`.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, model_validator

from gateway.domain.share_state import Event
from gateway.registry.documents import Claims, Verified, verify

REPAIR_TYPE = "xinguan-repair+jwt"


class Origin(StrEnum):
    """Who may change the state of a record (R29 with domain-rules 13); nobody else may."""

    AUTHORITY = "AUTHORITY"  # 认定单位
    CREDIT_CHINA = "CREDIT_CHINA"  # 信用中国
    ENTERPRISE_PUBLICITY = "ENTERPRISE_PUBLICITY"  # 国家企业信用信息公示系统
    COURT = "COURT"
    COURT_LIST = "COURT_LIST"  # 失信被执行人名单库
    RECONSIDERATION = "RECONSIDERATION"  # 行政复议
    COURT_ANNULMENT = "COURT_ANNULMENT"
    OBJECTION = "OBJECTION"  # correction after 异议
    FOREIGN_ISSUER = "FOREIGN_ISSUER"  # what it stated itself, by its status list (M58)
    SUBJECT = "SUBJECT"  # takes back what it declared itself (M17)


class Verdict(StrEnum):
    """What was decided (domain-rules 3.3 J)."""

    ACCEPTED = "ACCEPTED"  # 受理: an application is being decided
    APPROVED = "APPROVED"  # repaired
    REJECTED = "REJECTED"
    TEMP_MASK = "TEMP_MASK"  # 暂时屏蔽 during a reorganisation (M33)
    STATEMENT = "STATEMENT"  # 添加声明 instead of it
    UNMASK = "UNMASK"  # the plan was completed, or failed
    WITHDRAWN = "WITHDRAWN"  # changed, annulled or void (行政处罚法 48, R08)
    WITHDRAWN_BY_AUTHORITY = "WITHDRAWN_BY_AUTHORITY"  # the same in the words of 3.3 J
    DISPUTE_OPENED = "DISPUTE_OPENED"  # 异议 (R14)
    DISPUTE_CLOSED = "DISPUTE_CLOSED"
    HOLD = "HOLD"  # unlike its publicity: withheld until it agrees again (R10, R11)
    RELEASE = "RELEASE"


class Plan(StrEnum):
    """How a reorganisation plan or a settlement ended."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


_EVENTS = {
    Verdict.ACCEPTED: Event.REPAIR_ACCEPTED,
    Verdict.APPROVED: Event.REPAIR_APPROVED,
    Verdict.REJECTED: Event.REPAIR_REJECTED,
    Verdict.TEMP_MASK: Event.MASK,
    # No contract has a field that could carry a statement beside the record, and a record
    # without its statement would not be the one that the court allowed. So it is withheld.
    Verdict.STATEMENT: Event.MASK,
    Verdict.WITHDRAWN: Event.WITHDRAW,
    Verdict.WITHDRAWN_BY_AUTHORITY: Event.WITHDRAW,
    Verdict.DISPUTE_OPENED: Event.DISPUTE_OPENED,
    Verdict.DISPUTE_CLOSED: Event.DISPUTE_CLOSED,
    Verdict.HOLD: Event.QUARANTINE,
    Verdict.RELEASE: Event.PUBLISH,
}
_MASKS = frozenset({Verdict.TEMP_MASK, Verdict.STATEMENT})
_Text = Annotated[str, Field(max_length=500)]


class RepairClaims(Claims):
    """What a repair decision says.

    Args:
        repair_id: Stable id.
        origin: Who decided; a word outside `Origin` is refused with an alarm (R29).
        sequence: Rises with every decision of an origin, so that none is lost or replayed.
        product: Product that holds the record.
        record_id: The record.
        verdict: What was decided.
        deciding_unit: USCC of the deciding unit.
        decided_at: Unix seconds; from here the delay to the effect is measured.
        materials: Kinds of material that the applicant was asked for (R2A).
        ruling: Number of the court's ruling; a mask needs one (M33).
        conditions: Conditions of the mask, in words.
        ends_at: Unix seconds at which the mask should end; a mask needs one.
        statement: The statement that stands instead of a mask.
        plan: How the plan ended; `UNMASK` needs it.
        dispute_id: Number of the dispute; opening one needs it.
    """

    repair_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:\-]{4,64}$")]
    origin: Annotated[str, Field(pattern=r"^[A-Z][A-Z_]{1,31}$")]
    sequence: Annotated[int, Field(ge=1, le=2**53 - 1)]
    product: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
    record_id: Annotated[str, Field(min_length=1, max_length=64)]
    verdict: Annotated[Verdict, Field(strict=False)]
    deciding_unit: Annotated[str, Field(min_length=18, max_length=18)]
    decided_at: Annotated[int, Field(ge=0, le=2**53 - 1)]
    materials: Annotated[tuple[str, ...], Field(strict=False, max_length=16)] = ()
    ruling: Annotated[str, Field(max_length=100)] = ""
    conditions: _Text = ""
    ends_at: Annotated[int | None, Field(ge=0, le=2**53 - 1)] = None
    statement: _Text = ""
    plan: Annotated[Plan | None, Field(strict=False)] = None
    dispute_id: Annotated[str, Field(max_length=64)] = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse a verdict without what it rests on."""
        if self.verdict in _MASKS and not (self.ruling and self.ends_at):
            raise ValueError("a mask names the court's ruling and its end (M33)")
        if self.verdict is Verdict.STATEMENT and not self.statement:
            raise ValueError("a statement has words")
        if (self.verdict is Verdict.UNMASK) != (self.plan is not None):
            raise ValueError("an unmasking, and it alone, says how the plan ended")
        if self.verdict is Verdict.DISPUTE_OPENED and not self.dispute_id:
            raise ValueError("a dispute has a number")
        return self

    @property
    def event(self) -> Event:
        """The event that this decision is for the record."""
        if self.plan is not None:
            return Event.PLAN_COMPLETED if self.plan is Plan.COMPLETED else Event.PLAN_FAILED
        return _EVENTS[self.verdict]


def read_decision(
    token: str, find_key: Callable[[str], Ed25519PublicKey | None]
) -> Verified[RepairClaims]:
    """Return a repair decision after verifying signature, type and shape.

    Args:
        token: The signed document, compact.
        find_key: Key id to the public key of one who may sign it, or None.

    Raises:
        InvalidRequestError: `BAD_DOCUMENT` or `BAD_SIGNATURE`.
    """
    return verify(token, find_key, REPAIR_TYPE, RepairClaims)
