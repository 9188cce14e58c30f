"""A partner abroad with everything that an export of information about persons rests on.

Each test takes one thing away and looks at what the gate says.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

from gateway.border import statements
from gateway.border.claims import content, document_type
from gateway.border.counts import Standing
from gateway.border.kept import next_version
from gateway.border.law import lawful_border
from gateway.demo.cast import AUTHORITY, SECURITY
from gateway.domain.border import Register
from gateway.domain.vocabulary import LicenceKind, Role, SubjectKind
from gateway.identity.keyfiles import new_document_key
from gateway.registry import consents, document_keys, parties, whitelists
from gateway.registry.documents import sign
from gateway.registry.licences import AgreementClaims, GrantClaims
from tests.gateway.e2e.serving import COMPANY, DAY_S, Member, Site, fingerprint

LAW = lawful_border()
PERSON_PRODUCT = "judgement_debtor"
COMPANY_PRODUCT = "legal_entity_base"
PERSON_FIELDS = ("name", "court")
CROSSING = (*PERSON_FIELDS, "dispute_flag")  # R14: with its label of dispute
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

    def change(self, change: Any, register: Register, name: str) -> Any:
        desk = self.site.desk
        return desk.state.run(lambda tx: change(tx, register, name, desk.act))

    def whitelist(self, product: str, fields: Any, mechanism: str = "") -> int:
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
                not_before=desk.act.now,
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
        document = desk.consent(
            issuer,
            self.member.party_id,
            [site.population.person, site.population.sample[3]],
            **(stated | words),
        )
        keys = site.deployment.secrets().consents
        registered = desk.state.run(lambda tx: consents.register(tx, document, desk.act, keys))
        return registered.consent_id

    async def about_a_person(self, **words: Any) -> Any:
        """Ask for a court record of one person."""
        stated = {
            "subjects": [self.site.population.person],
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
        return await self.site.query(self.member, product, fields, **(stated | words))

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
    exporter_kind: LicenceKind = LicenceKind.PERSONAL_CREDIT_LICENCE,
    without: frozenset[str] = frozenset(),
    **statements_of: Any,
) -> Bureau:
    """Return a bureau in order, but for what is left out.

    Args:
        site: Where it asks.
        country: Where it is.
        named: Whether its agreement names the exporter.
        exporter_kind: Kind of the exporter's licence.
        without: `exporter`, `assessment`, `mechanism`, `consent`, `whitelist`.
        statements_of: Claims of the exporter, assessment, mechanism to be replaced.
    """
    desk = site.desk
    now = desk.act.now
    exporter = desk.register(Role.AGENCY)
    grants = {
        PERSON_PRODUCT: GrantClaims(fields=CROSSING),
        COMPANY_PRODUCT: GrantClaims(fields=COMPANY),
    }
    desk.license(
        exporter,
        exporter_kind,
        grants=grants,
        subject_kinds=(SubjectKind.NATURAL_PERSON, SubjectKind.LEGAL_ENTITY),
    )
    key = new_document_key()
    desk.run(document_keys.register, exporter, key.public_key())
    party_id = f"reg:{country}:E2E{next(_numbers):06d}X"
    desk.register(Role.CROSS_BORDER_PARTNER, party_id=party_id)
    identity = desk.issue(party_id)
    agreement = AgreementClaims(
        agreement_id="RECOGNITION-E2E",
        not_before=now - DAY_S,
        not_after=now + 300 * DAY_S,
        exporter=exporter if named else None,
    )
    partner_grants = {
        PERSON_PRODUCT: GrantClaims(fields=CROSSING),
        COMPANY_PRODUCT: GrantClaims(fields=COMPANY_FIELDS),
    }
    licence_id = desk.license(
        party_id,
        LicenceKind.RECOGNITION_AGREEMENT,
        agreement=agreement,
        grants=partner_grants,
        purposes=("TRADE", "INVESTMENT_FINANCING", "CREDIT_REPORT"),
        scenarios=("MUTUAL_RECOGNITION",),
        destinations=(country,),
        subject_kinds=(SubjectKind.NATURAL_PERSON, SubjectKind.LEGAL_ENTITY),
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
        for product, fields in ((PERSON_PRODUCT, CROSSING), (COMPANY_PRODUCT, COMPANY_FIELDS)):
            bureau.whitelist(product, fields, statements_of.get("bound", bureau.mechanism))
    return bureau
