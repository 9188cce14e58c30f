"""A report: released fields of several products, joined and told in English with the original.

Pure: bytes from what the road released. Canonical JSON, so that its digest is anybody's to compute.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

import rfc8785

from gateway.decision.tables import read_table
from gateway.domain.product import Product
from gateway.domain.recognition import FieldTable, Terms
from gateway.registry.periods import POLICIES

TYPE = "xinguan-credit-report/v1"
Row = Mapping[str, Any]  # Any: a value of an Arrow column
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """What one release put into a report.

    Args:
        product: Its contract.
        rows: The released rows, field to value.
        fields: Names of the released fields, in their order.
        dropped: Field to the reason code why it was dropped.
        request_id: Of the release.
        as_of: When the records were read from their sources, unix seconds.
        feed_age_s: Age of the publicity feed, -1 when the product needs none.
        quarantined_ppm: Share of the source's rows that are quarantined.
        whitelist: Version of the whitelist, 0 inside the country.
        mechanism: Mechanism that binds it, or empty.
    """

    product: Product
    rows: Sequence[Row]
    fields: Sequence[str]
    dropped: Mapping[str, str]
    request_id: str
    as_of: int
    feed_age_s: int
    quarantined_ppm: int
    whitelist: int
    mechanism: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What a report says besides its sections.

    Args:
        report_no: Its number.
        recipient: Party id of whom it is for.
        named: The enterprise as the request named it.
        identifiers: Its other identifiers; told only when its code was released.
        purpose: Purpose code.
        destination: Where it is used, ISO 3166.
        issued_at: Unix seconds.
        valid_until: Unix seconds.
        policy: SHA-256 of the policy bundle, hex.
        terms: The partner's terms, or None inside the country.
        table: The field table of the destination, or None inside the country.
    """

    report_no: str
    recipient: str
    named: str
    identifiers: Mapping[str, str]
    purpose: str
    destination: str
    issued_at: int
    valid_until: int
    policy: str
    terms: Terms | None
    table: FieldTable | None


def compose(frame: Frame, sections: Sequence[Section]) -> bytes:
    """Return the report as canonical JSON (RFC 8785)."""
    terms, table = frame.terms, frame.table
    known = any("uscc" in section.fields and section.rows for section in sections)
    return rfc8785.dumps(
        {
            "type": TYPE,
            "report_no": frame.report_no,
            "title": {"en": "Enterprise credit report", "zh": "企业信用报告"},
            "recipient": frame.recipient,
            "purpose": frame.purpose,
            "destination": frame.destination,
            "issued_at": _instant(frame.issued_at),
            "valid_until": _instant(frame.valid_until),
            "subject": {
                "named": frame.named,
                "identifiers": dict(frame.identifiers) if known else {},
            },
            "sections": [_section(section, table) for section in sections],
            "versions": {
                "policy": frame.policy,
                "terms": None
                if terms is None
                else {"agreement": terms.agreement_id, "version": terms.effect.version},
                "field_table": None
                if table is None
                else {"jurisdiction": table.jurisdiction, "version": table.effect.version},
            },
            "onward_use": None if terms is None else {"en": terms.onward_en, "zh": terms.onward_zh},
            "dispute_contact": None if terms is None else terms.dispute_contact,
            "mcc_annex": None if terms is None else terms.mcc_annex or None,
            "note": {
                "en": "Only what may be shared is shown; no record does not say there is none.",
                "zh": "未列示不等于不存在：仅列示依法可以共享的记录。",
            },
        }
    )


def _section(section: Section, table: FieldTable | None) -> Json:
    product = section.product
    return {
        "product": product.name,
        "title": {"en": product.title_en, "zh": product.title_zh},
        "contract_version": product.version,
        "request_id": section.request_id,
        "as_of": _instant(section.as_of),
        "feed_age_s": section.feed_age_s,
        "quarantined_ppm": section.quarantined_ppm,
        "sources": sorted({field.unit_uscc for field in product.fields.values()}),
        "whitelist_version": section.whitelist or None,
        "mechanism": section.mechanism or None,
        "fields": [_field(product, name, table) for name in section.fields],
        "dropped": dict(section.dropped),
        "records": [{name: _value(row[name]) for name in section.fields} for row in section.rows],
    }


def _field(product: Product, name: str, table: FieldTable | None) -> Json:
    """Return how a field is called: here, and where the report goes."""
    field = product.fields[name]
    there = None if table is None else table.rows.get((product.name, name))
    return {
        "field": name,
        "name": name if there is None else there.name,
        "label": {"en": field.title_en if there is None else there.label, "zh": field.title_zh},
        "unit": (field.measure if there is None else there.unit or field.measure) or None,
    }


def _value(value: Any) -> Json:
    """Return a value as JSON, its English beside the original where there is one."""
    if isinstance(value, list):
        return {"value": [_plain(each) for each in value]}
    plain = _plain(value)
    english = terms_en().get(plain) if isinstance(plain, str) else None
    return {"value": plain} if english is None else {"value": plain, "en": english}


def _plain(value: Any) -> str | int | bool | None:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        # Beyond what every reader of JSON keeps exactly, a number is told as text.
        return value if abs(value) < 1 << 53 else str(value)
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _instant(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=1)
def terms_en() -> Mapping[str, str]:
    """Return the English of words that stand in records, from `policies/data/terms_en.json`."""
    return {
        word: str(entry["en"]) for word, entry in read_table(POLICIES / "data", "terms_en").items()
    }
