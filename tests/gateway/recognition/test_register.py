"""The registers on both stores: two ways into effect, one way out, and nothing forged."""

import json
from dataclasses import replace

import pytest

from gateway.domain.errors import (
    ConflictError,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
)
from gateway.domain.recognition import Mode, Register
from gateway.domain.vocabulary import Role, Status
from gateway.identity.keyfiles import new_document_key
from gateway.recognition import register
from gateway.recognition.claims import (
    EquivalenceClaims,
    FieldClaims,
    FieldsClaims,
    IdentifiersClaims,
    MappingClaims,
    RowClaims,
    ScaleClaims,
    TermsClaims,
    ground,
    name_of,
    register_of,
)
from gateway.recognition.identifiers import IdentifierBook
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import BadDocumentError, BadSignatureError, sign
from tests.simulator import NOW, uscc

PARTNER, REGION = "reg:SG:201912345K", f"uscc:{uscc(77)}"
DAY_S = 86_400
LEI = "5493001KJTIIGC8Y1R12"


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue.load().products


@pytest.fixture
def desk(world, catalogue):
    world.party(0, "CROSS_BORDER_PARTNER", PARTNER)
    world.party(0, "REGIONAL_PARTNER", REGION)
    roles = {PARTNER: Role.CROSS_BORDER_PARTNER, REGION: Role.REGIONAL_PARTNER}
    return Desk(world, ground(catalogue, roles.get))


class Desk:
    def __init__(self, world, known):
        self.world, self.known = world, known

    def enact(self, claims, key=None, typ=""):
        kind = register_of(claims)
        typ = typ or register.document_type(kind)
        document = sign(claims, key or self.world.authority, typ)
        return self.world.run(
            lambda tx: register.enact(
                tx,
                document,
                kind,
                self.world.act,
                key_of=self.world.authority_key,
                known=self.known,
            )
        )

    def propose(self, claims, act=None):
        return self.world.run(
            lambda tx: register.propose(tx, claims, act or self.world.act, self.known)
        )

    def approve(self, claims, party):
        return self.world.run(lambda tx: register.approve(tx, claims, party, self.world.act))

    def withdraw(self, claims):
        return self.world.run(
            lambda tx: register.withdraw(
                tx, register_of(claims), name_of(claims), claims.version, self.world.act
            )
        )

    @property
    def view(self):
        return self.world.registry.view().recognitions


def terms(**words):
    stated = {
        "partner": PARTNER,
        "version": 1,
        "agreement_id": "A-1",
        "modes": (Mode.HASH_CHECK, Mode.GRADE_MAP),
        "purposes": ("TRADE",),
        "jurisdictions": ("SG",),
        "end_uses": ("MUTUAL_RECOGNITION",),
        "onward_zh": "不得转供",
        "onward_en": "No onward supply",
        "dispute_contact": "desk",
        "not_before": NOW - DAY_S,
        "not_after": NOW + DAY_S,
    }
    return TermsClaims(**(stated | words))


def mapping(**words):
    equals = words.pop("equals", {"A": "AA", "B": "BB", "C": "BB", "D": ""})
    stated = {
        "mapping_id": "M-1",
        "version": 1,
        "partner": PARTNER,
        "product": "public_credit_grade",
        "field": "grade",
        "source": ScaleClaims(name="ours", grades=("A", "B", "C", "D")),
        "target": ScaleClaims(name="theirs", grades=("AA", "BB")),
        "rows": tuple(RowClaims(grade=g, equals=e) for g, e in equals.items()),
        "not_before": NOW - DAY_S,
    }
    return MappingClaims(**(stated | words))


def fields(**words):
    row = FieldClaims(
        product="legal_entity_base",
        field="reg_status",
        name="status",
        label="Status",
        source="synthetic",
        tag="M",
    )
    stated = {"jurisdiction": "SG", "version": 1, "rows": (row,), "not_before": NOW - DAY_S}
    return FieldsClaims(**(stated | words))


def identifiers(*entries, **words):
    stated = {"register_id": "LEI-1", "version": 1, "entries": entries, "not_before": NOW - DAY_S}
    return IdentifiersClaims(**(stated | words))


ALL = (terms, mapping, fields)


@pytest.mark.parametrize("make", [*ALL, lambda: identifiers(same(uscc(900), LEI))])
def test_the_authoritys_signature_puts_it_in_effect_with_its_entry(desk, make):
    claims = make()
    done = desk.enact(claims)
    assert done.effect_index == done.index
    entry = desk.world.entries()[done.index]
    assert (entry["kind"], entry["name"]) == ("recognition_registered", name_of(claims))
    found = desk.world.run(lambda tx: register.find(tx, done.register, done.name, 1))
    assert found == done
    assert register.content_digest(claims, done.salt) != register.content_digest(claims, bytes(32))


def test_the_view_tells_what_is_in_effect(desk):
    desk.enact(terms())
    desk.enact(mapping())
    desk.enact(fields())
    assert desk.view.terms(PARTNER, NOW).modes == {"HASH_CHECK", "GRADE_MAP"}
    assert desk.view.terms(PARTNER, NOW - 2 * DAY_S) is None
    table = desk.view.mapping(PARTNER, "public_credit_grade", "OUT", NOW)
    assert (table.told("A"), table.told("D")) == ("AA", None)
    assert desk.view.mapping(PARTNER, "public_credit_grade", "IN", NOW) is None
    assert desk.view.table("SG", NOW).rows["legal_entity_base", "reg_status"].name == "status"
    assert desk.view.mappings_of(PARTNER, NOW) == [table]
    assert desk.view.mappings_of("reg:SG:201912345", NOW) == []


@pytest.mark.parametrize("make", ALL)
def test_two_approvals_of_different_roles_put_it_in_effect(desk, make):
    claims = make()
    security, authority = desk.world.party(1, "SECURITY_ADMIN"), desk.world.party(2, "AUTHORITY")
    desk.propose(claims)
    desk.approve(claims, security)
    assert not desk.view.versions
    done = desk.approve(claims, authority)
    assert done.effect_index is not None
    assert not done.signed
    assert len(desk.view.versions) == 1
    kinds = [desk.world.entries()[index]["kind"] for _, index in done.approvals.values()]
    assert kinds == ["recognition_approved"] * 2
    with pytest.raises(ConflictError):
        desk.approve(claims, authority)


def test_one_role_one_person_and_other_roles_are_not_enough(desk):
    first, second = desk.world.party(1, "SECURITY_ADMIN"), desk.world.party(2, "SECURITY_ADMIN")
    claims = terms()
    desk.propose(claims, Act(NOW, "node-1", first.party_id))
    with pytest.raises(DeniedError):
        desk.approve(claims, first)
    desk.approve(claims, second)
    with pytest.raises(ConflictError):
        desk.approve(claims, desk.world.party(3, "SECURITY_ADMIN"))
    with pytest.raises(DeniedError):
        desk.approve(claims, desk.world.party(4, "BANK"))
    suspended = replace(desk.world.party(5, "AUTHORITY"), status=Status.SUSPENDED)
    with pytest.raises(DeniedError):
        desk.approve(claims, suspended)
    assert desk.view.terms(PARTNER, NOW) is None


def test_what_is_approved_is_what_was_proposed(desk):
    desk.propose(terms())
    authority = desk.world.party(1, "AUTHORITY")
    with pytest.raises(ConflictError):
        desk.approve(terms(modes=(Mode.FULL_REPORT,)), authority)
    with pytest.raises(NotFoundError):
        desk.approve(terms(version=2), authority)


def test_signed_approvals_count_and_forged_ones_do_not(desk):
    claims = mapping()
    desk.propose(claims)
    typ = register.document_type(Register.MAPPING, approval=True)
    key = desk.world.document_key(desk.world.party(1, "AUTHORITY"))
    for document, error in (
        (sign(claims, new_document_key(), typ), BadSignatureError),
        (sign(claims, key, register.document_type(Register.MAPPING)), BadDocumentError),
        (sign(terms(), key, typ), BadDocumentError),
    ):
        with pytest.raises(error):
            desk.world.run(
                lambda tx, d=document: register.approve_signed(
                    tx, d, Register.MAPPING, desk.world.act
                )
            )
    document = sign(claims, key, typ)
    done = desk.world.run(
        lambda tx: register.approve_signed(tx, document, Register.MAPPING, desk.world.act)
    )
    assert set(done.approvals) == {"AUTHORITY"}


def test_a_forged_document_is_refused_whole(desk):
    for key, typ, error in (
        (new_document_key(), "", BadSignatureError),
        (None, register.document_type(Register.TERMS), BadDocumentError),
    ):
        with pytest.raises(error):
            desk.enact(mapping(), key, typ)
    assert desk.world.run(lambda tx: register.every(tx, Register.MAPPING)) == []
    assert {entry["kind"] for entry in desk.world.entries()} <= {"party_registered"}


@pytest.mark.parametrize("make", ALL)
def test_a_withdrawn_version_stays_the_newest(desk, make):
    claims = make()
    desk.enact(claims)
    desk.enact(make(version=2))
    desk.withdraw(make(version=2))
    (versions,) = desk.view.versions.values()
    assert [v.effect.withdrawn_at for v in versions] == [None, NOW]
    newest = desk.view.terms(PARTNER, NOW) or desk.view.table("SG", NOW)
    newest = newest or desk.view.mapping(PARTNER, "public_credit_grade", "OUT", NOW)
    assert newest.effect.version == 2
    with pytest.raises(ConflictError):
        desk.withdraw(make(version=2))
    last = desk.world.entries()[-1]
    assert last["kind"] == "recognition_withdrawn"
    assert desk.world.entries()[last["registration"]]["version"] == 2


def test_versions_come_in_order(desk):
    for version in (2, 3):
        with pytest.raises(ConflictError):
            desk.enact(terms(version=version))
    desk.enact(terms())
    with pytest.raises(ConflictError):
        desk.enact(terms())


@pytest.mark.parametrize(
    ("make", "words", "error"),
    [
        (terms, {"partner": "reg:SG:NOBODY"}, InvalidRequestError),
        (terms, {"not_after": NOW}, BadDocumentError),
        (terms, {"not_before": NOW + 2 * DAY_S}, BadDocumentError),
        (terms, {"not_after": NOW + 2000 * DAY_S}, BadDocumentError),
        (terms, {"purposes": ("CREDIT_REPORT",)}, BadDocumentError),
        (terms, {"jurisdictions": ("SG", "CN")}, BadDocumentError),
        (terms, {"partner": REGION}, BadDocumentError),
        (mapping, {"product": "no_such"}, InvalidRequestError),
        (mapping, {"field": "no_such"}, InvalidRequestError),
        (mapping, {"equals": {"A": "BB", "B": "AA", "C": "", "D": ""}}, InvalidRequestError),
        (mapping, {"equals": {"A": "AA"}}, InvalidRequestError),
        (mapping, {"incentive": True}, InvalidRequestError),
        (mapping, {"incentive": True, "purposes": ("TRADE",)}, InvalidRequestError),
        (fields, {"jurisdiction": "CN"}, BadDocumentError),
        (fields, {"rows": fields().rows * 2}, BadDocumentError),
    ],
)
def test_what_is_unlawful_is_not_put_in_effect(desk, make, words, error):
    with pytest.raises(error):
        desk.enact(make(**words))
    with pytest.raises(error):
        desk.propose(make(**words))


@pytest.mark.parametrize(
    ("partner", "incentive", "purposes"),
    [(PARTNER, True, ("DEPOSIT_FREE",)), (REGION, False, ()), (REGION, True, ("TRADE",))],
)
def test_the_coconut_score_is_mapped_between_regions_for_incentives_only(
    desk, partner, incentive, purposes
):
    made = {"product": "golden_coconut_score", "field": "band", "partner": partner}
    with pytest.raises(InvalidRequestError) as caught:
        desk.enact(mapping(**made, incentive=incentive, purposes=purposes))
    assert caught.value.code == "BAD_MAPPING"
    good = mapping(**(made | {"partner": REGION}), incentive=True, purposes=("DEPOSIT_FREE",))
    assert desk.enact(good).effect_index is not None


# --- Identifiers ----------------------------------------------------------------------------


def same(code, lei="", *numbers):
    return EquivalenceClaims(uscc=code, lei=lei, numbers=numbers)


def test_identifiers_are_found_by_any_of_them(desk):
    book = IdentifierBook(desk.world.state.connect())
    firm = uscc(900)
    desk.enact(identifiers(same(firm, LEI, "SG:201900000R", "MY:201901000005")))
    for text in (firm, f"uscc:{firm}", f"lei:{LEI}", "reg:sg:201900000r", "reg:MY:201901000005"):
        assert book.resolve(text, NOW) == firm
    assert book.resolve(f"lei:{LEI}", NOW - 2 * DAY_S) == f"lei:{LEI}"
    assert book.equivalents(firm, NOW) == {
        "lei": LEI,
        "SG": "201900000R",
        "MY": "201901000005",
    }
    assert book.equivalents(uscc(901), NOW) == {}
    book.close()


def test_a_new_version_replaces_the_entries_and_a_withdrawal_takes_them(desk):
    book = IdentifierBook(desk.world.state.connect())
    desk.enact(identifiers(same(uscc(900), LEI)))
    second = identifiers(same(uscc(901), "", "TH:0105561000001"), version=2)
    desk.enact(second)
    assert book.resolve(f"lei:{LEI}", NOW) == f"lei:{LEI}"
    assert book.resolve("reg:TH:0105561000001", NOW) == uscc(901)
    desk.withdraw(second)
    assert book.resolve("reg:TH:0105561000001", NOW) == "TH:0105561000001"
    book.close()


def test_an_identifier_names_one_enterprise_over_all_registers(desk):
    desk.enact(identifiers(same(uscc(900), LEI)))
    with pytest.raises(ConflictError):
        desk.enact(identifiers(same(uscc(901), LEI), register_id="OTHER"))
    assert len(desk.world.run(lambda tx: register.every(tx, Register.IDENTIFIERS))) == 1
    desk.enact(identifiers(same(uscc(900), LEI), register_id="OTHER"))


@pytest.mark.parametrize(
    "entries",
    [
        (same(uscc(900)),),
        (same(uscc(900), LEI), same(uscc(901), LEI)),
        (same(uscc(900), LEI), same(uscc(900), "", "TH:1234567")),
    ],
)
def test_registers_of_identifiers_say_something_and_nothing_twice(desk, entries):
    with pytest.raises(BadDocumentError):
        desk.enact(identifiers(*entries))


def test_identifiers_do_not_stand_in_the_log(desk):
    desk.enact(identifiers(same(uscc(900), LEI)))
    logged = json.dumps(desk.world.entries())
    assert uscc(900) not in logged
    assert LEI not in logged
