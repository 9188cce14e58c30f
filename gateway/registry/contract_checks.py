"""Turns a contract document into a `Product`, or says what is missing in it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import JsonValue

from gateway.domain.identifiers import MalformedIdentifierError, parse_uscc
from gateway.domain.product import Field, Product
from gateway.domain.vocabulary import BorderDefault, FieldClass, SubjectKind
from gateway.registry.contract_document import ContractDocument, CustomProperty, Property

FORMS = frozenset({"RECORD", "VERIFY", "SCORE", "REPORT", "INDEX", "SERVICE"})
GENERALISATIONS = frozenset({"band", "city", "year", "presence"})
FIELD_KEYS = frozenset(
    {
        "unit",
        "border",
        "measure",
        "identifying",
        "generalisation",
        "values",
        "members",
        "note",
        "basis",
    }
)
PRODUCT_KEYS = frozenset(
    {
        "titleZh",
        "titleEn",
        "form",
        "registrationCode",
        "subjectKinds",
        "subjectKey",
        "recordKey",
        "adverse",
        "feedLimitSeconds",
        "manager",
        "units",
    }
)
_LOGICAL = {
    "string": "string",
    "integer": "integer",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
    "list<string>": "array",
}
_DECIMAL = re.compile(r"decimal\(([1-9][0-9]?),([0-9]|[1-3][0-9])\)")
MAX_PRECISION = 38  # of Arrow's decimal128


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason to refuse a contract: the file, the field and what is wrong there."""

    file: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that manages data, by its USCC and its names."""

    uscc: str
    name_zh: str
    name_en: str


class _Reader:
    """Reads one document and collects every problem instead of stopping at the first."""

    def __init__(self, file: str, document: ContractDocument) -> None:
        self.file = file
        self.document = document
        self.problems: list[Problem] = []

    def complain(self, field: str, message: str) -> None:
        self.problems.append(Problem(self.file, field, message))

    def custom(
        self, field: str, entries: Sequence[CustomProperty], known: frozenset[str]
    ) -> Mapping[str, JsonValue]:
        names = Counter(entry.property for entry in entries)
        for name, count in names.items():
            if name not in known:
                self.complain(field, f"unknown custom property {name}")
            if count > 1:
                self.complain(field, f"custom property {name} stands twice")
        return {entry.property: entry.value for entry in entries}

    def text(self, field: str, values: Mapping[str, JsonValue], key: str) -> str:
        value = values.get(key)
        if isinstance(value, str) and value.strip():
            return value
        self.complain(field, f"{key} is missing")
        return ""

    def flag(self, field: str, values: Mapping[str, JsonValue], key: str) -> bool:
        value = values.get(key, False)
        if not isinstance(value, bool):
            self.complain(field, f"{key} must be true or false")
        return value is True

    def words(self, field: str, values: Mapping[str, JsonValue], key: str) -> tuple[str, ...]:
        value = values.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            items = tuple(str(item) for item in value)
            if len(set(items)) == len(items):
                return items
        self.complain(field, f"{key} must be a list of different texts")
        return ()

    def units(self, values: Mapping[str, JsonValue]) -> tuple[Unit, ...]:
        listed = values.get("units")
        units: list[Unit] = []
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict) and set(entry) == {"uscc", "nameZh", "nameEn"}:
                unit = Unit(str(entry["uscc"]), str(entry["nameZh"]), str(entry["nameEn"]))
                units.append(unit)
                self.uscc("units", unit.uscc)
            else:
                self.complain("units", "each unit has uscc, nameZh and nameEn, nothing else")
        if not units:
            self.complain("units", "no responsible unit is listed")
        if len({unit.uscc for unit in units}) < len(units):
            self.complain("units", "a unit is listed twice")
        return tuple(units)

    def uscc(self, field: str, code: str) -> None:
        try:
            canonical = parse_uscc(code)
        except MalformedIdentifierError:
            self.complain(field, "the unit's USCC has a wrong shape or check digit")
            return
        if canonical != code:
            self.complain(field, "the unit's USCC is not in its canonical form")

    def responsible(
        self, field: str, values: Mapping[str, JsonValue], key: str, known: frozenset[str]
    ) -> str:
        code = values.get(key)
        if not isinstance(code, str) or not code.strip():
            self.complain(field, "no responsible unit")
            return ""
        if code not in known:
            self.complain(field, "its responsible unit is not among the contract's units")
        return code


def read_product(
    file: str, document: ContractDocument, digest: str
) -> tuple[Product | None, tuple[Unit, ...], tuple[Problem, ...]]:
    """Return the product, the units it names and every problem; no product when there is one.

    Args:
        file: Name of the file, for the problems.
        document: The validated document.
        digest: SHA-256 of its canonical form, hex.
    """
    reader = _Reader(file, document)
    values = reader.custom("contract", document.custom_properties, PRODUCT_KEYS)
    units = reader.units(values)
    known = frozenset(unit.uscc for unit in units)
    table = document.schema_[0]
    if table.name != document.name:
        reader.complain("schema", "the table's name differs from the contract's")
    names = Counter(item.name for item in table.properties)
    for name, count in names.items():
        if count > 1:
            reader.complain(name, "the field stands twice")
    fields = {item.name: _field(reader, item, known) for item in table.properties}
    product = Product(
        name=document.name,
        version=document.version,
        title_zh=reader.text("contract", values, "titleZh"),
        title_en=reader.text("contract", values, "titleEn"),
        fields=MappingProxyType({k: v for k, v in fields.items() if v is not None}),
        subject_key=_key(reader, values, "subjectKey"),
        record_key=_key(reader, values, "recordKey"),
        subject_kinds=_kinds(reader, values),
        adverse=reader.flag("contract", values, "adverse"),
        domain=document.domain,
        form=_form(reader, values),
        registration_code=str(values.get("registrationCode", "")),
        manager_uscc=reader.responsible("manager", values, "manager", known),
        feed_limit_s=_feed_limit(reader, values),
        digest=digest,
    )
    problems = tuple(reader.problems)
    return (None if problems else product), units, problems


def _field(reader: _Reader, item: Property, known: frozenset[str]) -> Field | None:
    values = reader.custom(item.name, item.custom_properties, FIELD_KEYS)
    unit = reader.responsible(item.name, values, "unit", known)
    kind = _type(reader, item, values)
    measure, generalisation = values.get("measure", ""), values.get("generalisation", "")
    border = values.get("border")
    identifying = reader.flag(item.name, values, "identifying")
    for problem in _field_problems(item, measure, generalisation, border):
        reader.complain(item.name, problem)
    if item.classification not in FieldClass.__members__ or border not in {"A", "T", "D"}:
        return None
    return Field(
        name=item.name,
        title_zh=item.business_name,
        title_en=item.description,
        type=kind,
        classification=FieldClass(item.classification),
        unit_uscc=unit,
        border=BorderDefault(border),
        measure=str(measure),
        identifying=identifying,
        generalisation=str(generalisation),
        basis=str(values.get("basis", "")),
    )


def _field_problems(
    item: Property, measure: JsonValue, generalisation: JsonValue, border: JsonValue
) -> Iterator[str]:
    if item.classification not in FieldClass.__members__:
        yield "unknown class; the classes are P0, P1, C, PI, SPI"
    elif item.classification == FieldClass.X:
        yield "class X is prohibited at ingest (条例14), so no contract may carry the field"
    if not isinstance(measure, str):
        yield "measure must be a text"
    if border not in {"A", "T", "D"}:
        yield "the cross-border default must be A, T or D"
    if generalisation not in GENERALISATIONS | {""}:
        yield "unknown generalisation"
    if border == "T" and not generalisation:
        yield "the cross-border default is T, but no generalisation is named"
    if item.physical_type.startswith("decimal") and not measure:
        yield "an amount needs its currency or unit of measure"


def _type(reader: _Reader, item: Property, values: Mapping[str, JsonValue]) -> str:
    """Return the type in the words of `Field.type`."""
    decimal = _DECIMAL.fullmatch(item.physical_type)
    expected = "number" if decimal else _LOGICAL.get(item.physical_type)
    if expected is None:
        reader.complain(item.name, "unknown physicalType")
    elif expected != item.logical_type:
        reader.complain(item.name, "logicalType and physicalType don't fit together")
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2])
        if precision > MAX_PRECISION or scale > precision:
            reader.complain(item.name, "the decimal's precision or scale is out of range")
    words = reader.words(item.name, values, "values")
    if words and item.physical_type != "string":
        reader.complain(item.name, "only a string is an enumeration")
    return f"enum({','.join(words)})" if words else item.physical_type


def _key(reader: _Reader, values: Mapping[str, JsonValue], key: str) -> str:
    name = values.get(key)
    fields = {item.name: item for item in reader.document.schema_[0].properties}
    if not isinstance(name, str) or not name:
        reader.complain(key, "it is missing")
        return ""
    if name not in fields:
        reader.complain(key, "it names no field of the contract")
    elif not fields[name].required:
        reader.complain(key, "the field it names is not required")
    return name


def _kinds(reader: _Reader, values: Mapping[str, JsonValue]) -> frozenset[SubjectKind]:
    words = reader.words("subjectKinds", values, "subjectKinds")
    if not words:
        reader.complain("subjectKinds", "it is missing")
    for word in words:
        if word not in SubjectKind.__members__:
            reader.complain("subjectKinds", "unknown kind of subject")
    return frozenset(SubjectKind(word) for word in words if word in SubjectKind.__members__)


def _form(reader: _Reader, values: Mapping[str, JsonValue]) -> str:
    form = reader.text("form", values, "form")
    if form and form not in FORMS:
        reader.complain("form", "unknown form of product")
    return form


def _feed_limit(reader: _Reader, values: Mapping[str, JsonValue]) -> int:
    limit = values.get("feedLimitSeconds")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        reader.complain("feedLimitSeconds", "it must be a number of seconds, 0 or more")
        return 0
    if values.get("adverse") is True and limit == 0:
        reader.complain("feedLimitSeconds", "an adverse product needs a feed limit (R13)")
    return limit
