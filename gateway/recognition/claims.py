"""What the signed documents of mutual recognition say, and what of it is refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from gateway.decision.tables import read_table
from gateway.domain.errors import InvalidRequestError
from gateway.domain.identifiers import parse_lei, parse_local_number, parse_uscc
from gateway.domain.product import Product
from gateway.domain.recognition import Direction, Mode, Register, Scale, check_mapping
from gateway.domain.vocabulary import Role
from gateway.registry.documents import BadDocumentError, Claims
from gateway.registry.licences import Code, Country, Identifier, Instant, Name, PartyId
from gateway.registry.periods import POLICIES
from gateway.registry.recognition import mapping_name

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]
GradeName = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Version = Annotated[int, Field(ge=1, le=2**31)]
Uscc = Annotated[str, AfterValidator(parse_uscc)]
Lei = Annotated[str, AfterValidator(lambda text: parse_lei(text) if text else "")]
LocalNumber = Annotated[str, AfterValidator(parse_local_number)]
_LONGEST_TERM_S = 5 * 366 * 86_400
PARTNER_ROLES = frozenset({Role.CROSS_BORDER_PARTNER, Role.REGIONAL_PARTNER})


class TermsClaims(Claims):
    """The terms of a recognition agreement: which modes, for what, where, and what comes after."""

    v: Literal[1] = 1
    partner: PartyId
    version: Version
    agreement_id: Identifier
    modes: tuple[Mode, ...] = Field(min_length=1, max_length=16)
    purposes: tuple[Code, ...] = Field(min_length=1, max_length=64)
    jurisdictions: tuple[Country, ...] = Field(min_length=1, max_length=64)
    end_uses: tuple[Code, ...] = Field(min_length=1, max_length=64)
    onward_zh: Text
    onward_en: Text
    dispute_contact: Short
    mcc_annex: Identifier | Literal[""] = ""
    not_before: Instant
    not_after: Instant


class ScaleClaims(Claims):
    """A scale of grades, the best first."""

    name: Short
    grades: tuple[GradeName, ...] = Field(min_length=1, max_length=64)


class RowClaims(Claims):
    """One grade, and the one that equals it; an empty text says that none does."""

    grade: GradeName
    equals: GradeName | Literal[""]


class MappingClaims(Claims):
    """A table that maps grades between a Hainan scale and a partner's, total and monotone."""

    v: Literal[1] = 1
    mapping_id: Identifier
    version: Version
    partner: PartyId
    product: Name
    field: Name
    direction: Direction = Direction.OUT
    source: ScaleClaims
    target: ScaleClaims
    rows: tuple[RowClaims, ...] = Field(min_length=1, max_length=64)
    incentive: bool = False
    purposes: tuple[Code, ...] = Field(default=(), max_length=64)
    not_before: Instant


class FieldClaims(Claims):
    """How one field is called in a destination, whether it may go there, and how old it may be."""

    product: Name
    field: Name
    name: Short
    label: Short
    unit: Annotated[str, StringConstraints(max_length=40)] = ""
    forbidden: bool = False
    oldest_years: int = Field(default=0, ge=0, le=100)
    source: Short
    tag: Literal["S", "V", "V2", "M", "D", "H"]


class FieldsClaims(Claims):
    """The field-correspondence table of one destination, with the filters of its law."""

    v: Literal[1] = 1
    jurisdiction: Country
    version: Version
    rows: tuple[FieldClaims, ...] = Field(min_length=1, max_length=512)
    not_before: Instant


class EquivalenceClaims(Claims):
    """One enterprise under its several identifiers."""

    uscc: Uscc
    lei: Lei = ""
    numbers: tuple[LocalNumber, ...] = Field(default=(), max_length=16)


class IdentifiersClaims(Claims):
    """Identifiers that name the same enterprise: USCC, LEI, numbers of foreign registers."""

    v: Literal[1] = 1
    register_id: Identifier
    version: Version
    entries: tuple[EquivalenceClaims, ...] = Field(min_length=1, max_length=500)
    not_before: Instant


AnyClaims = TermsClaims | MappingClaims | FieldsClaims | IdentifiersClaims
MODELS: Mapping[Register, type[AnyClaims]] = MappingProxyType(
    {
        Register.TERMS: TermsClaims,
        Register.MAPPING: MappingClaims,
        Register.FIELDS: FieldsClaims,
        Register.IDENTIFIERS: IdentifiersClaims,
    }
)


def register_of(claims: AnyClaims) -> Register:
    """Return the register that claims belong to."""
    return next(register for register, model in MODELS.items() if isinstance(claims, model))


def name_of(claims: AnyClaims) -> str:
    """Return what the versions of a document share."""
    if isinstance(claims, TermsClaims):
        return claims.partner
    if isinstance(claims, MappingClaims):
        return mapping_name(claims.partner, claims.product, claims.direction)
    return claims.jurisdiction if isinstance(claims, FieldsClaims) else claims.register_id


@dataclass(frozen=True, slots=True)
class Ground:
    """What documents are checked against.

    Args:
        products: The catalogue.
        role_of: Party id to its role, or None when it is not registered.
        incentive_purposes: Purposes that are incentives (M12).
        incentive_products: Products that serve incentives only (R70).
        border_purposes: Purposes that may cross (M59).
    """

    products: Mapping[str, Product]
    role_of: Callable[[str], Role | None]
    incentive_purposes: frozenset[str]
    incentive_products: frozenset[str]
    border_purposes: frozenset[str]


def ground(products: Mapping[str, Product], role_of: Callable[[str], Role | None]) -> Ground:
    """Return what documents are checked against, the law from its tables."""
    data = POLICIES / "data"
    groups = {name: entry["groups"] for name, entry in read_table(data, "purposes").items()}
    products_only = read_table(data, "lists")["golden_coconut_products"]["values"]

    def of(group: str) -> frozenset[str]:
        return frozenset(
            n for n, found in groups.items() if isinstance(found, list) and group in found
        )

    only = products_only if isinstance(products_only, list) else []
    return Ground(products, role_of, of("incentive"), frozenset(map(str, only)), of("border"))


def check(claims: AnyClaims, known: Ground, now: int) -> None:
    """Refuse a document that says something impossible or unlawful.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        InvalidRequestError: `BAD_MAPPING`, `UNKNOWN_PRODUCT`, `UNKNOWN_FIELD` or `BAD_REQUEST`.
    """
    if isinstance(claims, TermsClaims):
        _check_terms(claims, known, now)
    elif isinstance(claims, MappingClaims):
        _check_mapping(claims, known)
    elif isinstance(claims, FieldsClaims):
        _check_fields(claims, known)
    else:
        _check_identifiers(claims)


def _check_partner(partner: str, known: Ground) -> Role:
    role = known.role_of(partner)
    if role not in PARTNER_ROLES:
        raise InvalidRequestError(
            "BAD_REQUEST", "the partner is not registered as a cross-border or regional partner"
        )
    return role


def _check_terms(claims: TermsClaims, known: Ground, now: int) -> None:
    role = _check_partner(claims.partner, known)
    if not claims.not_before < claims.not_after or claims.not_after <= now:
        raise BadDocumentError("not_after: the term is empty or over")
    if claims.not_after - claims.not_before > _LONGEST_TERM_S:
        raise BadDocumentError("not_after: terms hold for five years at most")
    abroad = role is Role.CROSS_BORDER_PARTNER
    if abroad and not known.border_purposes.issuperset(claims.purposes):
        raise BadDocumentError("purposes: only purposes of measure 59 cross the border")
    if abroad == ("CN" in claims.jurisdictions):
        raise BadDocumentError("jurisdictions: inside the country for a region, outside for others")


def _check_mapping(claims: MappingClaims, known: Ground) -> None:
    role = _check_partner(claims.partner, known)
    _check_field(claims.product, claims.field, known)
    check_mapping(
        Scale(claims.source.name, claims.source.grades),
        Scale(claims.target.name, claims.target.grades),
        [(row.grade, row.equals or None) for row in claims.rows],
    )
    between_regions = claims.incentive and role is Role.REGIONAL_PARTNER
    if claims.product in known.incentive_products and not between_regions:
        raise InvalidRequestError(
            "BAD_MAPPING", "the golden coconut score is recognised between regions, as incentive"
        )
    if claims.incentive and not (
        claims.purposes and known.incentive_purposes.issuperset(claims.purposes)
    ):
        raise InvalidRequestError(
            "BAD_MAPPING", "a table for incentives names its purposes, all of them incentives (R70)"
        )


def _check_fields(claims: FieldsClaims, known: Ground) -> None:
    if claims.jurisdiction == "CN":
        raise BadDocumentError("jurisdiction: a destination is outside the country")
    seen = set()
    for row in claims.rows:
        _check_field(row.product, row.field, known)
        kind = known.products[row.product].fields[row.field].type
        if row.oldest_years and kind != "date":
            raise BadDocumentError("oldest_years: the age is told by a date field")
        if (row.product, row.field) in seen:
            raise BadDocumentError("rows: a field is named twice")
        seen.add((row.product, row.field))


def _check_field(product: str, field: str, known: Ground) -> None:
    if product not in known.products:
        raise InvalidRequestError("UNKNOWN_PRODUCT", "no such product is in the catalogue")
    if field not in known.products[product].fields:
        raise InvalidRequestError("UNKNOWN_FIELD", "a field is not in the product's contract")


def _check_identifiers(claims: IdentifiersClaims) -> None:
    told = [entry.uscc for entry in claims.entries]
    others = [v for e in claims.entries for v in (*((e.lei,) if e.lei else ()), *e.numbers)]
    if len(set(told)) != len(told) or len(set(others)) != len(others):
        raise BadDocumentError("entries: an identifier is named twice")
    if any(not entry.lei and not entry.numbers for entry in claims.entries):
        raise BadDocumentError("entries: an entry has no other identifier")
