"""Issuers abroad whose credit documents are recognised here, as the policy sees them (M58).

What an issuer may state, with which keys and by which tables, is in its registration
(`gateway.registry.issuers`); a decision needs only whether it is in force and what binds a reader.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# The one product that holds what issuers abroad stated, and the columns that the gate knows.
FOREIGN_PRODUCT: Final = "foreign_credit_report"
ISSUER_FIELD: Final = "issuer"


class IssuerKind(StrEnum):
    """What an issuer is: behind a bureau stands a user who has to be named."""

    BUREAU = "BUREAU"  # 境外征信机构
    PARTNER = "PARTNER"  # any other recognised issuer


@dataclass(frozen=True, slots=True)
class ForeignIssuer:
    """An issuer abroad, in the version of its registration that is newest.

    Args:
        issuer: Its `iss`, an https address.
        version: Of its registration; the greatest that has begun speaks, whenever it was approved.
        kind: What it is.
        party: Party id under which it calls itself, or empty.
        jurisdiction: ISO 3166 code of where it is licensed.
        not_before: Start of effect of the version, unix seconds.
        withdrawn_at: End of effect, or None.
        agreement: Id of the agreement.
        agreement_from: Start of the agreement's term.
        agreement_until: End of the agreement's term, exclusive.
        onward_use: Code of the clause that binds onward use.
        onward_zh: The clause, in Chinese.
        onward_en: The clause, in English.
        index: Log index of the approval that completed the registration.
    """

    issuer: str
    version: int
    kind: IssuerKind
    party: str
    jurisdiction: str
    not_before: int
    withdrawn_at: int | None
    agreement: str
    agreement_from: int
    agreement_until: int
    onward_use: str
    onward_zh: str
    onward_en: str
    index: int

    def in_force(self, now: int) -> bool:
        """Say whether what it signs counts now; the policy says the same of its facts."""
        open_ended = self.withdrawn_at is None or now < self.withdrawn_at
        in_term = self.agreement_from <= now < self.agreement_until
        return self.not_before <= now and open_ended and in_term
