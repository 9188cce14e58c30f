"""Data contracts: what a product is, field by field, and who answers for each field."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.vocabulary import BorderDefault, FieldClass, SubjectKind


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a data contract (Open Data Contract Standard, domain-rules 3.3).

    Args:
        name: snake_case name.
        title_zh: Chinese name as the sources print it.
        title_en: English name.
        type: Logical type: string, integer, decimal(p,s), date, timestamp, boolean,
            list<string>, map, or an enumeration of strings.
        classification: Sensitivity class.
        unit_uscc: USCC of the unit that manages it (谁管理谁负责).
        border: Cross-border default.
        measure: Currency or unit of measure, empty when it has none.
        identifying: True when the field alone or nearly alone names the subject.
        generalisation: Name of the transform for `generalise` (`band`, `city`, `year`), or empty.
        basis: What a computed value rests on, told with every answer; empty for what isn't one.
    """

    name: str
    title_zh: str
    title_en: str
    type: str
    classification: FieldClass
    unit_uscc: str
    border: BorderDefault
    measure: str = ""
    identifying: bool = False
    generalisation: str = ""
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """One data product, from its contract.

    Args:
        name: snake_case name, also the licence's and the snapshot's.
        version: Version of the contract.
        title_zh: Chinese title.
        title_en: English title.
        fields: Field name to field, in the contract's order.
        subject_key: Name of the field that identifies the subject.
        record_key: Name of the field that identifies the record.
        subject_kinds: Kinds of subject it holds.
        adverse: True when its records are adverse and so bound to publicity (R10).
        domain: PUBLIC or MARKET.
        form: RECORD, VERIFY, SCORE, REPORT, INDEX or SERVICE (R34).
        registration_code: Registration of the data product (R33); empty when unregistered.
        manager_uscc: The unit responsible for the product.
        feed_limit_s: Greatest age of the publicity feed in seconds, 0 when it needs none (R13).
        digest: SHA-256 of the contract's canonical form, hex.
    """

    name: str
    version: str
    title_zh: str
    title_en: str
    fields: Mapping[str, Field]
    subject_key: str
    record_key: str
    subject_kinds: frozenset[SubjectKind]
    adverse: bool
    domain: str
    form: str
    registration_code: str
    manager_uscc: str
    feed_limit_s: int
    digest: str
