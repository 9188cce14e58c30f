"""What a statement in a register of the border says, register by register.

Each kind of statement is a document type of its own, so that a signed assessment can't pass for
a mechanism. Times are unix seconds, the end of a term exclusive.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import rfc8785
from pydantic import AfterValidator, Field, StringConstraints

from gateway.domain.border import Register
from gateway.registry.act import stated_reason
from gateway.registry.documents import BadDocumentError, Claims, parse_claims
from gateway.registry.licences import Code, Country, Identifier, Instant, Name, PartyId

APPROVAL_TYPE: Final = "xinguan-border-approval+jwt"
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(stated_reason)
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Fields = Annotated[tuple[Name, ...], Field(min_length=1, max_length=512)]
Purposes = Annotated[tuple[Code, ...], Field(min_length=1, max_length=64)]
_LONGEST_SCALE = 10**10


class _Stated(Claims):
    """What every statement has: its version, and when it begins to speak."""

    v: Literal[1] = 1
    version: int = Field(ge=1, le=2**31)
    not_before: Instant

    @property
    def name(self) -> str:
        """What it is found by in its register."""
        raise TypeError(type(self).__name__)

    @property
    def ends(self) -> int | None:
        """End of its term, or None when it has none of its own."""
        return None

    @property
    def parties(self) -> tuple[str, ...]:
        """Party ids of those that have to be registered for it to make sense."""
        return ()

    @property
    def recipient_abroad(self) -> str:
        """Party id of the recipient, which has to be a cross-border partner; or empty."""
        return ""


class _Termed(_Stated):
    """A statement with an end, about an exporter's supply to one recipient."""

    not_after: Instant
    exporter: PartyId
    recipient: PartyId

    @property
    def ends(self) -> int | None:
        """End of its term."""
        return self.not_after

    @property
    def parties(self) -> tuple[str, ...]:
        """Exporter and recipient."""
        return (self.exporter, self.recipient)

    @property
    def recipient_abroad(self) -> str:
        """The recipient."""
        return self.recipient


class MechanismClaims(_Termed):
    """A mechanism for exporting personal information (PIPL 38; CAC Orders 16 and 20)."""

    statement: Literal["MECHANISM"] = "MECHANISM"
    number: Identifier
    kind: Literal["ASSESSMENT", "SCC", "CERT"]
    fields: Fields
    purposes: Purposes
    scale_cap: int = Field(default=0, ge=0, le=_LONGEST_SCALE)

    @property
    def name(self) -> str:
        """Its number."""
        return self.number


class AssessmentClaims(_Termed):
    """A personal-information impact assessment (PIPL 55, 56)."""

    statement: Literal["ASSESSMENT"] = "ASSESSMENT"
    assessment_id: Identifier
    purposes: Purposes
    report: Sha256 | None = None

    @property
    def name(self) -> str:
        """Its id."""
        return self.assessment_id


class RestrictedClaims(_Stated):
    """Whether an organisation is on the list of restricted recipients (PIPL 42)."""

    statement: Literal["RESTRICTED"] = "RESTRICTED"
    party: PartyId
    listed: bool
    basis: Text

    @property
    def name(self) -> str:
        """The party id; the party need not be registered to be listed."""
        return self.party


class PartnerClaims(_Stated):
    """What a partner is (PIPL 41, DSL 36)."""

    statement: Literal["PARTNER"] = "PARTNER"
    party: PartyId
    judicial: bool
    country: Country
    basis: Text

    @property
    def name(self) -> str:
        """The party id."""
        return self.party

    @property
    def parties(self) -> tuple[str, ...]:
        """The partner."""
        return (self.party,)

    @property
    def recipient_abroad(self) -> str:
        """The partner."""
        return self.party


class ExporterClaims(_Stated):
    """What an exporter is (PIPL 36, 37, 40; CAC Order 16 art. 7)."""

    statement: Literal["EXPORTER"] = "EXPORTER"
    party: PartyId
    ciio: bool
    state_organ: bool
    basis: Text

    @property
    def name(self) -> str:
        """The party id."""
        return self.party

    @property
    def parties(self) -> tuple[str, ...]:
        """The exporter."""
        return (self.party,)


class ExemptionClaims(_Termed):
    """A basis of CAC Order 16 arts 4 and 5, as the exporter states it."""

    statement: Literal["EXEMPTION"] = "EXEMPTION"
    exemption_id: Identifier
    products: tuple[Name, ...] = Field(min_length=1, max_length=64)
    purposes: Purposes
    basis: Literal["ART4", "ART5_CONTRACT", "ART5_EMERGENCY"]
    grounds: Text

    @property
    def name(self) -> str:
        """Its id."""
        return self.exemption_id


class ImportantClaims(_Stated):
    """What of a product was notified or published as important data; no fields mean all."""

    statement: Literal["IMPORTANT"] = "IMPORTANT"
    product: Name
    fields: tuple[Name, ...] = Field(default=(), max_length=512)
    notified: bool
    basis: Text

    @property
    def name(self) -> str:
        """The product."""
        return self.product


BorderClaims = (
    MechanismClaims
    | AssessmentClaims
    | RestrictedClaims
    | PartnerClaims
    | ExporterClaims
    | ExemptionClaims
    | ImportantClaims
)
MODELS: Final[Mapping[Register, type[BorderClaims]]] = {
    Register.MECHANISM: MechanismClaims,
    Register.ASSESSMENT: AssessmentClaims,
    Register.RESTRICTED: RestrictedClaims,
    Register.PARTNER: PartnerClaims,
    Register.EXPORTER: ExporterClaims,
    Register.EXEMPTION: ExemptionClaims,
    Register.IMPORTANT: ImportantClaims,
}
# The claim by which a statement is found, for descriptions that leave the version out.
NAME_CLAIMS: Final[Mapping[Register, str]] = {
    Register.MECHANISM: "number",
    Register.ASSESSMENT: "assessment_id",
    Register.RESTRICTED: "party",
    Register.PARTNER: "party",
    Register.EXPORTER: "party",
    Register.EXEMPTION: "exemption_id",
    Register.IMPORTANT: "product",
}


def document_type(register: Register) -> str:
    """Return the document type of a register's signed statements."""
    return f"xinguan-border-{register.value.lower()}+jwt"


def content(register: Register, **stated: object) -> BorderClaims:
    """Return a checked statement.

    Args:
        register: The register it is for.
        stated: What it says, as its model names it.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, naming what is malformed.
    """
    return parse_claims(json.dumps(stated).encode(), MODELS[register])


def terms_of(claims: BorderClaims) -> str:
    """Return a statement in canonical JSON, lists that are sets sorted."""
    stated = claims.model_dump(mode="json", exclude_none=True)
    for name in ("fields", "purposes", "products"):
        if name in stated:
            stated[name] = sorted(set(stated[name]))
    return rfc8785.dumps(stated).decode()


def parse_terms(register: Register, terms: str) -> BorderClaims:
    """Return the statement in canonical terms.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
    """
    return parse_claims(terms.encode(), MODELS[register])


def check_term(claims: BorderClaims, now: int, latest: int | None) -> None:
    """Refuse a term that is empty, over, or longer than the law allows.

    Args:
        claims: The statement.
        now: Unix seconds.
        latest: The latest end that the law allows it, or None.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
    """
    ends = claims.ends
    if ends is None:
        return
    if claims.not_before >= ends:
        raise BadDocumentError("not_after: the term is empty")
    if ends <= now:
        raise BadDocumentError("not_after: the term is over already")
    if latest is not None and ends > latest:
        raise BadDocumentError("not_after: the term is longer than this kind can have")
