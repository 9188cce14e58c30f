"""What a caller asks for, after parsing and before any decision."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.domain.vocabulary import SubjectKind


@dataclass(frozen=True, slots=True)
class Condition:
    """A caller's filter on one field: `op` is eq, ne, lt, le, gt, ge, in or is_null."""

    field: str
    op: str
    value: object


@dataclass(frozen=True, slots=True)
class Loan:
    """The loan behind a request for an interest subsidy, as the bank states it (M53, R45).

    Args:
        amount_fen: Actual amount in fen, positive.
        unsecured: Neither mortgage nor pledge.
        small_enterprise: The borrower is a micro, small or medium enterprise of the province.
        via_platform: Approved through the financing platform.
    """

    amount_fen: int
    unsecured: bool
    small_enterprise: bool
    via_platform: bool


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """One request for data, or for the decision alone.

    Args:
        request_id: Assigned by the gateway, 26 characters, sortable.
        idempotency_key: Chosen by the caller, 8 to 64 characters.
        asked_at: The caller's time, unix seconds.
        product: Product name.
        fields: Field names, in the order they are wanted.
        subjects: Identifiers asked about; empty means the whole product. Never logged.
        subject_kind: Kind of the subjects.
        purpose: Purpose code.
        scenario: Scenario code.
        destination: ISO 3166 code of where the data will be used.
        operator: The human behind the call, committed to in the log.
        case_reference: The case behind the call, committed to in the log.
        consent_id: Consent document it rests on, or empty.
        conditions: The caller's filters.
        limit: Greatest number of rows, 0 for none.
        measure: Restriction measure id for list checks (R74), or empty.
        loan: The loan that a subsidy is asked for, or None.
        signature: Detached JWS of the caller over the canonical request, or empty.
        portfolio: True when the subjects came as a portfolio: looked at in portions.
        sealed: True when the caller wants the answer encrypted to its registered key.
        sealable: True where answers can be encrypted: not over Flight.
        part: Places of the subjects that this reading looks at, or None for all of them.
        compression: Codec of the buffers of batches, `lz4` or `zstd`; empty for none.
        end_user: The user behind the caller, committed to in the log; empty when the caller
            asks for itself.
        mode: Mode of mutual recognition that the answer is for; empty for a plain query.
    """

    request_id: str
    idempotency_key: str
    asked_at: int
    product: str
    fields: tuple[str, ...]
    subjects: Sequence[str]
    subject_kind: SubjectKind
    purpose: str
    scenario: str
    destination: str
    operator: str
    case_reference: str
    consent_id: str = ""
    conditions: tuple[Condition, ...] = ()
    limit: int = 0
    measure: str = ""
    loan: Loan | None = None
    signature: str = field(default="", repr=False)
    portfolio: bool = False
    part: range | None = None
    compression: str = ""
    end_user: str = ""
    mode: str = ""
    sealed: bool = False
    sealable: bool = False

    @property
    def concerned(self) -> Sequence[str]:
        """The subjects that this reading looks at: those that the log commits to.

        The decision is about all subjects; a large portfolio is read, and committed to, in parts.
        """
        part = self.part
        return self.subjects if part is None else self.subjects[part.start : part.stop]

    @property
    def concerned_count(self) -> int:
        """Return how many subjects `concerned` has, without making them."""
        return len(self.subjects if self.part is None else self.part)

    @property
    def decided(self) -> tuple[str, ...]:
        """Every field that the decision is about: those wanted, then those only filtered on.

        A filter tells something of its field, so the field needs the same decision as one that
        leaves.
        """
        if not self.conditions:
            return self.fields
        return tuple(dict.fromkeys((*self.fields, *(c.field for c in self.conditions))))
