"""For each decision rule its narrowest effect and its narrowest absence.

`cases()` is the source; `golden/*.json` pins what both engines answered when a person last
looked, and `docs/golden-decisions.md` prints it for a lawyer. A change of meaning shows there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.domain.facts import Facts, Publicity
from gateway.domain.foreign import IssuerKind
from gateway.domain.licence import Grant, StopOrder
from gateway.domain.party import Caller
from gateway.domain.vocabulary import LicenceKind, Role, Status, SubjectKind
from tests.policies import facts_world as w
from tests.policies.facts_world import DAY, END, NOW, START, vary

PERSON, SOLE, COMPANY = (
    SubjectKind.NATURAL_PERSON,
    SubjectKind.SOLE_PROP,
    SubjectKind.LEGAL_ENTITY,
)


@dataclass(frozen=True)
class Case:
    """One rule and code, with facts on either side of it."""

    subject: str
    rule: str
    code: str
    effect: Facts
    absence: Facts
    # What the effect is: a reason of this code, or the named kind of answer.
    shows: str = "reason"


def of(role: Role, kind: LicenceKind, purpose: str, *fields: str, **changes) -> Facts:
    """Facts of a caller of some role with a licence of some kind for one purpose."""
    base = w.facts(
        caller=Caller(w.party(role), w.certificate()),
        licence=w.licence(kind, purposes=frozenset({purpose})),
        request=w.request(*fields, purpose=purpose),
    )
    return vary(base, **changes)


def agency(purpose: str = "CREDIT_EVALUATION", *fields: str, **changes) -> Facts:
    return of(Role.AGENCY, LicenceKind.ENTERPRISE_CREDIT_FILING, purpose, *fields, **changes)


def body(purpose: str = "ENFORCEMENT_DISCRETION", *fields: str, **changes) -> Facts:
    return of(Role.PUBLIC_BODY, LicenceKind.STATUTORY, purpose, *fields, **changes)


def bank(purpose: str = "ENTERPRISE_CREDIT", *fields: str, **changes) -> Facts:
    return of(Role.BANK, LicenceKind.BANKING, purpose, *fields, **changes)


def about(facts: Facts, kind: SubjectKind) -> Facts:
    return vary(facts, request__subject_kind=kind, licence__subject_kinds=frozenset({kind}))


def consented(facts: Facts, **changes) -> Facts:
    return vary(facts, consent=w.consent(**changes), consent_covers=True)


def subjects(facts: Facts, count: int) -> Facts:
    named = tuple(f"subject-{n}" for n in range(count))
    return vary(facts, request__subjects=named, known_subjects=count, smallest_group=count)


def callers() -> Iterator[Case]:
    base = agency()

    def case(rule: str, code: str, effect: Facts, absence: Facts = base, **more) -> Case:
        return Case("callers", rule, code, effect, absence, **more)

    yield case("GATE", "PARTY_SUSPENDED", vary(base, caller__party__status=Status.SUSPENDED))
    yield case(
        "GATE", "CERTIFICATE_REVOKED", vary(base, caller__certificate__status=Status.REVOKED)
    )
    yield case(
        "GATE",
        "CERTIFICATE_EXPIRED",
        vary(base, caller__certificate__not_after=NOW - 1),
        vary(base, caller__certificate__not_after=NOW),
    )
    yield case("GATE", "BAD_REQUEST", vary(base, request__fields=()))
    yield case(
        "GATE",
        "SUBJECT_KIND_MISMATCH",
        vary(base, product__subject_kinds=frozenset({SubjectKind.GOV})),
        vary(base, product__subject_kinds=frozenset({COMPANY})),
    )
    grant = Grant(frozenset(w.NAMES), pseudonymous=True, minimum_subjects=50)
    small = vary(agency("CREDIT_EVALUATION", "uscc", "reg_status"), licence__grants__company=grant)
    padded = subjects(small, 90)
    yield case(
        "GATE",
        "PORTFOLIO_TOO_SMALL",
        vary(padded, known_subjects=49),
        vary(padded, known_subjects=50),
    )
    yield case(
        "GATE",
        "PORTFOLIO_OVERLAP",
        vary(padded, smallest_group=49),
        vary(padded, smallest_group=50),
    )
    named = vary(small, request__fields=("uscc", "name"))
    yield case("GATE", "IDENTIFYING_FIELD", subjects(named, 50), subjects(small, 50))
    yield case("R30", "NO_LICENCE", vary(base, licence=None))
    yield case(
        "R30",
        "NO_LICENCE",
        vary(base, licence__not_after=NOW),
        vary(base, licence__not_after=NOW + 1),
    )
    yield case("R30", "NO_LICENCE", vary(base, licence__status=Status.SUSPENDED))
    yield case("R30", "NO_LICENCE", vary(base, licence__party_id="uscc:other"))
    personal = vary(about(base, PERSON), licence__kind=LicenceKind.PERSONAL_CREDIT_LICENCE)
    yield case("R31", "NO_PERSONAL_LICENCE", about(base, PERSON), personal)
    yield case("R31", "NO_PERSONAL_LICENCE", about(base, SOLE), base)
    token = agency("CREDIT_EVALUATION", "uscc", "legal_rep_id_token")
    yield case(
        "R31",
        "NO_PERSONAL_LICENCE",
        token,
        vary(token, licence__kind=LicenceKind.PERSONAL_CREDIT_LICENCE),
    )
    one = agency("CREDIT_EVALUATION", "uscc", "reg_status")
    grant = Grant(frozenset({"uscc"}))
    yield case("R32", "OUT_OF_SCOPE", vary(one, licence__grants__company=grant), one)
    yield case("R32", "OUT_OF_SCOPE", vary(base, licence__grants={}))
    yield case("R32", "OUT_OF_SCOPE", vary(base, request__purpose="CREDIT_REPORT"))
    yield case("R32", "OUT_OF_SCOPE", vary(base, request__scenario="OFFLINE"))
    yield case("R32", "OUT_OF_SCOPE", vary(base, request__subject_kind=SubjectKind.GOV))
    yield case(
        "R32",
        "OUT_OF_SCOPE",
        vary(base, licence__agreement__not_after=NOW),
        vary(base, licence__agreement__not_after=NOW + 1),
    )
    yield case("R32", "PUBLIC_PURPOSE", agency("ENFORCEMENT_DISCRETION"), body())
    yield case("R33", "UNREGISTERED_PRODUCT", vary(base, product__registration_code=""))
    raw = agency("CREDIT_EVALUATION", "uscc", "score")
    yield case("R34", "RAW_EGRESS", raw, vary(raw, product__form="SCORE"))
    yield case("R34", "RAW_EGRESS", raw, body("ENFORCEMENT_DISCRETION", "uscc", "score"))
    operating = vary(base, licence__kind=LicenceKind.OPERATION_AGREEMENT)
    consented = Grant(frozenset(w.NAMES), provider_consent="CONSENT-1")
    yield case(
        "R38", "NO_PROVIDER_CONSENT", operating, vary(operating, licence__grants__company=consented)
    )


def publicity() -> Iterator[Case]:
    def case(rule: str, code: str, effect: Facts, absence: Facts, **more) -> Case:
        return Case("publicity", rule, code, effect, absence, **more)

    adverse = vary(agency(), product__adverse=True, publicity=Publicity(NOW, 600))
    open_body = vary(body(), product__adverse=True, publicity=Publicity(NOW, 600))
    yield case("R10", "NOT_PUBLICISED", adverse, open_body, shows="publicity_state")
    yield case(
        "R13",
        "PRODUCT_UNAVAILABLE",
        vary(adverse, publicity__as_of=NOW - 601),
        vary(adverse, publicity__as_of=NOW - 600),
    )
    yield case("R13", "PRODUCT_UNAVAILABLE", vary(adverse, publicity__as_of=None), adverse)
    fields = {k: v for k, v in w.product().fields.items() if k != "dispute_flag"}
    yield case(
        "R14", "LABEL_DISPUTE", agency(), vary(agency(), product__fields=fields),
        shows="label_dispute",
    )  # fmt: skip
    public = agency("PUBLIC_QUERY", "uscc", "contact_phone")
    yield case(
        "R15", "PUBLIC_FIELDS_ONLY", public, vary(public, request__fields=("uscc", "reg_status"))
    )


def banks() -> Iterator[Case]:
    def case(rule: str, code: str, effect: Facts, absence: Facts, **more) -> Case:
        return Case("banks", rule, code, effect, absence, **more)

    yield case("R40", "PURPOSE", bank("SUPPLIER_VETTING"), bank("GUARANTEE"))
    secret = bank("ENTERPRISE_CREDIT", "uscc", "turnover")
    yield case("R41", "NO_ENTERPRISE_AUTH", secret, consented(secret))
    unpublished = vary(bank("ENTERPRISE_CREDIT", "uscc", "score"), product__form="SCORE")
    yield case("R41", "NO_ENTERPRISE_AUTH", unpublished, consented(unpublished))
    yield case(
        "R41",
        "NO_ENTERPRISE_AUTH",
        consented(secret, withdrawn_at=NOW),
        consented(secret, withdrawn_at=NOW + 1),
    )
    yield case(
        "R41", "NO_ENTERPRISE_AUTH", consented(secret, recipient="uscc:other"), consented(secret)
    )
    rows = subjects(bank("JOINT_MODELLING"), 20)
    yield case("R43", "ROW_LEVEL_MODELLING", rows, vary(rows, product__form="SCORE"))
    group = vary(bank("JOINT_MODELLING"), product__form="SCORE")
    yield case("R43", "GROUP_TOO_SMALL", subjects(group, 19), subjects(group, 20))
    subsidy = vary(bank("INTEREST_SUBSIDY"), request__loan=w.loan())
    yield case("R45", "NO_SUBSIDY", vary(subsidy, request__loan__amount_fen=1_000_000_001), subsidy)
    for lacking in ("unsecured", "small_enterprise", "via_platform"):
        short = vary(subsidy, **{f"request__loan__{lacking}": False})
        yield case("R45", "NO_SUBSIDY", short, subsidy)
    yield case("R45", "NO_SUBSIDY", bank("INTEREST_SUBSIDY"), bank("AFTER_LOAN"))
    yield case("R45", "SUBSIDY", subsidy, bank("AFTER_LOAN"), shows="interest_subsidy")
    onward = vary(
        bank(), request__scenario="ONWARD_SUPPLY", licence__scenarios=frozenset({"ONWARD_SUPPLY"})
    )
    yield case("R46", "ONWARD_SUPPLY", onward, bank())


def persons() -> Iterator[Case]:
    def case(rule: str, code: str, effect: Facts, absence: Facts, **more) -> Case:
        return Case("persons", rule, code, effect, absence, **more)

    owner = about(bank(), PERSON)
    yield case("R42", "NO_WRITTEN_CONSENT", owner, consented(owner))
    yield case("R42", "NO_WRITTEN_CONSENT", consented(owner, mode="GENERAL"), consented(owner))
    token = bank("ENTERPRISE_CREDIT", "uscc", "legal_rep_id_token")
    yield case("R42", "NO_WRITTEN_CONSENT", token, consented(token))
    columns = {k: v for k, v in w.product().fields.items() if k != "subject_type"}
    mixed = vary(agency(), product__fields=columns)
    apart = vary(mixed, product__subject_kinds=frozenset({COMPANY}))
    yield case("R31", "KINDS_INSEPARABLE", mixed, apart)
    blood = body("ENFORCEMENT_DISCRETION", "uscc", "blood_type")
    yield case("R04", "PROHIBITED_FIELD", blood, body())
    coconut = "golden_coconut_score"

    def scored(purpose: str) -> Facts:
        return vary(
            body(purpose), product__name=coconut,
            licence__grants={coconut: Grant(frozenset(w.NAMES))},
        )  # fmt: skip

    yield case("R70", "INCENTIVE_ONLY", scored("ENFORCEMENT_DISCRETION"), scored("DEPOSIT_FREE"))
    port = "port_clearance_credit"
    company = vary(
        agency(), product__name=port, licence__grants={port: Grant(frozenset(w.NAMES))},
        licence__kind=LicenceKind.PERSONAL_CREDIT_LICENCE,
    )  # fmt: skip
    yield case("R71", "PORT_PERSON_CLASS", about(company, PERSON), company)
    platform = of(
        Role.PLATFORM_ENTERPRISE, LicenceKind.PLATFORM_AGREEMENT, "PLATFORM_GOVERNANCE",
        platform_operators_only=True,
    )  # fmt: skip
    yield case(
        "R72", "NOT_PLATFORM_OPERATOR", vary(platform, platform_operators_only=False), platform
    )
    yield case(
        "R72", "NOT_PLATFORM_OPERATOR", vary(platform, platform_operators_only=None), platform
    )
    report = vary(agency("SPECIAL_REPORT"), licence__kind=LicenceKind.PERSONAL_CREDIT_LICENCE)
    yield case("R73", "SPECIAL_REPORT_PERSON", about(report, PERSON), report)
    restriction = body("RESTRICTION", "uscc", "list_type", request__measure="PUBLIC_FUNDS")
    yield case(
        "R74",
        "MEASURE_NOT_LISTED",
        vary(restriction, request__measure="NO_SUCH_MEASURE"),
        restriction,
    )
    redeem = agency("POLICY_REDEMPTION")
    yield case("R75", "BOOLEAN_ONLY", redeem, vary(redeem, product__form="VERIFY"))
    check = agency("LIST_CHECK", "uscc", "list_type")
    yield case("R75", "MINIMAL_ANSWER", vary(check, request__fields=("uscc", "reg_status")), check)


def responsibility() -> Iterator[Case]:
    base = agency()

    def case(rule: str, code: str, effect: Facts, absence: Facts = base, **more) -> Case:
        return Case("responsibility", rule, code, effect, absence, **more)

    for end in ("manager", "transmitter", "user"):
        yield case("R80", "NO_RESPONSIBILITY", vary(base, **{f"responsibility__{end}": None}))
    yield case(
        "R80",
        "NO_RESPONSIBILITY",
        vary(base, responsibility__user__at=0),
        vary(base, responsibility__user__at=1),
    )
    yield case("R82", "LOG_FIELDS_MISSING", vary(base, request__operator=" "))
    yield case("R86", "NO_BUSINESS_ROLE", vary(base, caller__party__role=Role.AUDITOR))
    yield case("R87", "EMERGENCY_STOP", vary(base, stop_orders=(StopOrder("all", 60),)))


def border() -> Iterator[Case]:
    base = w.crossing("uscc", "reg_status")
    person = w.person_abroad("uscc", "reg_status")

    def case(rule: str, code: str, effect: Facts, absence: Facts = base, **more) -> Case:
        return Case("border", rule, code, effect, absence, **more)

    yield case("R50", "XB_FOREIGN_AUTHORITY", vary(base, border__is_judicial=True))
    yield case("R51", "XB_RESTRICTED", vary(base, border__restricted=True))
    other = frozenset({"CREDIT_EVALUATION"})
    yield case(
        "R52",
        "XB_PURPOSE",
        vary(base, request__purpose="CREDIT_EVALUATION", licence__purposes=other),
    )
    yield case(
        "R52",
        "XB_PURPOSE",
        vary(base, licence__agreement__not_after=NOW),
        vary(base, licence__agreement__not_after=NOW + 1),
    )
    important = vary(base, border__important_data=True)
    assessment = (w.mechanism("ASSESSMENT", mechanism_id="SCC-1"),)
    assessed = vary(important, border__mechanisms=assessment)
    yield case("R53", "XB_IMPORTANT", important, assessed)
    yield case("R53", "XB_BULK", subjects(base, 2), subjects(base, 1))
    yield case("R54", "XB_NOT_WHITELISTED", vary(base, border__whitelist=w.whitelist("uscc")))
    yield case(
        "R54",
        "XB_NOT_WHITELISTED",
        vary(base, border__whitelist__withdrawn_at=NOW),
        vary(base, border__whitelist__withdrawn_at=NOW + 1),
    )
    yield case("R54", "XB_DEFAULT_DENY", w.crossing("uscc", "legal_rep_name"), base)
    inland = agency("CREDIT_EVALUATION", "capital")
    yield case("R54", "XB_TRANSFORM", w.crossing("uscc", "capital"), inland, shows="generalise")
    adverse = vary(base, product__adverse=True, publicity=Publicity(NOW, 600))
    inside = vary(agency(), product__adverse=True, publicity=Publicity(NOW, 600))
    yield case("R55", "XB_RECORD_STATE", adverse, inside, shows="share_state")
    secret = w.crossing("uscc", "turnover")
    yield case("R56", "XB_NOT_AUTHORISED", secret, vary(secret, border__enterprise_authorised=True))
    yield case("R57", "XB_RECORDED", base, agency(), shows="border_record")
    organ = vary(person, border__exporter__is_state_organ=True)
    yield case("R58", "XB_STATE_PI", organ, vary(organ, border__mechanisms=assessment))
    ciio = vary(person, border__exporter__is_ciio=True)
    unnamed = vary(person, border__exporter__named=False)
    yield case("R58", "XB_EXPORTER", unnamed, person)
    filed = frozenset({"ENTERPRISE_CREDIT_FILING"})
    yield case("R58", "XB_EXPORTER", vary(person, border__exporter__licences=filed), person)
    yield case("R59", "XB_CIIO", ciio, vary(ciio, border__mechanisms=assessment))
    yield case("R60", "XB_CONSENT", vary(person, consent=None, consent_covers=False), person)
    yield case("R60", "XB_CONSENT", vary(person, consent__mode="GENERAL"), person)
    theirs = vary(person, consent__exporter="uscc:another")
    yield case("R60", "XB_CONSENT", theirs, vary(person, consent__exporter=w.EXPORTER))
    yield case(
        "R61",
        "XB_PIPIA",
        vary(person, border__impact_assessment_until=NOW),
        vary(person, border__impact_assessment_until=NOW + 1),
    )
    bare = vary(person, border__mechanisms=(), border__whitelist=w.whitelist(mechanism=""))
    yield case("R62", "XB_MECHANISM", bare, vary(bare, border__exempt_basis="ART5_CONTRACT"))
    yield case("R63", "XB_COUNTED", person, base, shows="count_export")
    ordinary = w.ordinary_abroad
    for kind, effect, absence in (
        ("SCC", ordinary(100_000, mechanisms=()), ordinary(99_999, mechanisms=())),
        ("ASSESSMENT", ordinary(1_000_000), ordinary(999_999)),
        ("SCC", ordinary(0, 1, mechanisms=()), ordinary(50_000, 0, mechanisms=())),
        ("ASSESSMENT", ordinary(0, 10_000), ordinary(0, 9_999)),
    ):
        assert kind
        yield case("R64", "XB_MECHANISM", effect, absence)
    yield case(
        "R65",
        "XB_MECHANISM",
        vary(person, border__mechanisms=(w.mechanism(not_after=NOW),)),
        vary(person, border__mechanisms=(w.mechanism(not_after=NOW + 1),)),
    )
    yield case(
        "R65",
        "XB_MECHANISM",
        vary(person, border__mechanisms=(w.mechanism(fields=frozenset({"uscc"})),)),
        person,
    )
    capped = vary(person, border__exporter=w.exporter(0, 6))
    yield case(
        "R65",
        "XB_MECHANISM",
        vary(capped, border__mechanisms=(w.mechanism(scale_cap=5),)),
        vary(capped, border__mechanisms=(w.mechanism(scale_cap=6),)),
    )
    old = vary(person, product__adverse=True, publicity=Publicity(NOW, 600))
    yield case("R66", "XB_TOO_OLD", old, adverse, shows="determination_date")
    yield case("R67", "XB_WRONG_PATH", vary(base, border=None))
    abroad = vary(agency(), request__destination="HK", licence__destinations=frozenset({"HK"}))
    yield case("R67", "XB_WRONG_PATH", abroad, agency())
    yield case("R68", "XB_WHITELIST_UNAPPROVED", vary(base, border__whitelist__approvals={"A": 1}))
    yield case(
        "R68", "XB_WHITELIST_UNAPPROVED", vary(person, border__whitelist__mechanism="OTHER"), person
    )
    yield case("R68", "XB_WHITELIST_MECHANISM", vary(base, border__mechanisms=()))
    narrow = (w.mechanism(fields=frozenset({"uscc", "reg_status"})),)
    yield case("R68", "XB_WHITELIST_MECHANISM", vary(base, border__mechanisms=narrow))


def inbound() -> Iterator[Case]:
    base = w.reading()
    unnamed = vary(base, request__end_user="")
    bureau = vary(w.crossing("uscc"), border__intermediary=True)

    def case(rule: str, code: str, effect: Facts, absence: Facts = base, **more) -> Case:
        return Case("inbound", rule, code, effect, absence, **more)

    yield case("R32", "FOREIGN_READER", vary(base, caller__party__role=Role.REGIONAL_PARTNER))
    yield case(
        "R52",
        "NO_FOREIGN_ISSUER",
        vary(base, inbound__issuers__0__withdrawn_at=NOW),
        vary(base, inbound__issuers__0__withdrawn_at=NOW + 1),
    )
    yield case(
        "R52",
        "NO_FOREIGN_ISSUER",
        vary(base, inbound__issuers__0__agreement_until=NOW),
        vary(base, inbound__issuers__0__agreement_until=NOW + 1),
    )
    yield case("R52", "FOREIGN_ISSUER", base, bank(), shows="issuer")
    yield case("R52", "END_USER_MISSING", unnamed)
    yield case("R52", "END_USER_MISSING", bureau, vary(bureau, request__end_user="Example Bank"))
    partner = vary(unnamed, inbound__issuers__0__kind=IssuerKind.PARTNER)
    yield case("R52", "END_USER_MISSING", unnamed, partner)
    yield case("R46", "ONWARD_USE", base, bank(), shows="onward_use")


def recognition() -> Iterator[Case]:
    base = w.recognised("uscc", "reg_status")

    def case(rule: str, code: str, effect: Facts, absence: Facts = base, **more) -> Case:
        return Case("recognition", rule, code, effect, absence, **more)

    def graded(facts: Facts, product: str = "public_credit_grade") -> Facts:
        grants = {product: facts.licence.grants["company"]}
        return vary(facts, product__name=product, licence__grants=grants)

    yield case("R52", "XB_TERMS", vary(base, recognition__terms=None))
    yield case(
        "R52",
        "XB_TERMS",
        vary(base, recognition__terms__not_after=NOW),
        vary(base, recognition__terms__not_after=NOW + 1),
    )
    yield case(
        "R52",
        "XB_TERMS",
        vary(base, recognition__terms__effect__withdrawn_at=NOW),
        vary(base, recognition__terms__effect__withdrawn_at=NOW + 1),
    )
    yield case("R52", "XB_MODE", vary(base, recognition__terms__modes=frozenset({"HASH_CHECK"})))
    plain = vary(base, recognition__mode="", request__mode="")
    allowed = vary(plain, recognition__terms__modes=frozenset({"RECORDS"}))
    yield case("R52", "XB_MODE", plain, allowed)
    yield case("R52", "XB_TERMS_PURPOSE", vary(base, recognition__terms__purposes=frozenset()))
    yield case(
        "R52", "XB_TERMS_USE", vary(base, recognition__terms__jurisdictions=frozenset({"MY"}))
    )
    yield case("R52", "XB_TERMS_USE", vary(base, recognition__terms__end_uses=frozenset()))
    grade = graded(w.recognised("uscc", mode="GRADE_MAP"))
    yield case("R52", "XB_MAPPING", vary(grade, recognition__mapping=None), grade)
    yield case(
        "R52",
        "XB_MAPPING",
        vary(grade, recognition__mapping__effect__withdrawn_at=NOW),
        vary(grade, recognition__mapping__effect__withdrawn_at=NOW + 1),
    )
    other = vary(grade, recognition__mapping__purposes=frozenset({"SETTLEMENT_RISK"}))
    yield case("R52", "XB_MAPPING", other, grade)
    yield case("R70", "INCENTIVE_ONLY", vary(grade, recognition__mapping__incentive=True), grade)
    yield case("R54", "XB_FIELD_TABLE", vary(base, recognition__table=None))
    status = w.recognised("reg_status", mode="STATUS_ONLY")
    company = vary(
        status,
        product__name="legal_entity_base",
        licence__grants={"legal_entity_base": status.licence.grants["company"]},
    )
    yield case(
        "R54",
        "XB_FIELD_TABLE",
        vary(company, recognition__table__effect__withdrawn_at=NOW),
        vary(company, recognition__table__effect__withdrawn_at=NOW + 1),
    )
    forbidden = w.table(w.there("reg_status", forbidden=True))
    yield case("R54", "XB_DESTINATION", vary(base, recognition__table=forbidden))
    old = w.table(w.there("determination_date", oldest_years=3))
    yield case(
        "R66",
        "XB_DESTINATION_AGE",
        vary(base, recognition__table=old),
        shows="determination_date",
    )
    yield case("R54", "XB_STATUS_FIELDS", vary(company, request__fields=("uscc",)), company)
    yield case("R54", "XB_ENTERPRISE_ONLY", about(base, SOLE))
    check = w.recognised("uscc", mode="HASH_CHECK")
    yield case("R54", "XB_MODE_PRODUCT", check, graded(check, "credit_report_check"))
    yield case("R54", "XB_MODE_PRODUCT", graded(base, "credit_report_check"))


SUBJECTS = {
    "callers": callers,
    "publicity": publicity,
    "banks": banks,
    "persons": persons,
    "responsibility": responsibility,
    "border": border,
    "inbound": inbound,
    "recognition": recognition,
}
assert START < NOW - DAY < NOW + DAY < END


def cases() -> list[Case]:
    """Return all cases, subject by subject."""
    return [case for subject in SUBJECTS.values() for case in subject()]
