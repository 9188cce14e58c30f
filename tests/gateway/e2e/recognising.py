"""A partner abroad with everything that mutual recognition asks for, each piece replaceable."""

import itertools
import secrets
import time
from dataclasses import dataclass
from typing import Any

from gateway.demo.cast import AUTHORITY, SECURITY
from gateway.domain.recognition import Mode, Register
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.recognition import register
from gateway.recognition.claims import (
    AnyClaims,
    FieldClaims,
    FieldsClaims,
    MappingClaims,
    RowClaims,
    ScaleClaims,
    TermsClaims,
    ground,
    name_of,
    register_of,
)
from gateway.registry import parties, whitelists
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import sign
from gateway.registry.licences import GrantClaims
from tests.gateway.e2e.serving import CASE, DAY_S, OPERATOR, Desk, Member, Site
from xinguan.v1 import recognition_pb2, recognition_pb2_grpc, types_pb2

CHECK = ("report_no", "digest_sha256", "digest_sm3", "status", "valid_until")
FIRM = ("uscc", "name", "name_en", "reg_status", "established_on", "entity_type", "dispute_flag")
GRADE = ("uscc", "grade", "as_of", "valid_to")
PENALTY = ("decision_no", "violation_type", "decided_on", "authority", "severity", "dispute_flag")
GRANTS = {
    "legal_entity_base": FIRM,
    "public_credit_grade": GRADE,
    "admin_penalty": PENALTY,
    "serious_dishonesty_list": ("uscc", "status", "list_type", "dispute_flag"),
    "credit_report_check": CHECK,
}
MODES = (Mode.HASH_CHECK, Mode.STATUS_ONLY, Mode.GRADE_MAP, Mode.FULL_REPORT)
HAINAN, SINGAPORE = ("A", "B", "C", "D"), ("AA", "BB", "CC")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Partner:
    """A partner, and the desk that signs for it."""

    member: Member
    site: Site
    destination: str

    @property
    def party_id(self) -> str:
        return self.member.party_id

    @property
    def stub(self) -> recognition_pb2_grpc.RecognitionServiceStub:
        return recognition_pb2_grpc.RecognitionServiceStub(self.site.channel(self.member))

    def context(self, **words: str) -> types_pb2.RequestContext:
        values = {
            "idempotency_key": secrets.token_hex(12),
            "purpose": "TRADE",
            "scenario": "MUTUAL_RECOGNITION",
            "destination": self.destination,
            "operator": OPERATOR,
            "case_reference": CASE,
        }
        context = types_pb2.RequestContext(**(values | words))
        context.time.FromNanoseconds(time.time_ns())
        return context

    def check(self, report_no: str, digest: bytes, *, sm3: bool = False, **words: str):
        request = recognition_pb2.CheckReportRequest(
            context=self.context(**words),
            report_no=report_no,
            algorithm="DIGEST_ALGORITHM_SM3" if sm3 else "DIGEST_ALGORITHM_SHA256",
            digest=digest,
        )
        return self.stub.CheckReport(request, timeout=60)

    def status(self, subject: str, *statuses: str, kind: str = "LEGAL_ENTITY", **words: str):
        request = recognition_pb2.CheckStatusRequest(
            context=self.context(**words),
            subject=subject,
            statuses=statuses,
            subject_kind=f"SUBJECT_KIND_{kind}",
        )
        return self.stub.CheckStatus(request, timeout=60)

    def grade(
        self,
        subject: str,
        product: str = "public_credit_grade",
        *,
        kind: str = "LEGAL_ENTITY",
        consent: str = "",
        **words: str,
    ):
        request = recognition_pb2.MapGradeRequest(
            context=self.context(**words),
            product=product,
            subject=subject,
            subject_kind=f"SUBJECT_KIND_{kind}",
            consent_id=consent,
        )
        return self.stub.MapGrade(request, timeout=60)

    def report(self, subject: str, *, kind: str = "LEGAL_ENTITY", sections=None, **words: str):
        wanted = sections or {"legal_entity_base": FIRM, "admin_penalty": PENALTY}
        request = recognition_pb2.GetReportRequest(
            context=self.context(**words),
            subject=subject,
            subject_kind=f"SUBJECT_KIND_{kind}",
            sections=[
                recognition_pb2.ReportSection(product=name, fields=fields)
                for name, fields in wanted.items()
            ],
        )
        return self.stub.GetReport(request, timeout=60)

    def tables(self):
        return self.stub.ListTables(recognition_pb2.ListTablesRequest(), timeout=60)


def enact(desk: Desk, claims: AnyClaims) -> register.Statement:
    """Put a document into effect by the authority's signature."""
    kind = register_of(claims)
    document = sign(claims, desk.signing_key, register.document_type(kind))
    keys = desk.deployment.authority_keys().get
    return desk.state.run(
        lambda tx: register.enact(tx, document, kind, desk.act, key_of=keys, known=known(tx))
    )


def known(tx: Any):
    def role_of(party: str) -> Role | None:
        try:
            return parties.find(tx, party).role
        except Exception:  # noqa: BLE001 - not registered
            return None

    return ground(Catalogue.load().products, role_of)


def withdraw(desk: Desk, claims: AnyClaims) -> None:
    """Withdraw a version."""
    desk.run(register.withdraw, register_of(claims), name_of(claims), claims.version)


def version(desk: Desk, kind: Register, name: str) -> int:
    return desk.state.run(lambda tx: register.next_version(tx, kind, name))


def terms(desk: Desk, partner: str, **words: Any) -> TermsClaims:
    now = desk.act.now
    values: dict[str, Any] = {
        "partner": partner,
        "version": version(desk, Register.TERMS, partner),
        "agreement_id": "AGREEMENT-SG-1",
        "modes": MODES,
        "purposes": ("TRADE",),
        "jurisdictions": ("SG",),
        "end_uses": ("MUTUAL_RECOGNITION",),
        "onward_zh": "不得向第三方转供。",
        "onward_en": "No onward supply to third parties.",
        "dispute_contact": "disputes@xinguan.example",
        "mcc_annex": "MCC-C2C-2026-1",
        "not_before": now - DAY_S,
        "not_after": now + 100 * DAY_S,
    }
    return TermsClaims(**(values | words))


def mapping(desk: Desk, partner: str, **words: Any) -> MappingClaims:
    product = words.get("product", "public_credit_grade")
    equals = words.pop("equals", {"A": "AA", "B": "BB", "C": "CC", "D": None})
    values: dict[str, Any] = {
        "mapping_id": "HN-SG-1",
        "version": version(desk, Register.MAPPING, f"{partner}/{product}/OUT"),
        "partner": partner,
        "product": product,
        "field": "grade",
        "source": ScaleClaims(name="Hainan public credit grade", grades=HAINAN),
        "target": ScaleClaims(name="Example Bureau scale", grades=SINGAPORE),
        "rows": tuple(RowClaims(grade=g, equals=e or "") for g, e in equals.items()),
        "not_before": desk.act.now - DAY_S,
    }
    return MappingClaims(**(values | words))


def row(product: str, field: str, **words: Any) -> FieldClaims:
    values: dict[str, Any] = {
        "product": product,
        "field": field,
        "name": field.title().replace("_", ""),
        "label": f"Label of {field}",
        "source": "synthetic, for tests",
        "tag": "M",
    }
    return FieldClaims(**(values | words))


def fields(desk: Desk, *rows: FieldClaims, jurisdiction: str = "SG") -> FieldsClaims:
    return FieldsClaims(
        jurisdiction=jurisdiction,
        version=version(desk, Register.FIELDS, jurisdiction),
        rows=rows or (row("legal_entity_base", "reg_status", name="entity_status"),),
        not_before=desk.act.now - DAY_S,
    )


def whitelist(desk: Desk, partner: str, product: str, names: tuple[str, ...]) -> None:
    """Have two roles approve a whitelist."""

    def job(tx: Any) -> None:
        content = whitelists.content(
            partner=partner,
            product=product,
            version=whitelists.next_version(tx, partner, product),
            fields=names,
            mechanism="",
            not_before=desk.act.now,
        )
        whitelists.propose(tx, content, desk.act)
        for player in (SECURITY, AUTHORITY):
            whitelists.approve(tx, content, parties.find(tx, player.party_id), desk.act)

    desk.state.run(job)


def enrol(site: Site, *, signed: bool = True, country: str = "SG", **licence: Any) -> Partner:
    """Register a partner with a licence and whitelists; with terms unless `signed` is false."""
    desk = site.desk
    party_id = desk.register(
        Role.CROSS_BORDER_PARTNER, party_id=f"reg:{country}:T{next(_numbers):08d}"
    )
    identity = desk.issue(party_id)
    licence_id = desk.license(
        party_id,
        LicenceKind.RECOGNITION_AGREEMENT,
        **{
            "grants": {name: GrantClaims(fields=names) for name, names in GRANTS.items()},
            "purposes": ("TRADE", "SETTLEMENT_RISK"),
            "scenarios": ("MUTUAL_RECOGNITION", "OTHER_USE"),
            "destinations": (country, "MY"),
            **licence,
        },
    )
    for product, names in GRANTS.items():
        whitelist(desk, party_id, product, names)
    site.copy_abroad()
    if signed:
        enact(desk, terms(desk, party_id, jurisdictions=(country,)))
    return Partner(Member(party_id, identity, "", licence_id), site, country)


def penalty_of(site: Site, firm: str) -> str:
    """Return the key of a penalty that is shared now."""
    snapshot = site.world.library.current("admin_penalty")
    rows = snapshot.locate([firm])
    shared = rows[snapshot.shareable(rows, site.desk.act.now)]
    return str(snapshot.take(shared, ["record_id"]).column(0).to_pylist()[0])
