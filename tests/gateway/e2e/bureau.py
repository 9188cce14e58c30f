"""A partner abroad with everything that an export of information about persons rests on.

Each test takes one thing away and looks at what the gate says.
"""

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gateway.border import counters_report as reports
from gateway.border import statements
from gateway.border.claims import content, document_type
from gateway.border.counters_declared import DECLARATION_TYPE, DeclarationClaims, declare
from gateway.border.counters_declared import next_version as next_declared
from gateway.border.counters_law import CountClass, CountLaw, export_year
from gateway.border.counts import Standing
from gateway.border.kept import next_version
from gateway.border.law import day_in_hainan, lawful_border
from gateway.demo.cast import AUTHORITY, SECURITY
from gateway.domain.border import Register
from gateway.domain.vocabulary import LicenceKind, Role, SubjectKind
from gateway.identity.keyfiles import new_document_key
from gateway.registry import consents, document_keys, parties, whitelists
from gateway.registry.documents import sign
from gateway.registry.licences import AgreementClaims, GrantClaims
from tests.gateway.e2e.serving import COMPANY, DAY_S, Member, Site, fingerprint
from xinguan.v1 import exchange_pb2

LAW, COUNT_LAW = lawful_border(), CountLaw.load()
PERSON_PRODUCT = "judgement_debtor"
COMPANY_PRODUCT = "legal_entity_base"
PERSON_FIELDS = ("name", "court")
UNPUBLICISED = "subject_type"  # P1: of a company it crosses on its authorisation only (R56)
CROSSING = (*PERSON_FIELDS, UNPUBLICISED, "dispute_flag")  # R14: with its label of dispute
COMPANY_FIELDS = ("uscc", "name", "reg_status", "contact_phone", "dispute_flag")
SCOPE = tuple(sorted({*CROSSING, *COMPANY_FIELDS}))
_numbers = itertools.count(1)


class Counted:
    """Persons of an exporter: so many before, and a request's own, each of them once."""

    def __init__(self, persons: int = 0, sensitive: int = 0) -> None:
        self.persons, self.sensitive = persons, sensitive
        self.asked: list[tuple[str, int]] = []
        self.known: set[str] = set()

    def standing(self, exporter, year, subjects, *, sensitive):
        self.asked.append((exporter, year))
        new = len(set(subjects) - self.known)
        return Standing(
            self.persons + (0 if sensitive else new),
            self.sensitive + (new if sensitive else 0),
            0,
        )


def subjects_of(site: Site, kind: str) -> list[str]:
    """Return the subjects of a kind about whom a court record crosses, a year from now too."""
    snapshot = site.world.library.current(PERSON_PRODUCT)
    assert snapshot is not None
    now = site.desk.act.now
    rows = np.arange(snapshot.manifest.rows)
    rows = rows[snapshot.shareable(rows, now)]
    columns = ["subject_code", "subject_type", "share_state", "determination_date"]
    since = day_in_hainan(now - 4 * 365 * DAY_S)
    return list(
        dict.fromkeys(
            row["subject_code"]
            for row in snapshot.take(rows, columns).to_pylist()
            if row["subject_type"] == kind
            and row["share_state"] == "ACTIVE"
            and (row["determination_date"] or since) > since
        )
    )


@dataclass
class Bureau:
    """A credit bureau abroad and the agency at home that exports to it."""

    site: Site
    member: Member
    exporter: str
    country: str
    exporter_key: Any
    consent_id: str = ""
    mechanism: str = ""
    words: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def person(self) -> str:
        """Somebody about whom there is something to tell."""
        return subjects_of(self.site, "NATURAL_PERSON")[0]

    @property
    def now(self) -> int:
        return self.site.desk.act.now

    def state(self, register: Register, key: Any = None, **words: Any) -> Any:
        """Hand in a signed statement; the authority signs unless a key is given."""
        claims = self.claims(register, **words)
        desk = self.site.desk
        document = sign(claims, key or desk.signing_key, document_type(register))
        keys = self.site.deployment.authority_keys().get
        return desk.state.run(
            lambda tx: statements.register_signed(
                tx, register, document, desk.act, LAW, authority_key=keys
            )
        )

    def claims(self, register: Register, **words: Any) -> Any:
        """Return a statement about this bureau, any part of it replaced."""
        stated = self._terms(register) | words
        name = next(
            stated[claim]
            for claim in ("number", "assessment_id", "exemption_id", "party", "product")
            if claim in stated
        )
        version = self.site.desk.state.run(lambda tx: next_version(tx, register, name))
        return content(register, **({"version": version} | stated))

    def declare(self, kind: CountClass, persons: int) -> None:
        """Let the exporter declare, signed, how many persons it sent abroad elsewhere this year."""
        now, desk = self.now, self.site.desk
        year = export_year(now)
        claims = DeclarationClaims(
            exporter=self.exporter,
            year=year,
            kind=kind.value,
            version=desk.state.run(lambda tx: next_declared(tx, self.exporter, year, kind.value)),
            persons=persons,
            as_of=now,
        )
        document = sign(claims, self.exporter_key, DECLARATION_TYPE)
        desk.state.run(lambda tx: declare(tx, document, desk.act, COUNT_LAW))

    def counts(self, year: int | None = None) -> tuple[int, int]:
        """Return the exporter's persons of a year in the books: ordinary, sensitive."""
        now = self.now
        found = {
            count.kind: count.total
            for count in self.site.desk.state.run(
                lambda tx: reports.counts(
                    tx, COUNT_LAW, year or export_year(now), now, self.exporter
                )
            )
        }
        return found.get(CountClass.ORDINARY, 0), found.get(CountClass.SENSITIVE, 0)

    def change(self, change: Any, register: Register, name: str) -> Any:
        desk = self.site.desk
        return desk.state.run(lambda tx: change(tx, register, name, desk.act))

    def whitelist(
        self, product: str, fields: Any, mechanism: str = "", begins: int | None = None
    ) -> int:
        """Have a whitelist approved by two roles; return its version."""
        desk = self.site.desk
        partner = self.member.party_id

        def job(tx):
            version = whitelists.next_version(tx, partner, product)
            claims = whitelists.content(
                partner=partner,
                product=product,
                version=version,
                fields=fields,
                mechanism=mechanism,
                not_before=desk.act.now if begins is None else begins,
            )
            whitelists.propose(tx, claims, desk.act)
            for player in (SECURITY, AUTHORITY):
                approver = parties.find(tx, player.party_id)
                whitelists.approve(tx, claims, approver, desk.act)
            return version

        version: int = desk.state.run(job)
        self.site.copy_abroad()
        return version

    def consent(self, **words: Any) -> str:
        """Register a separate consent that names this bureau as the recipient abroad."""
        desk, site = self.site.desk, self.site
        issuer = desk.register(Role.CONSENT_ISSUER)
        abroad = {
            "recipient_name": "Example bureau",
            "contact": "desk 1",
            "purpose": "trade",
            "method": "query",
            "kinds": ("court records",),
            "rights_channel": "the exporter's desk",
            "exporter": words.pop("exporter", None),
        }
        stated = {
            "mode": "SEPARATE",
            "purpose_codes": ("TRADE",),
            "data_kinds": (PERSON_PRODUCT, COMPANY_PRODUCT),
            "cross_border": consents.CrossBorderClaims(**abroad),
        }
        subjects = words.pop("subjects", [self.person, site.population.sample[3]])
        document = desk.consent(issuer, self.member.party_id, subjects, **(stated | words))
        keys = site.deployment.secrets().consents
        registered = desk.state.run(lambda tx: consents.register(tx, document, desk.act, keys))
        return registered.consent_id

    async def about_a_person(self, **words: Any) -> Any:
        """Ask for a court record of one person."""
        stated = {
            "subjects": [self.person],
            "subject_kind": "NATURAL_PERSON",
            "consent_id": self.consent_id,
        }
        return await self.ask(PERSON_PRODUCT, PERSON_FIELDS, **(stated | words))

    async def about_a_company(self, fields: Any = ("uscc", "name"), **words: Any) -> Any:
        """Ask for a company's registration."""
        return await self.ask(COMPANY_PRODUCT, fields, **words)

    async def ask(self, product: str, fields: Any, **words: Any) -> Any:
        stated = {
            "purpose": "TRADE",
            "scenario": "MUTUAL_RECOGNITION",
            "destination": self.country,
        }
        return await self.site.send(self.member, self._build(product, fields, **(stated | words)))

    def about(self, person: str) -> exchange_pb2.QueryRequest:
        """Return a question about one person, not yet asked."""
        return self._build(
            PERSON_PRODUCT,
            PERSON_FIELDS,
            subjects=[person],
            subject_kind="NATURAL_PERSON",
            consent_id=self.consent_id,
            purpose="TRADE",
            scenario="MUTUAL_RECOGNITION",
            destination=self.country,
        )

    def _build(self, product: str, fields: Any, **words: Any) -> exchange_pb2.QueryRequest:
        query = self.site.build(self.member, product, fields, **words)
        query.context.time.FromSeconds(self.now)  # the gateway's clock, which a test may move
        return query

    def _terms(self, register: Register) -> dict[str, Any]:
        start, end = self.now - 60, self.now + 200 * DAY_S
        both = {
            "exporter": self.exporter,
            "recipient": self.member.party_id,
            "not_before": start,
            "not_after": end,
        }
        number = next(_numbers)
        return {
            Register.MECHANISM: both
            | {
                "number": f"SCC-E2E-{number}",
                "kind": "SCC",
                "fields": SCOPE,
                "purposes": ("TRADE",),
            },
            Register.ASSESSMENT: both
            | {"assessment_id": f"PIA-E2E-{number}", "purposes": ("TRADE",)},
            Register.EXEMPTION: both
            | {
                "exemption_id": f"EX-E2E-{number}",
                "products": (PERSON_PRODUCT,),
                "purposes": ("TRADE",),
                "basis": "ART5_CONTRACT",
                "grounds": "a contract to which the person is party",
            },
            Register.RESTRICTED: {
                "party": self.member.party_id,
                "listed": True,
                "basis": "notice 1",
                "not_before": start,
            },
            Register.PARTNER: {
                "party": self.member.party_id,
                "judicial": False,
                "country": self.country,
                "basis": "its licence",
                "not_before": start,
            },
            Register.EXPORTER: {
                "party": self.exporter,
                "ciio": False,
                "state_organ": False,
                "basis": "its declaration",
                "not_before": start,
            },
            Register.IMPORTANT: {
                "product": COMPANY_PRODUCT,
                "fields": (),
                "notified": True,
                "basis": "notice 2",
                "not_before": start,
            },
        }[register]


def open_bureau(
    site: Site,
    *,
    country: str = "SG",
    named: bool = True,
    destinations: tuple[str, ...] = (),
    kinds: tuple[SubjectKind, ...] = (SubjectKind.NATURAL_PERSON, SubjectKind.LEGAL_ENTITY),
    exporter_kind: LicenceKind = LicenceKind.PERSONAL_CREDIT_LICENCE,
    fields: tuple[str, ...] = CROSSING,
    without: frozenset[str] = frozenset(),
    **statements_of: Any,
) -> Bureau:
    """Return a bureau in order, but for what is left out.

    Args:
        site: Where it asks.
        country: Where it is.
        named: Whether its agreement names the exporter.
        destinations: Where it may use what it gets; by default at home.
        kinds: Kinds of subject that it and the exporter may ask about.
        exporter_kind: Kind of the exporter's licence.
        fields: What it may get of a person.
        without: `exporter`, `assessment`, `mechanism`, `consent`, `whitelist`.
        statements_of: Claims of the exporter, assessment, mechanism, agreement to be replaced.
    """
    desk = site.desk
    now = desk.act.now
    exporter = desk.register(Role.AGENCY)
    grants = {
        PERSON_PRODUCT: GrantClaims(fields=fields),
        COMPANY_PRODUCT: GrantClaims(fields=COMPANY),
    }
    desk.license(exporter, exporter_kind, grants=grants, subject_kinds=kinds)
    key = new_document_key()
    desk.run(document_keys.register, exporter, key.public_key())
    party_id = f"reg:{country}:E2E{next(_numbers):06d}X"
    desk.register(Role.CROSS_BORDER_PARTNER, party_id=party_id)
    identity = desk.issue(party_id)
    term: dict[str, Any] = {"not_before": now - DAY_S, "not_after": now + 300 * DAY_S}
    agreement = AgreementClaims(
        agreement_id="RECOGNITION-E2E",
        exporter=exporter if named else None,
        **(term | statements_of.get("agreement", {})),
    )
    partner_grants = {
        PERSON_PRODUCT: GrantClaims(fields=fields),
        COMPANY_PRODUCT: GrantClaims(fields=COMPANY_FIELDS),
    }
    licence_id = desk.license(
        party_id,
        LicenceKind.RECOGNITION_AGREEMENT,
        agreement=agreement,
        grants=partner_grants,
        purposes=("TRADE", "INVESTMENT_FINANCING", "CREDIT_REPORT"),
        scenarios=("MUTUAL_RECOGNITION",),
        destinations=destinations or (country,),
        subject_kinds=kinds,
    )
    member = Member(party_id, identity, fingerprint(identity), licence_id)
    bureau = Bureau(site, member, exporter, country, key)
    bureau.state(Register.PARTNER)
    if "exporter" not in without:
        bureau.state(Register.EXPORTER, **statements_of.get("exporter", {}))
    if "assessment" not in without:
        bureau.state(Register.ASSESSMENT, key, **statements_of.get("assessment", {}))
    if "mechanism" not in without:
        kept = bureau.state(Register.MECHANISM, **statements_of.get("mechanism", {}))
        bureau.mechanism = kept.claims.name
    if "consent" not in without:
        bureau.consent_id = bureau.consent()
    if "whitelist" not in without:
        bound = statements_of.get("bound", bureau.mechanism)
        bureau.whitelist(PERSON_PRODUCT, fields, bound)
        bureau.whitelist(COMPANY_PRODUCT, COMPANY_FIELDS, bound)
    return bureau
