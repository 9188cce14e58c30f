"""The table of domain-rules 5.3 as data: each vector, what is so, what is asked, what comes of it.

Whatever a line does not mention is in order: see `bureau.open_bureau`. The persons whom an exporter
sent before are declared by itself, signed; the counts are those of the books. What needs a clock
that moves, or records of one's own, is a test with its own body and bears the vector's name.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from gateway.border import statements
from gateway.demo.cast import SECURITY
from gateway.domain.border import Register
from gateway.domain.vocabulary import LicenceKind
from gateway.registry import consents, licences, parties, whitelists
from tests.gateway.e2e.bureau import (
    COMPANY_FIELDS,
    COMPANY_PRODUCT,
    PERSON_PRODUCT,
    SCOPE,
    UNPUBLICISED,
    Bureau,
    subjects_of,
)
from tests.gateway.e2e.serving import Site

# A person's record (sensitive), a company's (nobody), its telephone number (ordinary), its debt.
PERSON, COMPANY, PHONE, DEBT = "person", "company", "phone", "debt"
WITHOUT = "without"
NO_MECHANISM: Final[dict[str, Any]] = {"without": frozenset({"mechanism"}), "bound": ""}
# A whitelist of persons is bound to the mechanism, so both are missed at once.
UNCOVERED: Final = ("XB_MECHANISM", "XB_WHITELIST_UNAPPROVED")
ENDED: Final = ("XB_MECHANISM", "XB_WHITELIST_MECHANISM", "XB_WHITELIST_UNAPPROVED")


@dataclass(frozen=True, slots=True)
class Vector:
    """One line.

    Args:
        name: Its step and what it is about; the id of its test.
        rule: The rule of domain-rules 9.6 that it shows.
        ask: What is asked for.
        codes: Every reason of the refusal; empty when the answer crosses.
        dropped: Field to the reason for which it doesn't cross, of an answer that does.
        sent: Persons, ordinary and sensitive, that the exporter sent abroad before.
        counted: How many more of each the books have afterwards.
        done: What is done after everything was put in order, one act after the other.
        words: Of the request.
        given: Of `open_bureau`.
    """

    name: str
    rule: str
    ask: str
    codes: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    sent: tuple[int, int] = (0, 0)
    counted: tuple[int, int] | None = None
    done: tuple[Any, ...] = ()
    words: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)


def stated(register: Register, **words: Any) -> Any:
    """A signed statement is handed in, by whoever has to sign it."""

    def act(bureau: Bureau) -> None:
        own = register in {Register.ASSESSMENT, Register.EXEMPTION}
        bureau.state(register, bureau.exporter_key if own else None, **words)

    return act


def ended(change: Any) -> Any:
    """The mechanism is suspended, resumed or withdrawn."""
    return lambda bureau: bureau.change(change, Register.MECHANISM, bureau.mechanism)


def assessed(bureau: Bureau) -> None:
    """The exporter obtains a security assessment besides."""
    bureau.state(Register.MECHANISM, kind="ASSESSMENT", number=f"A-{bureau.mechanism}")


def renewed_narrower(bureau: Bureau) -> None:
    """The mechanism is renewed without a field that the company's whitelist names."""
    fields = tuple(name for name in SCOPE if name != "reg_status")
    bureau.state(Register.MECHANISM, number=bureau.mechanism, fields=fields)


def elsewhere(claim: str) -> Any:
    """There is a mechanism, but of another exporter or for another recipient."""

    def act(bureau: Bureau) -> None:
        desk, role = bureau.site.desk, "AGENCY" if claim == "exporter" else "CROSS_BORDER_PARTNER"
        party = f"reg:SG:OTHER{bureau.member.licence_id[-6:]}X" if claim == "recipient" else ""
        other = desk.register(role, party_id=party)
        bureau.state(Register.MECHANISM, **{claim: other})

    return act


def consented(**words: Any) -> Any:
    """Another consent is cited instead."""

    def act(bureau: Bureau) -> None:
        bureau.consent_id = bureau.consent(**words)

    return act


def uncited(bureau: Bureau) -> None:
    """No consent is cited."""
    bureau.consent_id = ""


def authorised(bureau: Bureau) -> None:
    """The enterprise authorises the export of what is not publicised about it."""
    bureau.consent_id = bureau.consent(subjects=[a_debtor(bureau.site)], mode="WRITTEN")


def a_debtor(site: Site) -> str:
    """Return a company with a court record that may be shared."""
    return subjects_of(site, "LEGAL_ENTITY")[0]


def consent_withdrawn(bureau: Bureau) -> None:
    """The person withdraws the consent."""
    bureau.site.desk.run(consents.withdraw, bureau.consent_id)


def consented_to_another(bureau: Bureau) -> None:
    """The consent was given to another exporter."""
    bureau.consent_id = bureau.consent(exporter=bureau.site.desk.register("AGENCY"))


def listed(*fields: str) -> Any:
    """A newer whitelist of companies names these fields only."""
    return lambda bureau: bureau.whitelist(COMPANY_PRODUCT, fields, bureau.mechanism)


def whitelist_withdrawn(bureau: Bureau) -> None:
    """The whitelist of persons is withdrawn meanwhile."""
    bureau.site.desk.run(whitelists.withdraw, bureau.member.party_id, PERSON_PRODUCT, 1)


def approved_once(bureau: Bureau) -> None:
    """A whitelist is proposed, and one role approves it."""
    desk = bureau.site.desk

    def job(tx: Any) -> None:
        claims = whitelists.content(
            partner=bureau.member.party_id, product=COMPANY_PRODUCT, version=1,
            fields=COMPANY_FIELDS, mechanism="", not_before=desk.act.now,
        )  # fmt: skip
        whitelists.propose(tx, claims, desk.act)
        whitelists.approve(tx, claims, parties.find(tx, SECURITY.party_id), desk.act)

    desk.state.run(job)
    bureau.site.copy_abroad()


def exporter_suspended(bureau: Bureau) -> None:
    """The exporter's licence is suspended."""
    view = bureau.site.world.registry.view()
    (licence,) = view.licences_of(bureau.exporter, PERSON_PRODUCT)
    bureau.site.desk.run(licences.suspend, licence.licence_id)


ORDINARY_KINDS: Final = {
    # The count with this person, and which of the mechanisms are enough.
    50_000: ("", "SCC", "CERT", "ASSESSMENT"),
    99_999: ("", "SCC", "CERT", "ASSESSMENT"),
    100_000: ("SCC", "CERT", "ASSESSMENT"),
    999_999: ("SCC", "CERT", "ASSESSMENT"),
    1_000_000: ("ASSESSMENT",),
}
SENSITIVE_KINDS: Final = {
    1: ("SCC", "CERT", "ASSESSMENT"),
    9_999: ("SCC", "CERT", "ASSESSMENT"),
    10_000: ("ASSESSMENT",),
}


def _by_count(letter: str, ask: str, table: dict[int, tuple[str, ...]]) -> list[Vector]:
    found = []
    for count, enough in table.items():
        for kind in ("", "SCC", "CERT", "ASSESSMENT"):
            crosses = kind in enough
            before, one = (count - 1, 0), (1, 0)
            found.append(
                Vector(
                    f"14-16 {letter}={count:,} {kind or 'no mechanism'}",
                    "R64",
                    ask,
                    () if crosses else ("XB_MECHANISM",) if kind else UNCOVERED,
                    sent=before if ask == PHONE else before[::-1],
                    counted=(one if ask == PHONE else one[::-1]) if crosses else (0, 0),
                    given={"mechanism": {"kind": kind}} if kind else NO_MECHANISM,
                )
            )
    return found


NARROW_PIPIA = {"purposes": ("INVESTMENT_FINANCING",)}
AUTHORISED_FIELDS = ("name", UNPUBLICISED)

VECTORS: Final = [
    # Steps 1 to 4: whom, and to what end.
    Vector("1 a foreign authority about a person", "R50", PERSON, ("XB_FOREIGN_AUTHORITY",),
           done=(stated(Register.PARTNER, judicial=True),)),
    Vector("1 a foreign authority about a company", "R50", COMPANY, ("XB_FOREIGN_AUTHORITY",),
           done=(stated(Register.PARTNER, judicial=True),)),
    Vector("1 no authority any more", "R50", COMPANY,
           done=(stated(Register.PARTNER, judicial=True), stated(Register.PARTNER))),
    Vector("2 restricted", "R51", PERSON, ("XB_RESTRICTED",), done=(stated(Register.RESTRICTED),)),
    Vector("2 restricted, a company", "R51", COMPANY, ("XB_RESTRICTED",),
           done=(stated(Register.RESTRICTED),)),
    Vector("2 off the list", "R51", COMPANY,
           done=(stated(Register.RESTRICTED), stated(Register.RESTRICTED, listed=False))),
    Vector("3 a purpose that is not the partner's", "R52", COMPANY, ("OUT_OF_SCOPE", "XB_PURPOSE"),
           words={"purpose": "SETTLEMENT_RISK"}),
    Vector("3 a purpose that may not cross", "R52", COMPANY, ("XB_PURPOSE",),
           words={"purpose": "CREDIT_REPORT"}),
    Vector("3 an agreement that has not begun", "R52", COMPANY, ("OUT_OF_SCOPE", "XB_PURPOSE"),
           given={"agreement": {"begins_in": 3_600}}),
    Vector("4 important data", "R53", COMPANY, ("XB_IMPORTANT",),
           done=(stated(Register.IMPORTANT, fields=("reg_status",)),),
           words={"fields": ("uscc", "reg_status")}),
    Vector("4 important data on an assessment", "R53", COMPANY,
           done=(stated(Register.IMPORTANT, fields=("reg_status",)), assessed),
           words={"fields": ("uscc", "reg_status")}),
    Vector("4 beside important data", "R53", COMPANY,
           done=(stated(Register.IMPORTANT, fields=("reg_status",)),)),
    Vector("4 never notified as important", "R53", COMPANY,
           words={"fields": ("uscc", "reg_status")}),
    Vector("4 two subjects", "R53", COMPANY, ("XB_BULK",), words={"subjects": 2}),
    # Step 5: fields.
    Vector("5 a field outside the whitelist", "R54", COMPANY,
           dropped={"reg_status": "XB_NOT_WHITELISTED"},
           done=(listed("uscc", "name", "dispute_flag"),),
           words={"fields": ("uscc", "reg_status")}),
    Vector("5 a field that its contract keeps inside", "R54", COMPANY,
           dropped={"contact_phone": "XB_DEFAULT_DENY"},
           words={"fields": ("uscc", "contact_phone")}),
    Vector("5 nothing left", "R54", COMPANY, ("XB_NOT_WHITELISTED",),
           done=(listed("uscc", "name", "dispute_flag"),), words={"fields": ("reg_status",)}),
    Vector("5 a whitelist withdrawn meanwhile", "R54", PERSON, ("XB_NOT_WHITELISTED",),
           done=(whitelist_withdrawn,)),
    # Steps 7 and 8: companies.
    Vector("7 unpublicised, unauthorised", "R56", DEBT,
           dropped={UNPUBLICISED: "XB_NOT_AUTHORISED"}, words={"fields": AUTHORISED_FIELDS},
           done=(uncited,)),
    Vector("7 unpublicised, authorised by the enterprise", "R56", DEBT,
           words={"fields": AUTHORISED_FIELDS}, done=(authorised,)),
    Vector("8 a company needs none of it", "R57", COMPANY, counted=(0, 0),
           given={"named": False, "bound": "",
                  WITHOUT: frozenset({"exporter", "assessment", "mechanism", "consent"})}),
    Vector("8 a company at any count", "R57", COMPANY, counted=(0, 0),
           sent=(5_000_000, 5_000_000), given=NO_MECHANISM),
    # Steps 9 and 10: who exports.
    Vector("9 the platform itself", "R58", PERSON,
           ("XB_EXPORTER", "XB_STATE_PI", "XB_CIIO", "XB_PIPIA", *UNCOVERED),
           given={"named": False, "bound": ""}),
    Vector("9 a state organ on a contract", "R58", PERSON, ("XB_STATE_PI",),
           given={"exporter": {"state_organ": True}}),
    Vector("9 a state organ on an assessment", "R58", PERSON, counted=(0, 1), done=(assessed,),
           given={"exporter": {"state_organ": True}}),
    Vector("9 an exporter licensed for enterprises only", "R58", PERSON, ("XB_EXPORTER",),
           given={"exporter_kind": LicenceKind.ENTERPRISE_CREDIT_FILING}),
    Vector("9 an exporter whose licence is suspended", "R58", PERSON, ("XB_EXPORTER",),
           done=(exporter_suspended,)),
    Vector("9 an exporter of whom nothing is known", "R58", PERSON,
           ("XB_EXPORTER", "XB_STATE_PI", "XB_CIIO"), given={WITHOUT: frozenset({"exporter"})}),
    Vector("10 critical infrastructure on a contract", "R59", PERSON, ("XB_CIIO",),
           given={"exporter": {"ciio": True}}),
    Vector("10 critical infrastructure on an assessment", "R59", PERSON, counted=(0, 1),
           done=(assessed,), given={"exporter": {"ciio": True}}),
    # Steps 11 and 12: consent and impact assessment.
    Vector("11 no consent", "R60", PERSON, ("XB_CONSENT",), done=(uncited,)),
    Vector("11 a consent bundled with others", "R60", PERSON, ("XB_CONSENT",),
           done=(consented(mode="GENERAL"),)),
    Vector("11 a consent for use at home", "R60", PERSON, ("XB_CONSENT",),
           done=(consented(cross_border=None),)),
    Vector("11 a consent for another purpose", "R60", PERSON, ("XB_CONSENT",),
           done=(consented(purpose_codes=("INVESTMENT_FINANCING",)),)),
    Vector("11 a consent to another exporter", "R60", PERSON, ("XB_CONSENT",),
           done=(consented_to_another,)),
    Vector("11 a consent withdrawn", "R60", PERSON, ("XB_CONSENT",), done=(consent_withdrawn,)),
    Vector("11 a separate consent in writing", "R60", PERSON, counted=(0, 1),
           done=(consented(mode="WRITTEN"),)),
    Vector("12 no impact assessment", "R61", PERSON, ("XB_PIPIA",),
           given={WITHOUT: frozenset({"assessment"})}),
    Vector("12 an impact assessment for another purpose", "R61", PERSON, ("XB_PIPIA",),
           given={"assessment": NARROW_PIPIA}),
    # Step 13: exempt and not counted.
    *(
        Vector(f"13 exempt by {basis}", "R62", PERSON, sent=(0, 10_000), counted=(0, 0),
               done=(stated(Register.EXEMPTION, basis=basis),), given=NO_MECHANISM)
        for basis in ("ART4", "ART5_CONTRACT", "ART5_EMERGENCY")
    ),
    Vector("13 exempt for another purpose", "R62", PERSON, UNCOVERED, given=NO_MECHANISM,
           done=(stated(Register.EXEMPTION, purposes=("INVESTMENT_FINANCING",)),)),
    Vector("13 not on the negative list is no exemption", "R62", PERSON, UNCOVERED,
           given=NO_MECHANISM),
    # Steps 14 to 16: how many, and on which mechanism.
    *_by_count("p", PHONE, ORDINARY_KINDS),
    *_by_count("s", PERSON, SENSITIVE_KINDS),
    Vector("14-16 s=1 decides over p=99,999", "R64", PERSON, UNCOVERED, sent=(99_999, 0),
           given=NO_MECHANISM),
    Vector("14-16 p=1,000,000 decides over s=1", "R64", PERSON, ("XB_MECHANISM",),
           sent=(1_000_000, 0)),
    Vector("16 a mechanism that has not begun", "R65", PERSON, ENDED[:1] + ENDED[2:],
           given={"mechanism": {"begins_in": 3_600}, "bound": ""}),
    Vector("16 out of scope: fields", "R65", PERSON, UNCOVERED,
           given={"mechanism": {"fields": ("name",)}, "bound": ""}),
    Vector("16 out of scope: purpose", "R65", PERSON, UNCOVERED,
           given={"mechanism": {"purposes": ("INVESTMENT_FINANCING",)}, "bound": ""}),
    Vector("16 out of scope: recipient", "R65", PERSON, UNCOVERED, given=NO_MECHANISM,
           done=(elsewhere("recipient"),)),
    Vector("16 out of scope: exporter", "R65", PERSON, UNCOVERED, given=NO_MECHANISM,
           done=(elsewhere("exporter"),)),
    Vector("16 at its cap", "R65", PERSON, sent=(2, 3), counted=(0, 1),
           given={"mechanism": {"scale_cap": 6}}),
    Vector("16 over its cap", "R65", PERSON, UNCOVERED, sent=(3, 3),
           given={"mechanism": {"scale_cap": 6}}),
    Vector("16 suspended", "R65", PERSON, ENDED, done=(ended(statements.suspend),)),
    Vector("16 withdrawn", "R65", PERSON, ENDED, done=(ended(statements.withdraw),)),
    Vector("16 suspended and resumed", "R65", PERSON, counted=(0, 1),
           done=(ended(statements.suspend), ended(statements.resume))),
    # R67: which road.
    *(
        Vector(f"R67 {country} takes the export path", "R67", PERSON, counted=(0, 1),
               given={"country": country})
        for country in ("HK", "MO", "TW")
    ),
    *(
        Vector(f"R67 {country} needs a mechanism", "R67", PERSON, UNCOVERED,
               given={"country": country, **NO_MECHANISM})
        for country in ("HK", "MO", "TW")
    ),
    Vector("R67 abroad, to be used at home", "R67", PERSON, counted=(0, 1),
           given={"country": "HK", "destinations": ("HK", "CN")}, words={"destination": "CN"}),
    # R68: two approvals, bound to a mechanism's scope.
    Vector("R68 one approval", "R68", COMPANY, ("XB_NOT_WHITELISTED",), done=(approved_once,),
           given={WITHOUT: frozenset({"whitelist"})}),
    Vector("R68 bound to no mechanism", "R68", PERSON, ("XB_WHITELIST_UNAPPROVED",),
           given={"bound": ""}),
    Vector("R68 wider than its mechanism", "R68", COMPANY, ("XB_WHITELIST_MECHANISM",),
           done=(renewed_narrower,)),
    Vector("R68 its mechanism withdrawn", "R68", COMPANY, ("XB_WHITELIST_MECHANISM",),
           done=(ended(statements.withdraw),)),
    Vector("R68 bound to a contract beside the assessment", "R68", PERSON,
           sent=(0, 9_999), counted=(0, 1), done=(assessed,)),
]  # fmt: skip

# What domain-rules 5.3 lists, word for word, and the vectors that show it; a star stands for more.
BOUNDARIES: Final = {
    "p=99,999 → none": ("14-16 p=99,999 *",),
    "p=100,000 → SCC/CERT": ("14-16 p=100,000 *",),
    "p=999,999 → SCC/CERT": ("14-16 p=999,999 *",),
    "p=1,000,000 → ASSESSMENT": ("14-16 p=1,000,000 *",),
    "s=0,p=50,000 → none": ("14-16 p=50,000 *",),
    "s=1 → SCC/CERT": ("14-16 s=1 *",),
    "s=9,999 → SCC/CERT": ("14-16 s=9,999 *",),
    "s=10,000 → ASSESSMENT": ("14-16 s=10,000 *",),
    "same person sent 3 times → counted once": ("14 the same person three times",),
    # Domain-rules 13 corrects the next one: such a person counts in both.
    "person both PI and SPI → counted in SPI only (and not in “不含敏感”) [D]": (
        "14 a person as ordinary and as sensitive",
    ),
    "31 Dec 23:59:59 vs 1 Jan 00:00:00 +08:00": (
        "14 the year's turn, sensitive",
        "14 the year's turn, ordinary",
        "14 the year's turn in UTC is none",
        "14 the year's turn before the hand-over",
    ),
}
