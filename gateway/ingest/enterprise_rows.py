"""One row of the published register: what it says in the contract's words, or its faults."""

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import ClassVar

from gateway.domain.identifiers import MalformedIdentifierError, parse_uscc
from gateway.domain.vocabulary import SubjectKind
from gateway.ingest.amounts import AmountError, parse_amount
from gateway.ingest.encodings import is_destroyed, narrow

# Header of the published file to the field that it fills.
HEADERS = MappingProxyType(
    {
        "企业名称": "name",
        "统一社会信用代码": "uscc",
        "注册日期": "established_on",
        "企业类型": "entity_type",
        "注册资金": "registered_capital",
        "经营范围": "business_scope",
        "所在省份": "province",
        "地区": "locality",
        "注册地址": "address",
    }
)
# Some editions still carry the name of the legal representative.
OPTIONAL = MappingProxyType({"法人代表": "legal_rep_name"})

_MISSING = frozenset({"", "N/A", "NA", "NULL"})
_DATE = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?")
_FIRST_DAY = dt.date(1900, 1, 1)
# Divisions of GB/T 2260 by the names that the register uses. Yangpu is a development zone
# without a division code of its own, so its companies have none.
_REGIONS = MappingProxyType(
    {"海口": "460100", "三亚": "460200", "三沙": "460300", "儋州": "460400", "省直辖县": "469000"}
)
_SOLE_PROP_TYPE = "个体工商户"
_SOLE_PROP_PREFIX = "92"
_PREFIX_KINDS = MappingProxyType(
    {"51": SubjectKind.SOCIAL_ORG, "12": SubjectKind.PUBLIC_INST, "11": SubjectKind.GOV}
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is held back.

    Args:
        rule: Rule of domain-rules 9.1, or INGEST for the shape of the file itself.
        code: UPPER_SNAKE code.
        field: Field concerned, or `row`.
        message: What is wrong, without the value.
    """

    rule: str
    code: str
    field: str
    message: str

    @classmethod
    def again(cls, *, same: bool) -> "Fault":
        """Return the fault of a row whose code stood in an earlier row already (R07)."""
        if same:
            return cls("R07", "DUPLICATE", "uscc", "an earlier row says the same")
        return cls("R07", "CONFLICT", "uscc", "an earlier row with this code says otherwise")


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """A row in the contract's words; None where the source says nothing."""

    uscc: str
    name: str
    established_on: dt.date
    entity_type: str | None
    registered_capital: Decimal | None
    registered_capital_currency: str | None
    business_scope: str | None
    province: str | None
    locality: str | None
    region_code: str | None
    address: str | None
    legal_rep_name: str | None
    subject_type: str
    notes: tuple[str, ...]

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "uscc",
        "name",
        "established_on",
        "entity_type",
        "registered_capital",
        "registered_capital_currency",
        "business_scope",
        "province",
        "locality",
        "region_code",
        "address",
        "legal_rep_name",
        "subject_type",
    )


def parse_row(header: list[str], cells: list[str]) -> tuple[ParsedRow | None, tuple[Fault, ...]]:
    """Return the row, or None and every fault it has.

    Args:
        header: Names of the file's columns.
        cells: As many texts as the header has names; another number is a fault.
    """
    if len(cells) != len(header):
        return None, (Fault("INGEST", "WRONG_WIDTH", "row", "it has too many or too few cells"),)
    named = dict(zip(header, cells, strict=True))
    # A destroyed row has often lost its column borders too, so nothing else is read from it.
    destroyed = [title for title, cell in named.items() if is_destroyed(cell)]
    if destroyed:
        return None, tuple(
            Fault("INGEST", "TEXT_DESTROYED", _field(title), "an encoding error destroyed the text")
            for title in destroyed[:1]
        )
    values = {_field(title): _text(cell) for title, cell in named.items()}
    return _RowReader(values).read()


def _field(title: str) -> str:
    return HEADERS.get(title) or OPTIONAL[title]


def _text(cell: str) -> str | None:
    """Return a published text, trimmed and otherwise as it is; None where there is none."""
    trimmed = cell.strip().strip("\u3000")
    return None if trimmed.upper() in _MISSING else trimmed


class _RowReader:
    """Reads one row and collects all of its faults."""

    def __init__(self, values: dict[str, str | None]) -> None:
        self._values = values
        self._faults: list[Fault] = []

    def read(self) -> tuple[ParsedRow | None, tuple[Fault, ...]]:
        values = self._values
        uscc, name, founded = self._uscc(), self._name(), self._founded()
        capital, currency, notes = self._capital()
        if self._faults or uscc is None or name is None or founded is None:
            return None, tuple(self._faults)
        locality = values["locality"]
        row = ParsedRow(
            uscc=uscc,
            name=name,
            established_on=founded,
            entity_type=values["entity_type"],
            registered_capital=capital,
            registered_capital_currency=currency,
            business_scope=values["business_scope"],
            province=values["province"],
            locality=locality,
            region_code=_REGIONS.get(locality or ""),
            address=values["address"],
            legal_rep_name=values.get("legal_rep_name"),
            subject_type=_kind(uscc, values["entity_type"]).value,
            notes=notes,
        )
        return row, ()

    def _fault(self, rule: str, code: str, field: str, message: str) -> None:
        self._faults.append(Fault(rule, code, field, message))

    def _uscc(self) -> str | None:
        try:
            return parse_uscc(narrow(self._values["uscc"] or ""))
        except MalformedIdentifierError:
            self._fault("R02", "BAD_ID", "uscc", "not a valid unified social credit code")
            return None

    def _name(self) -> str | None:
        name = self._values["name"]
        if name is None:
            self._fault("INGEST", "NO_NAME", "name", "the name is missing")
        return name

    def _founded(self) -> dt.date | None:
        match = _DATE.fullmatch(narrow(self._values["established_on"] or ""))
        try:
            day = None if match is None else dt.date(*(int(part) for part in match.groups()))
        except ValueError:
            day = None
        if day is None or day < _FIRST_DAY:
            self._fault("INGEST", "BAD_DATE", "established_on", "not a calendar date")
            return None
        return day

    def _capital(self) -> tuple[Decimal | None, str | None, tuple[str, ...]]:
        try:
            amount = parse_amount(self._values["registered_capital"] or "")
        except AmountError as error:
            self._fault("INGEST", "BAD_AMOUNT", "registered_capital", str(error))
            return None, None, ()
        if amount is None:
            return None, None, ("NO_CAPITAL",)
        notes = () if amount.currency else ("CURRENCY_UNSTATED",)
        return amount.value, amount.currency, notes


def _kind(uscc: str, entity_type: str | None) -> SubjectKind:
    """Return the kind of subject; individual businesses are persons behind a code."""
    if uscc.startswith(_SOLE_PROP_PREFIX) or _SOLE_PROP_TYPE in (entity_type or ""):
        return SubjectKind.SOLE_PROP
    return _PREFIX_KINDS.get(uscc[:2], SubjectKind.LEGAL_ENTITY)
