"""What the registration of an issuer abroad says: its keys, what it may state, what binds a reader.

It is signed by the authority, or proposed by one administrator and signed by two approvers of
different roles (`gateway.registry.issuers`). Nothing that an issuer says of itself adds to it.
"""

import json
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gateway.domain.foreign import IssuerKind
from gateway.domain.party import parse_party_id
from gateway.registry.documents import Claims, parse_claims
from gateway.registry.licences import Code, Country, Identifier, Instant

ISSUER_TYPE = "xinguan-issuer+jwt"
HOME = "CN"
_DAY_S = 86_400

IssuerId = Annotated[
    str, StringConstraints(pattern=r"^https://[a-z0-9.\-]{3,200}(/[\x21-\x7e]*)?$")
]
Prefix = Annotated[
    str, StringConstraints(pattern=r"^https://[a-z0-9.\-]{3,200}(:\d{1,5})?/[\x21-\x7e]*$")
]
Column = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
ClaimName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.:\-]{0,63}$")]
IdentifierKind = Annotated[str, StringConstraints(pattern=r"^(LEI|[A-Z]{2}:[A-Z]{2,12})$")]
PartyOrNone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(lambda text: parse_party_id(text) if text else ""),
]
Words = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Grade = Annotated[str, StringConstraints(min_length=1, max_length=16)]


class StatementClaims(Claims):
    """One kind of document that the issuer may state, and how its claims are read.

    Args:
        vct: The document's own `vct`.
        form: An SD-JWT VC, or a signed report.
        fields: Column of the product to the claim that it is read from.
        identifiers: Kind of identifier to the claim that it is read from.
        unread: Claims that it may hold besides and that are not read; agreed on by name, so that
            nothing is passed over that nobody knew of.
        holder_binding: Whether its holder must bind each presentation.
    """

    vct: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    form: Literal["SD_JWT", "JWS"]
    fields: dict[Column, ClaimName] = Field(min_length=1, max_length=64)
    identifiers: dict[IdentifierKind, ClaimName] = Field(min_length=1, max_length=8)
    unread: tuple[ClaimName, ...] = Field(default=(), max_length=64)
    holder_binding: bool = False


class GradeTableClaims(Claims):
    """A table from the issuer's grades to those that readers here know, signed with all the rest.

    Args:
        table: Its id.
        version: Its version.
        scale: The scale that a document states, edition included; no other scale is read by it.
        grades: The issuer's grade to ours.
    """

    table: Identifier
    version: int = Field(ge=1, le=2**31)
    scale: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    grades: dict[Grade, Grade] = Field(min_length=1, max_length=64)


class IssuerAgreementClaims(Claims):
    """The agreement with the issuer, and what it says of onward use."""

    agreement_id: Identifier
    not_before: Instant
    not_after: Instant
    onward_use: Code
    onward_zh: Words
    onward_en: Words


class IssuerClaims(Claims):
    """One version of an issuer's registration.

    Args:
        v: Version of this form.
        issuer: Its `iss`.
        version: Rises by one with each version.
        name: Its name, for people.
        kind: A foreign bureau or another partner.
        party: Party id under which it calls itself; empty when it doesn't call.
        jurisdiction: Where it is licensed.
        subjects_of: Jurisdictions of the firms that it may state anything about.
        keys: Its public keys, each a JWK with a `kid`.
        statements: What it may state.
        grade_tables: How its grades are read.
        status_prefixes: Where its status lists are; no other address is ever fetched.
        status_max_age_s: Greatest age of a status list, whatever the list says.
        agreement: The agreement.
        not_before: Start of effect.
    """

    v: Literal[1] = 1
    issuer: IssuerId
    version: int = Field(ge=1, le=2**31)
    name: Words
    kind: Annotated[IssuerKind, Field(strict=False)]
    party: PartyOrNone = ""
    jurisdiction: Country
    subjects_of: tuple[Country, ...] = Field(min_length=1, max_length=64)
    keys: tuple[dict[str, str], ...] = Field(min_length=1, max_length=16)
    statements: tuple[StatementClaims, ...] = Field(min_length=1, max_length=16)
    grade_tables: tuple[GradeTableClaims, ...] = Field(default=(), max_length=16)
    status_prefixes: tuple[Prefix, ...] = Field(min_length=1, max_length=8)
    status_max_age_s: int = Field(default=_DAY_S, ge=60, le=7 * _DAY_S)
    agreement: IssuerAgreementClaims
    not_before: Instant

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse what could be read in two ways, or is no foreign issuer at all."""
        if self.jurisdiction == HOME or HOME in self.subjects_of:
            raise ValueError("an issuer abroad states something about firms abroad")
        if self.agreement.not_before >= self.agreement.not_after:
            raise ValueError("the agreement's term is empty")
        for what, names in (
            ("vct", [statement.vct for statement in self.statements]),
            ("scale", [table.scale for table in self.grade_tables]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"a {what} stands twice")
        for statement in self.statements:
            read = [*statement.fields.values(), *statement.identifiers.values(), *statement.unread]
            if len(set(read)) != len(read):
                raise ValueError("a claim is read into two fields, or read and not read")
        return self


def read_issuer(raw: bytes) -> IssuerClaims:
    """Return the registration in a JSON file.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, naming what is malformed.
    """
    return parse_claims(raw, IssuerClaims)


def canonical(claims: IssuerClaims) -> str:
    """Return a registration as the state keeps it and as its digest is taken of it."""
    return json.dumps(
        claims.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
