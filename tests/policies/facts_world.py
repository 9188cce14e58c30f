"""A small world of synthetic facts: every test changes one thing in it.

Codes are synthetic (region 460099) and pass GB 32100; nothing here is a real organisation.
"""

from dataclasses import replace

from gateway.domain.facts import (
    Border,
    Exporter,
    Facts,
    Hop,
    Inbound,
    Mechanism,
    Publicity,
    Responsibility,
    Whitelist,
)  # fmt: skip
from gateway.domain.foreign import ForeignIssuer, IssuerKind
from gateway.domain.licence import Agreement, Consent, Grant, Licence, Quotas
from gateway.domain.party import Caller, Certificate, Party
from gateway.domain.product import Field, Product
from gateway.domain.recognition import (
    Direction,
    Effect,
    FieldName,
    FieldTable,
    GradeTable,
    Recognition,
    Scale,
    Terms,
)
from gateway.domain.request import ExchangeRequest, Loan
from gateway.domain.vocabulary import (
    BorderDefault,
    FieldClass,
    LicenceKind,
    Role,
    Status,
    SubjectKind,
)  # fmt: skip

NOW = 1_795_000_000  # 2026-11-18, well inside a day and a year
DAY = 86_400
START, END = NOW - 30 * DAY, NOW + 30 * DAY
UNIT = "11460099MB0000001A"
PARTY = "uscc:91460099MA0000001X"
EXPORTER = "uscc:exporter"
SWITCHES: dict[str, bool | int] = {
    "art6_exempt": False,
    "natural_person_special_report": False,
    "port_person_class": False,
    "border_bulk": False,
    "require_registration": True,
}


def field(name, classification="P0", border="A", **more) -> Field:
    return Field(
        name=name, title_zh=name, title_en=name, type="string",
        classification=FieldClass(classification), unit_uscc=UNIT,
        border=BorderDefault(border), **more,
    )  # fmt: skip


FIELDS = (
    field("uscc", identifying=True),
    field("name", identifying=True),
    field("reg_status"),
    field("capital", border="T", generalisation="band"),
    field("address", border="T"),
    field("legal_rep_name", border="D"),
    field("score", "P1"),
    field("turnover", "C"),
    field("contact_phone", "PI", "D"),
    field("legal_rep_id_token", "SPI", "D"),
    field("owner_name", "PI", "A"),
    field("owner_token", "SPI", "A"),
    field("blood_type", "X"),
    field("list_type"),
    field("subject_type", "P1"),
    field("publicity_state"),
    field("share_state", "P1"),
    field("dispute_flag"),
    field("determination_date"),
    field("issuer"),
)
NAMES = tuple(f.name for f in FIELDS)


def product(**changes) -> Product:
    base = Product(
        name="company", version="1.0.0", title_zh="企业", title_en="Company",
        fields={f.name: f for f in FIELDS}, subject_key="uscc", record_key="name",
        subject_kinds=frozenset(SubjectKind), adverse=False, domain="PUBLIC", form="RECORD",
        registration_code="HN-TEST-0001", manager_uscc=UNIT, feed_limit_s=0, digest="ab" * 32,
    )  # fmt: skip
    return replace(base, **changes)


def party(role=Role.AGENCY, jurisdiction="CN", **changes) -> Party:
    base = Party(PARTY, "Synthetic", role, jurisdiction, Status.ACTIVE, 3)
    return replace(base, **changes)


def certificate(**changes) -> Certificate:
    base = Certificate("cd" * 32, PARTY, START, END, Status.ACTIVE, 4)
    return replace(base, **changes)


def licence(kind=LicenceKind.ENTERPRISE_CREDIT_FILING, grant=None, **changes) -> Licence:
    base = Licence(
        licence_id="L-1", serial=1, party_id=PARTY, kind=kind,
        agreement=Agreement("A-1", START, END),
        grants={"company": grant or Grant(frozenset(NAMES))},
        purposes=frozenset({"CREDIT_EVALUATION"}), scenarios=frozenset({"ONLINE"}),
        destinations=frozenset({"CN"}), subject_kinds=frozenset({SubjectKind.LEGAL_ENTITY}),
        not_before=START, not_after=END, quotas=Quotas(), signed_requests=False, signer="k1",
        status=Status.ACTIVE, index=5, status_index=5,
    )  # fmt: skip
    return replace(base, **changes)


def request(*fields, **changes) -> ExchangeRequest:
    base = ExchangeRequest(
        request_id="0" * 26, idempotency_key="k" * 8, asked_at=NOW, product="company",
        fields=fields or ("uscc", "name", "reg_status"), subjects=("subject-1",),
        subject_kind=SubjectKind.LEGAL_ENTITY, purpose="CREDIT_EVALUATION", scenario="ONLINE",
        destination="CN", operator="op-7", case_reference="case-1",
    )  # fmt: skip
    return replace(base, **changes)


def loan(**changes) -> Loan:
    base = Loan(1_000_000_000, unsecured=True, small_enterprise=True, via_platform=True)
    return replace(base, **changes)


def consent(**changes) -> Consent:
    base = Consent(
        consent_id="C-1", issuer="uscc:issuer", recipient=PARTY, subjects=frozenset({"label"}),
        mode="WRITTEN", purposes=frozenset({"CREDIT_EVALUATION", "ENTERPRISE_CREDIT", "TRADE"}),
        data_kinds=frozenset({"company"}), cross_border=True, not_before=START, not_after=END,
        withdrawn_at=None, index=9, digest="ef" * 32,
    )  # fmt: skip
    return replace(base, **changes)


def hop(n) -> Hop:
    return Hop(UNIT, f"signer-{n}", START, 10 + n)


def chain(**changes) -> Responsibility:
    return replace(Responsibility(hop(1), hop(2), hop(3)), **changes)


def facts(**changes) -> Facts:
    base = Facts(
        now=NOW, caller=Caller(party(), certificate()), licence=licence(), product=product(),
        request=request(), consent=None, consent_covers=False, stop_orders=(),
        publicity=Publicity(None, 0), responsibility=chain(), platform_operators_only=None,
        border=None, switches=SWITCHES, known_subjects=1, smallest_group=1,
    )  # fmt: skip
    return replace(base, **changes)


def whitelist(*fields, **changes) -> Whitelist:
    base = Whitelist(
        version=2, fields=frozenset(fields or NAMES),
        approvals={"SECURITY_ADMIN": 20, "REGULATOR_DATA": 21}, mechanism="SCC-1", index=22,
        not_before=START, withdrawn_at=None,
    )  # fmt: skip
    return replace(base, **changes)


def mechanism(kind="SCC", **changes) -> Mechanism:
    base = Mechanism(
        mechanism_id=f"{kind}-1", kind=kind, exporter=EXPORTER, recipient=PARTY,
        fields=frozenset(NAMES),
        purposes=frozenset({"TRADE"}), scale_cap=0, not_before=START, not_after=END, index=30,
    )  # fmt: skip
    return replace(base, **changes)


def exporter(persons=0, sensitive=0, **changes) -> Exporter:
    base = Exporter(
        EXPORTER, is_ciio=False, is_state_organ=False, persons=persons,
        sensitive_persons=sensitive, counters_index=40, named=True, stated=True, role="AGENCY",
        licences=frozenset({"PERSONAL_CREDIT_LICENCE"}),
    )  # fmt: skip
    return replace(base, **changes)


def border(**changes) -> Border:
    base = Border(
        country="SG", is_judicial=False, restricted=False, important_data=False,
        whitelist=whitelist(), mechanisms=(mechanism(),), exporter=exporter(),
        impact_assessment_until=END, rests_on=(41,),
    )  # fmt: skip
    return replace(base, **changes)


def effect(**changes) -> Effect:
    return replace(Effect(version=1, index=50, not_before=START, withdrawn_at=None), **changes)


def terms(**changes) -> Terms:
    base = Terms(
        effect=effect(), partner=PARTY, agreement_id="A-1",
        modes=frozenset({"HASH_CHECK", "STATUS_ONLY", "GRADE_MAP", "FULL_REPORT"}),
        purposes=frozenset({"TRADE", "DEPOSIT_FREE"}), jurisdictions=frozenset({"SG", "CN"}),
        end_uses=frozenset({"ONLINE"}), onward_zh="不得转供", onward_en="No onward supply",
        dispute_contact="desk", mcc_annex="", not_after=END,
    )  # fmt: skip
    return replace(base, **changes)


def mapping(**changes) -> GradeTable:
    base = GradeTable(
        effect=effect(index=51), mapping_id="M-1", partner=PARTY, product="public_credit_grade",
        field="uscc", direction=Direction.OUT, source=Scale("ours", ("A", "B")),
        target=Scale("theirs", ("X", "Y")), rows={"A": "X", "B": None}, incentive=False,
        purposes=frozenset(),
    )  # fmt: skip
    return replace(base, **changes)


def table(*rows, **changes) -> FieldTable:
    found = {(row.product, row.field): row for row in rows}
    return replace(FieldTable(effect=effect(index=52), jurisdiction="SG", rows=found), **changes)


def there(field, **changes) -> FieldName:
    base = FieldName(
        product="company", field=field, name=field, label=field, unit="", forbidden=False,
        oldest_years=0, source="synthetic", tag="M",
    )  # fmt: skip
    return replace(base, **changes)


def recognised(*fields, mode="FULL_REPORT", **changes) -> Facts:
    """Facts of a partner abroad that asks in a mode of its agreement, everything in order."""
    base = crossing(*fields)
    found = Recognition(mode, terms(), mapping() if mode == "GRADE_MAP" else None, table())
    return vary(replace(base, recognition=found), request__mode=mode, **changes)


def crossing(*fields, **changes) -> Facts:
    """Facts of a partner abroad that asks about one company."""
    kind = changes.pop("subject_kind", SubjectKind.LEGAL_ENTITY)
    base = facts(
        caller=Caller(party(Role.CROSS_BORDER_PARTNER, "SG"), certificate()),
        licence=licence(
            LicenceKind.RECOGNITION_AGREEMENT, purposes=frozenset({"TRADE"}),
            destinations=frozenset({"SG"}), subject_kinds=frozenset({kind}),
        ),
        request=request(*fields, purpose="TRADE", destination="SG", subject_kind=kind),
        border=border(),
    )  # fmt: skip
    return replace(base, **changes)


def banking(*fields, **changes) -> Facts:
    """Facts of a bank that finances a company."""
    base = facts(
        caller=Caller(party(Role.BANK), certificate()),
        licence=licence(LicenceKind.BANKING, purposes=frozenset({"ENTERPRISE_CREDIT"})),
        request=request(*fields, purpose="ENTERPRISE_CREDIT"),
    )  # fmt: skip
    return replace(base, **changes)


def issuer(**changes) -> ForeignIssuer:
    base = ForeignIssuer(
        issuer="https://bureau.example.sg", version=1, kind=IssuerKind.BUREAU, party="",
        jurisdiction="SG", not_before=START, withdrawn_at=None, agreement="MR-1",
        agreement_from=START, agreement_until=END, onward_use="NO_ONWARD_USE", onward_zh="不得转供",
        onward_en="No onward use", index=50,
    )  # fmt: skip
    return replace(base, **changes)


def reading(*fields, **changes) -> Facts:
    """Facts of a bank that reads what a foreign bureau stated, its user named."""
    base = banking(*fields or ("name", "issuer"), inbound=Inbound((issuer(),)))
    return vary(vary(base, request__end_user="示例银行国际部"), **changes)


def put(value, path, new):
    """Return a copy of frozen dataclasses (and tuples) with one thing inside changed."""
    head, _, rest = path.partition(".")
    if isinstance(value, tuple):
        index = int(head)
        inner = put(value[index], rest, new) if rest else new
        return (*value[:index], inner, *value[index + 1 :])
    if isinstance(value, dict):
        return {**value, head: put(value[head], rest, new) if rest else new}
    return replace(value, **{head: put(getattr(value, head), rest, new) if rest else new})


def vary(value, **changes):
    """Apply `put` for each change; `__` in a name stands for a dot."""
    for path, new in changes.items():
        value = put(value, path.replace("__", "."), new)
    return value


def person_abroad(*fields, **changes) -> Facts:
    """Facts of a partner that asks about one person, everything in order."""
    base = crossing(*fields, subject_kind=SubjectKind.NATURAL_PERSON)
    base = replace(base, consent=consent(mode="SEPARATE"), consent_covers=True)
    return vary(put(base, "border.exporter", exporter(0, 1)), **changes)


def ordinary_abroad(persons=0, sensitive=0, mechanisms=None, **changes) -> Facts:
    """Facts of a partner that asks for ordinary personal information in a company's file."""
    base = crossing("uscc", "owner_name", consent=consent(mode="SEPARATE"), consent_covers=True)
    base = put(base, "border.exporter", exporter(persons, sensitive))
    if mechanisms is not None:
        base = put(base, "border.mechanisms", mechanisms)
        if not mechanisms:  # a list bound to a mechanism that isn't there holds for nothing
            base = put(base, "border.whitelist", whitelist(mechanism=""))
    return vary(base, **changes)
