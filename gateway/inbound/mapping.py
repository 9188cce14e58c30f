"""From an issuer's claims to columns of the product: only what the register names, nothing else.

A claim that the registration doesn't name is a refusal, not a column that is left out: an issuer
states what was agreed, and whoever reads must be able to rely on having seen all of it.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.inbound.errors import ForeignDocumentError, malformed
from gateway.inbound.identifiers import LEI, canonical_identifier, identifier_kinds, subject_of
from gateway.inbound.jose import Json, read_keys
from gateway.registry.issuer_claims import GradeTableClaims, IssuerClaims, StatementClaims

JURISDICTION, GRADE, SCALE = "jurisdiction", "grade_original", "grade_scale"
# The columns that an issuer may fill; the rest is provenance, which nobody states of himself.
STATED_COLUMNS = frozenset(
    {
        JURISDICTION, "name", "name_en", "entity_type", "registered_on", "reg_status",
        "industry_code", GRADE, SCALE, "payment_performance", "credit_limit_band", "report_no",
    }
)  # fmt: skip
_DATES = frozenset({"registered_on"})
_OF_THE_FORM = frozenset(
    {"iss", "sub", "jti", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"}
)
_LONGEST = 512
Row = dict[str, str | int | None]


class GradeTables(Protocol):
    """Finds the table that reads an issuer's grade; another register of tables may stand in."""

    def table_for(self, issuer: IssuerClaims, scale: str) -> GradeTableClaims | None:
        """Return the one table for a scale, edition included, or None."""
        ...


class RegisteredTables:
    """The tables that were approved with the issuer's own registration."""

    def table_for(self, issuer: IssuerClaims, scale: str) -> GradeTableClaims | None:
        """Return the registered table for a scale, or None."""
        return next((table for table in issuer.grade_tables if table.scale == scale), None)


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a document says, in our words.

    Args:
        subject: The firm.
        row: Column to value, for the columns that the document fills or that follow from it.
        table: Id and version of the grade table, or empty when it states no grade.
    """

    subject: str
    row: Row
    table: str


def check_registration(content: IssuerClaims) -> None:
    """Check what only this room knows of a registration: columns, kinds of identifiers, keys.

    Raises:
        ForeignDocumentError: `FOREIGN_STATEMENT` or `FOREIGN_MALFORMED`.
    """
    read_keys(content.keys)
    for statement in content.statements:
        if statement.fields.keys() - STATED_COLUMNS or JURISDICTION not in statement.fields:
            raise _outside("a statement fills a column that no issuer may, or no jurisdiction")
        if statement.identifiers.keys() - identifier_kinds().keys():
            raise _outside("a statement names a kind of identifier that is not known here")
        if (GRADE in statement.fields) != (SCALE in statement.fields):
            raise _outside("a statement fills a grade without its scale, or the other way round")


def map_claims(
    claims: Json, issuer: IssuerClaims, statement: StatementClaims, tables: GradeTables
) -> Mapped:
    """Return what a verified document says, in our words.

    Args:
        claims: Its claims.
        issuer: Its issuer's registration.
        statement: The kind of document it is.
        tables: Finds grade tables.

    Raises:
        ForeignDocumentError: `FOREIGN_STATEMENT`, `FOREIGN_IDENTIFIER`, `FOREIGN_JURISDICTION`,
            `FOREIGN_MAPPING` or `FOREIGN_MALFORMED`.
    """
    named = {*statement.fields.values(), *statement.identifiers.values(), *statement.unread}
    if claims.keys() - named - _OF_THE_FORM:
        raise _outside("it states a claim that its issuer's registration does not name")
    row: Row = {
        column: _date(claims[claim]) if column in _DATES else _text(claims[claim])
        for column, claim in statement.fields.items()
        if claim in claims
    }
    if not (row.get("name") or row.get("name_en")):
        raise _outside("it does not say which firm it is about by name")
    identifiers = _identifiers(claims, statement)
    _check_jurisdiction(str(row.get(JURISDICTION) or ""), identifiers, issuer)
    local = {kind: text for kind, text in identifiers.items() if kind != LEI}
    kind = min(local) if local else None
    row |= {
        "lei": identifiers.get(LEI),
        "local_id_kind": kind,
        "local_id": None if kind is None else local[kind],
    }
    table = _mapped_grade(row, issuer, tables)
    return Mapped(subject_of(identifiers), row, table)


def _identifiers(claims: Json, statement: StatementClaims) -> Mapping[str, str]:
    found = {
        kind: canonical_identifier(kind, _text(claims[claim]))
        for kind, claim in statement.identifiers.items()
        if claim in claims
    }
    if not found:
        raise ForeignDocumentError("FOREIGN_IDENTIFIER", "it names the firm by no identifier")
    return found


def _check_jurisdiction(
    jurisdiction: str, identifiers: Mapping[str, str], issuer: IssuerClaims
) -> None:
    """Check that the issuer may speak of this jurisdiction, and that the firm is of it."""
    countries = {identifier_kinds()[kind].country for kind in identifiers} - {""}
    if jurisdiction not in issuer.subjects_of or countries - {jurisdiction}:
        raise ForeignDocumentError(
            "FOREIGN_JURISDICTION", "the firm is of a jurisdiction that its issuer has no say in"
        )


def _mapped_grade(row: Row, issuer: IssuerClaims, tables: GradeTables) -> str:
    """Put the mapped grade into the row; return the table that read it, or empty."""
    grade, scale = row.get(GRADE), row.get(SCALE)
    if grade is None and scale is None:
        return ""
    table = tables.table_for(issuer, str(scale)) if grade is not None and scale else None
    if table is None or str(grade) not in table.grades:
        raise ForeignDocumentError(
            "FOREIGN_MAPPING", "no registered table reads its grade on this edition of the scale"
        )
    row |= {
        "grade": table.grades[str(grade)],
        "grade_mapping_id": table.table,
        "grade_mapping_version": table.version,
    }
    return f"{table.table}/{table.version}"


def _text(value: object) -> str:
    """Return a claim's text; what is no plain line of text could hide in a log or a terminal."""
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise malformed("a claim is not a line of text of up to 512 characters")
    if not value.isprintable():
        raise malformed("a claim holds control characters")
    return value.strip()


def _date(value: object) -> str:
    text = _text(value)
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise malformed("a claim is not a date (ISO 8601)") from None


def _outside(message: str) -> ForeignDocumentError:
    return ForeignDocumentError("FOREIGN_STATEMENT", message)
