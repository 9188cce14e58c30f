"""The world in miniature: parties, products, licences and requests for tests.

Values are synthetic. Codes pass GB 32100 and use the unassigned region 460099.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.domain.decision import Decision
from gateway.domain.facts import Facts, Hop, Publicity, Responsibility
from gateway.domain.licence import Agreement, Grant, Licence, Quotas
from gateway.domain.party import Caller, Certificate, Party
from gateway.domain.product import Field, Product
from gateway.domain.request import ExchangeRequest
from gateway.domain.vocabulary import (
    BorderDefault,
    FieldAction,
    FieldClass,
    LicenceKind,
    Role,
    Status,
    SubjectKind,
)

NOW = 1_795_500_000  # 2026-11-24 in Hainan
_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
UNIT = "11460099MB00000019"


def uscc(number: int) -> str:
    """Return a synthetic code with a valid check digit."""
    body = f"91460099{number:09d}"
    total = sum(_ALPHABET.index(char) * weight for char, weight in zip(body, _WEIGHTS, strict=True))
    return body + _ALPHABET[(31 - total % 31) % 31]


def make_field(name: str, kind: str = "string", cls: str = "P0", **words: Any) -> Field:
    """Return a field of a contract."""
    words = {"identifying": False, "generalisation": "", "measure": ""} | words
    return Field(
        name=name,
        title_zh=name,
        title_en=name,
        type=kind,
        classification=FieldClass(cls),
        unit_uscc=UNIT,
        border=BorderDefault(words.pop("border", "A")),
        **words,
    )


def make_product(
    fields: Sequence[Field] = (), *, name: str = "legal_entity_base", **words: Any
) -> Product:
    """Return a product whose subject key is `uscc` and whose record key is `record_id`."""
    default = (
        make_field("record_id", cls="P1"),
        make_field("uscc", identifying=True),
        make_field("name", identifying=True),
        make_field("subject_type", cls="P1"),
        make_field("established_on", "date"),
        make_field("registered_capital", "decimal(18,6)"),
        make_field("contact_phone", cls="PI"),
        make_field("dispute_flag", "boolean"),
    )
    words = {
        "version": "1.0.0",
        "title_zh": "法人基础信息",
        "title_en": "Legal entity",
        "subject_key": "uscc",
        "record_key": "record_id",
        "subject_kinds": frozenset({SubjectKind.LEGAL_ENTITY, SubjectKind.SOLE_PROP}),
        "adverse": False,
        "domain": "PUBLIC",
        "form": "RECORD",
        "registration_code": "HN-DP-0001",
        "manager_uscc": UNIT,
        "feed_limit_s": 0,
        "digest": "ab" * 32,
    } | words
    table = {field.name: field for field in (fields or default)}
    return Product(name=name, fields=table, **words)


def make_caller(role: Role = Role.AGENCY, *, number: int = 1, jurisdiction: str = "CN") -> Caller:
    """Return a caller with a pinned certificate."""
    party_id = f"uscc:{uscc(number)}"
    party = Party(party_id, f"示例机构{number}", role, jurisdiction, Status.ACTIVE, 1)
    pinned = Certificate(
        f"{number:064x}", party_id, NOW - 86_400, NOW + 86_400 * 365, Status.ACTIVE, 2
    )
    return Caller(party, pinned)


def make_licence(caller: Caller, product: Product, **words: Any) -> Licence:
    """Return an active licence for every field of a product."""
    values: dict[str, Any] = {
        "licence_id": "L-1",
        "serial": 1,
        "party_id": caller.party.party_id,
        "kind": LicenceKind.ENTERPRISE_CREDIT_FILING,
        "agreement": Agreement("A-1", NOW - 86_400, NOW + 86_400 * 300),
        "grants": {product.name: Grant(frozenset(product.fields))},
        "purposes": frozenset({"CREDIT_REPORT"}),
        "scenarios": frozenset({"ENTERPRISE_REPORT"}),
        "destinations": frozenset({"CN"}),
        "subject_kinds": frozenset({SubjectKind.LEGAL_ENTITY}),
        "not_before": NOW - 86_400,
        "not_after": NOW + 86_400 * 200,
        "quotas": Quotas(),
        "signed_requests": False,
        "signer": "authority",
        "status": Status.ACTIVE,
        "index": 3,
        "status_index": 3,
    }
    return Licence(**(values | words))


def make_request(product: Product, **words: Any) -> ExchangeRequest:
    """Return a request for every field of a product about one synthetic company."""
    values: dict[str, Any] = {
        "request_id": "01JAAAAAAAAAAAAAAAAAAAAAAA",
        "idempotency_key": "key-00000001",
        "asked_at": NOW,
        "product": product.name,
        "fields": tuple(product.fields),
        "subjects": (uscc(7),),
        "subject_kind": SubjectKind.LEGAL_ENTITY,
        "purpose": "CREDIT_REPORT",
        "scenario": "ENTERPRISE_REPORT",
        "destination": "CN",
        "operator": "operator-1",
        "case_reference": "case-1",
    }
    return ExchangeRequest(**(values | words))


def make_facts(**words: Any) -> Facts:
    """Return complete facts of an ordinary request, any part of them replaced."""
    product = words.pop("product", None) or make_product()
    caller = words.pop("caller", None) or make_caller()
    request = words.pop("request", None) or make_request(product)
    hop = Hop(UNIT, "signer", NOW - 10, 1)
    facts = Facts(
        now=NOW,
        caller=caller,
        licence=make_licence(caller, product),
        product=product,
        request=request,
        consent=None,
        consent_covers=False,
        stop_orders=(),
        publicity=Publicity(NOW - 5, product.feed_limit_s),
        responsibility=Responsibility(hop, hop, hop),
        platform_operators_only=None,
        border=None,
        switches={},
        known_subjects=len(request.subjects),
        smallest_group=len(request.subjects),
    )
    return replace(facts, **words)


def make_decision(actions: Mapping[str, str], **words: Any) -> Decision:
    """Return an allowing decision."""
    values: dict[str, Any] = {
        "allow": True,
        "reasons": (),
        "actions": {name: FieldAction(action) for name, action in actions.items()},
        "row_predicates": (),
        "obligations": frozenset(),
        "rules": (),
        "valid_from": NOW - 100,
        "valid_until": NOW + 100,
        "input_digest": "cd" * 32,
        "bundle_digest": "ef" * 32,
        "digest": "ab" * 32,
    }
    return Decision(**(values | words))
