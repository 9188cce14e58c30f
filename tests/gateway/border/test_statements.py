"""Acts on the registers, on SQLite and PostgreSQL: who may state what, and what then stands."""

from dataclasses import replace

import pytest

from gateway.border import kept, statements
from gateway.border.claims import content, document_type
from gateway.domain.border import Register
from gateway.domain.errors import (
    ConflictError,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
)
from gateway.domain.vocabulary import Status
from gateway.identity.keyfiles import new_document_key
from gateway.registry.act import Act
from gateway.registry.documents import BadDocumentError, BadSignatureError, sign
from gateway.registry.registry import Registry
from tests.gateway.border.conftest import DAY_S, PARTNER
from tests.simulator import NOW

MECHANISM, ASSESSMENT = Register.MECHANISM, Register.ASSESSMENT
LATER = Act(NOW + 100, "node-1")


def entries(border, kind):
    return [entry for entry in border.world.entries() if entry["kind"] == kind]


@pytest.mark.parametrize(
    "register", [r for r in Register if r is not Register.EXEMPTION], ids=lambda r: r.value
)
def test_the_authority_s_signature_puts_a_statement_in_effect(border, register) -> None:
    before = border.world.registry.view()
    done = border.signed(register)
    (entry,) = entries(border, "border_registered")
    assert (entry["register"], entry["name"]) == (register.value, done.claims.name)
    assert entry["signer"]
    view = border.world.registry.view()
    assert view.version > before.version
    (statement,) = view.border.versions[register, done.claims.name]
    assert statement.index == done.registered
    assert border.world.entries()[statement.index] == entry
    assert border.standing(register, statement.about) == [statement.content]
    assert border.world.run(lambda tx: kept.every(tx, register)) == [done]


def test_what_the_view_reads_is_what_was_stated(border) -> None:
    border.signed(MECHANISM, scale_cap=7)
    (mechanism,) = border.standing(MECHANISM, PARTNER)
    assert (mechanism.kind, mechanism.exporter) == ("SCC", border.exporter.party_id)
    assert (mechanism.fields, mechanism.scale_cap) == (frozenset({"name", "uscc"}), 7)
    fresh = Registry(border.world.state)
    assert fresh.view().border == border.world.registry.view().border
    fresh.close()


def test_two_approvals_of_different_roles_put_a_proposal_in_effect(border) -> None:
    security, data = (
        border.world.party(2, "SECURITY_ADMIN"),
        border.world.party(3, "REGULATOR_DATA"),
    )
    proposal = border.proposed(MECHANISM)
    assert proposal.registered is None
    assert border.approved(MECHANISM, security).registered is None
    assert border.standing(MECHANISM, PARTNER) == []
    done = border.approved_with(MECHANISM, border.world.document_key(data))
    assert len(border.standing(MECHANISM, PARTNER)) == 1
    (entry,) = entries(border, "border_registered")
    assert entry["proposal"] == proposal.index
    kinds = [border.world.entries()[index]["kind"] for index in entry["approvals"]]
    assert kinds == ["border_approved"] * 2
    assert set(done.approvals) == {"SECURITY_ADMIN", "REGULATOR_DATA"}
    with pytest.raises(ConflictError):  # it is in effect already
        border.approved(MECHANISM, border.world.party(4, "AUTHORITY"))


def test_one_role_one_person_or_another_role_is_never_enough(border) -> None:
    world = border.world
    first, second = world.party(2, "SECURITY_ADMIN"), world.party(3, "SECURITY_ADMIN")
    border.proposed(MECHANISM, Act(NOW, "node-1", first.party_id))
    for approver in (first, world.party(4, "SYSTEM_ADMIN"), border.exporter):
        with pytest.raises(DeniedError):
            border.approved(MECHANISM, approver)
    with pytest.raises(DeniedError):
        border.approved(MECHANISM, replace(second, status=Status.SUSPENDED))
    border.approved(MECHANISM, second)
    with pytest.raises(ConflictError):
        border.approved(MECHANISM, world.party(5, "SECURITY_ADMIN"))
    with pytest.raises(ConflictError):  # not what was proposed
        border.approved(MECHANISM, world.party(6, "AUTHORITY"), scale_cap=9)
    assert border.standing(MECHANISM, PARTNER) == []


def test_who_may_sign_what(border) -> None:
    world = border.world
    regulator = world.document_key(world.party(2, "REGULATOR_PBOC"))
    bank = world.document_key(world.party(3, "BANK"))
    partner = world.document_key(border.partner)
    for register in Register:
        for key in (bank, partner):
            with pytest.raises(DeniedError):
                border.signed(register, key)
    border.signed(MECHANISM, regulator)
    border.signed(Register.RESTRICTED, regulator)
    with pytest.raises(DeniedError):  # only the exporter itself states a basis of exemption
        border.signed(Register.EXEMPTION)
    border.signed(Register.EXEMPTION, border.exporter_key)
    border.signed(ASSESSMENT, border.exporter_key)  # its own duty (PIPL 55)
    for register in (Register.EXPORTER, Register.PARTNER, Register.RESTRICTED, MECHANISM):
        with pytest.raises(DeniedError):
            border.signed(register, border.exporter_key, version=2)
    other = world.document_key(world.party(5))
    with pytest.raises(DeniedError):
        border.signed(ASSESSMENT, other, assessment_id="PIA-2")


@pytest.mark.parametrize("register", [Register.RESTRICTED, Register.EXEMPTION])
def test_approvals_do_not_stand_for_a_signature(border, register) -> None:
    with pytest.raises(DeniedError):
        border.proposed(register)


def test_forged_and_foreign_documents_are_refused(border) -> None:
    claims = border.claims(MECHANISM)
    for document, error in (
        (sign(claims, new_document_key(), document_type(MECHANISM)), BadSignatureError),
        (sign(claims, border.world.authority, document_type(ASSESSMENT)), BadDocumentError),
        ("not.a.document", BadDocumentError),
    ):
        with pytest.raises(error):
            border.hand_in(MECHANISM, document)
    head, body, signature = sign(claims, border.world.authority, document_type(MECHANISM)).split(
        "."
    )
    with pytest.raises(BadSignatureError):
        border.hand_in(MECHANISM, ".".join((head, body[:-4] + "AAAA", signature)))
    assert border.world.run(lambda tx: kept.every(tx, MECHANISM)) == []


@pytest.mark.parametrize(
    "words",
    [
        {"not_before": NOW + 10, "not_after": NOW + 10},
        {"not_before": NOW - 20, "not_after": NOW},
        {"kind": "ASSESSMENT", "not_after": NOW + 1200 * DAY_S},
        {"kind": "CERT", "not_after": NOW + 1200 * DAY_S},
    ],
)
def test_a_term_that_is_empty_over_or_longer_than_the_law_allows(border, words) -> None:
    with pytest.raises(BadDocumentError):
        border.signed(MECHANISM, **words)
    with pytest.raises(BadDocumentError):
        border.proposed(MECHANISM, **words)


def test_a_standard_contract_may_run_longer_and_an_exemption_not(border) -> None:
    border.signed(MECHANISM, not_after=NOW + 1200 * DAY_S)
    with pytest.raises(BadDocumentError):
        border.signed(Register.EXEMPTION, border.exporter_key, not_after=NOW + 400 * DAY_S)


def test_parties_have_to_be_registered_and_the_recipient_abroad(border) -> None:
    with pytest.raises(NotFoundError):
        border.signed(MECHANISM, recipient="reg:SG:UNKNOWN1")
    inside = border.world.party(7, "REGIONAL_PARTNER")
    with pytest.raises(InvalidRequestError):
        border.signed(MECHANISM, recipient=inside.party_id)
    border.signed(Register.RESTRICTED, party="reg:US:NOBODY")  # listed without being registered


@pytest.mark.parametrize(
    ("register", "words"),
    [
        (MECHANISM, {"kind": "CONTRACT"}),
        (MECHANISM, {"fields": []}),
        (MECHANISM, {"surprise": 1}),
        (Register.EXEMPTION, {"basis": "ART6"}),
        (Register.PARTNER, {"country": "Singapore"}),
        (Register.IMPORTANT, {"basis": "names 91460099MA0000001X"}),
    ],
)
def test_malformed_statements_are_refused(border, register, words) -> None:
    with pytest.raises(InvalidRequestError):
        border.claims(register, **words)


def test_versions_follow_each_other_and_keep_whom_they_are_about(border) -> None:
    border.signed(MECHANISM)
    with pytest.raises(ConflictError):
        border.signed(MECHANISM)
    with pytest.raises(ConflictError):
        border.signed(MECHANISM, version=3)
    other = border.world.party(8)
    for changed in ({"exporter": other.party_id}, {"kind": "CERT"}):
        with pytest.raises(ConflictError):
            border.signed(MECHANISM, version=2, **changed)
    border.proposed(MECHANISM, version=2)
    with pytest.raises(ConflictError):  # the second awaits its approvals
        border.signed(MECHANISM, version=3)


def test_a_renewal_takes_over_when_its_term_begins(border) -> None:
    border.signed(MECHANISM, scale_cap=1)
    border.signed(MECHANISM, version=2, scale_cap=2, not_before=NOW + 50)
    registers = border.world.registry.view().border
    caps = {
        at: [s.content.scale_cap for s in registers.standing(MECHANISM, PARTNER, at).statements]
        for at in (NOW, NOW + 49, NOW + 50)
    }
    assert caps == {NOW: [1], NOW + 49: [1], NOW + 50: [2]}
    assert registers.standing(MECHANISM, PARTNER, NOW).turns == (NOW + 50,)
    assert registers.standing(MECHANISM, PARTNER, NOW + 50).turns == ()


def test_a_suspension_stops_what_speaks_and_what_will(border) -> None:
    border.signed(MECHANISM)
    border.signed(MECHANISM, version=2, not_before=NOW + 50)
    border.change(statements.suspend, MECHANISM, "SCC-1")
    assert border.standing(MECHANISM, PARTNER) == []
    assert border.standing(MECHANISM, PARTNER, NOW + 50) == []
    with pytest.raises(ConflictError):
        border.change(statements.suspend, MECHANISM, "SCC-1")
    border.change(statements.resume, MECHANISM, "SCC-1")
    assert len(border.standing(MECHANISM, PARTNER)) == 1
    statuses = [entry["status"] for entry in entries(border, "border_status")]
    assert statuses == ["SUSPENDED"] * 2 + ["ACTIVE"] * 2


def test_a_withdrawal_is_final_and_takes_proposals_with_it(border) -> None:
    border.signed(MECHANISM)
    border.proposed(MECHANISM, version=2)
    border.change(statements.withdraw, MECHANISM, "SCC-1", LATER)
    assert border.standing(MECHANISM, PARTNER, NOW + 100) == []
    with pytest.raises(ConflictError):
        border.change(statements.withdraw, MECHANISM, "SCC-1")
    with pytest.raises(ConflictError):
        border.change(statements.resume, MECHANISM, "SCC-1")
    with pytest.raises(ConflictError):
        border.approved(MECHANISM, border.world.party(2, "AUTHORITY"), version=2)
    with pytest.raises(ConflictError):  # a new mechanism has a new number
        border.signed(MECHANISM, version=3)
    assert len(border.world.run(lambda tx: kept.every(tx, MECHANISM))) == 2  # never deleted
    with pytest.raises(NotFoundError):
        border.change(statements.withdraw, MECHANISM, "SCC-2")


def test_an_older_version_never_comes_back(border) -> None:
    border.signed(ASSESSMENT)
    border.signed(ASSESSMENT, version=2)
    border.change(statements.withdraw, ASSESSMENT, "PIA-1")
    assert border.standing(ASSESSMENT, PARTNER) == []


@pytest.mark.parametrize(
    ("register", "off"),
    [
        (Register.RESTRICTED, {"listed": False}),
        (Register.PARTNER, {"judicial": False}),
        (Register.IMPORTANT, {"notified": False}),
    ],
)
def test_what_forbids_is_ended_by_a_newer_statement_only(border, register, off) -> None:
    done = border.signed(register)
    for change in (statements.suspend, statements.withdraw):
        with pytest.raises(DeniedError):
            border.change(change, register, done.claims.name)
    border.signed(register, version=2, **off)
    assert len(border.world.registry.view().border.versions[register, done.claims.name]) == 2


def test_another_process_sees_the_change_at_once(border) -> None:
    other = Registry(border.world.state)
    assert other.view().border.versions == {}
    border.signed(MECHANISM)
    assert len(other.view().border.versions) == 1
    border.change(statements.suspend, MECHANISM, "SCC-1")
    assert other.view().border.mechanism("SCC-1", NOW) is None
    other.close()


def test_no_subject_stands_in_a_register(border) -> None:
    with pytest.raises(InvalidRequestError):
        content(
            Register.EXEMPTION,
            **border.claims(Register.EXEMPTION).model_dump(mode="json")
            | {"grounds": "for 460099199001011234"},
        )
