"""The whole check: who may state what about whom, by which table, and with which status."""

import dataclasses
import time

import pytest

from gateway.credential.key_binding import Binding
from gateway.domain.errors import InvalidRequestError
from gateway.domain.identifiers import MalformedIdentifierError
from gateway.inbound.checking import Checker, check_valid, without_binding
from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.identifiers import canonical_identifier, identifier_kinds, parse_foreign_id
from gateway.inbound.mapping import check_registration
from gateway.inbound.status import Standing
from gateway.registry.documents import BadDocumentError
from gateway.registry.issuers import Registration
from tests.gateway.inbound.abroad import (
    BUREAU,
    DAY,
    FIELDS,
    IDENTIFIERS,
    LEI,
    NOW,
    OTHER_LEI,
    REPORT,
    STATUS_URI,
    UEN,
    VCT,
    Issuer,
    Lists,
    new_key,
)

SG = Issuer()


def approved(claims, **changes):
    found = Registration(claims, "console", approved_index=50, index=49)
    return dataclasses.replace(found, **changes)


def checker(*tokens, registration=None, **changes):
    found = registration or approved(SG.registration(**changes))
    tokens = tokens or (SG.status_list(),)
    known = {found.content.issuer: found}
    return Checker(known.get, Lists(*tokens))


def refused(document, check=None, now=NOW, **words):
    check = check or checker()
    with pytest.raises(ForeignDocumentError) as caught:
        check_valid(check.status(check.document(document, now, **words), now).standing)
    return caught.value.code


def test_a_document_is_read_into_our_words():
    found = checker().document(SG.credential(), NOW)
    assert found.mapped.subject == f"lei:{LEI}"
    assert found.mapped.table == "SG-HN/3"
    assert found.mapped.row == {
        "jurisdiction": "SG",
        "name": "Example Shipping Pte Ltd (synthetic)",
        "registered_on": "2019-03-04",
        "reg_status": "Live",
        "grade_original": "B1",
        "grade_scale": "SGB-2026",
        "grade": "B",
        "grade_mapping_id": "SG-HN",
        "grade_mapping_version": 3,
        "payment_performance": "prompt",
        "lei": LEI,
        "local_id_kind": "SG:UEN",
        "local_id": UEN,
    }
    assert checker().status(found, NOW).standing is Standing.VALID


def test_a_report_is_read_alike():
    assert checker().document(SG.report(), NOW).mapped.subject == f"lei:{LEI}"


def test_a_firm_without_an_lei_is_known_by_its_local_number():
    found = checker().document(SG.credential(SG.claims(lei=None)), NOW)
    assert found.mapped.subject == f"reg:SG:{UEN}"
    assert found.mapped.row["lei"] is None


def test_an_unknown_issuer_is_refused():
    other = Issuer(issuer="https://other.example.sg")
    assert refused(other.credential()) == "FOREIGN_ISSUER"
    assert refused(SG.credential(SG.claims(iss=None))) == "FOREIGN_ISSUER"
    assert refused(SG.credential(SG.claims(iss=7))) == "FOREIGN_ISSUER"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"withdrawn_at": NOW}, "FOREIGN_ISSUER"),
        ({"withdrawn_at": NOW + 1}, ""),
        ({"approved_index": None}, "FOREIGN_ISSUER"),
    ],
)
def test_an_issuer_has_to_be_in_force(changes, code):
    check = checker(registration=approved(SG.registration(), **changes))
    if code:
        assert refused(SG.credential(), check) == code
    else:
        assert check.document(SG.credential(), NOW)


def test_an_agreement_has_to_be_in_term():
    agreement = SG.description()["agreement"]
    over = checker(agreement=agreement | {"not_after": NOW})
    assert refused(SG.credential(), over) == "FOREIGN_ISSUER"
    before = checker(agreement=agreement | {"not_before": NOW - 300})
    assert refused(SG.credential(), before) == "FOREIGN_TIME"  # issued before it began


def test_an_issuer_states_only_what_it_may():
    assert refused(SG.credential(SG.claims(vct="https://other/vct"))) == "FOREIGN_STATEMENT"
    assert refused(SG.report(SG.claims(vct=VCT))) == "FOREIGN_STATEMENT"  # in the other form
    assert refused(SG.credential(SG.claims(vct=REPORT))) == "FOREIGN_STATEMENT"
    assert refused(SG.credential(SG.claims(owner="a person"))) == "FOREIGN_STATEMENT"
    assert refused(SG.credential(SG.claims(legal_name=None))) == "FOREIGN_STATEMENT"


def test_what_is_agreed_and_not_read_is_left_out():
    statements = SG.description()["statements"]
    statements[0] = statements[0] | {"unread": ["branch"]}
    document = SG.credential(SG.claims(branch={"city": "x", "desks": [1, 2]}))
    found = checker(statements=statements).document(document, NOW)
    assert found.mapped == checker().document(SG.credential(), NOW).mapped
    assert refused(document) == "FOREIGN_STATEMENT"
    both = SG.description()["statements"][0] | {"unread": ["legal_name"]}
    with pytest.raises(BadDocumentError):
        SG.registration(statements=[both])


def test_the_wrong_issuer_for_a_jurisdiction_is_refused():
    assert refused(SG.credential(SG.claims(country="TH"))) == "FOREIGN_JURISDICTION"
    assert refused(SG.credential(SG.claims(country="CN"))) == "FOREIGN_JURISDICTION"
    assert refused(SG.credential(SG.claims(country=None))) == "FOREIGN_JURISDICTION"
    # A number of Singapore's register can't be of a firm of Malaysia.
    assert refused(SG.credential(SG.claims(country="MY"))) == "FOREIGN_JURISDICTION"
    by_lei = SG.claims(country="MY", uen=None)
    assert checker().document(SG.credential(by_lei), NOW).mapped.row["jurisdiction"] == "MY"


@pytest.mark.parametrize(
    "changes",
    [
        {"rating": "Z9"},
        {"rating_scale": "SGB-2025"},
        {"rating_scale": None},
        {"rating": None},
    ],
)
def test_an_unknown_mapping_is_refused(changes):
    assert refused(SG.credential(SG.claims(**changes))) == "FOREIGN_MAPPING"


def test_no_grade_needs_no_table():
    found = checker().document(SG.credential(SG.claims(rating=None, rating_scale=None)), NOW)
    assert found.mapped.table == ""
    assert "grade" not in found.mapped.row


@pytest.mark.parametrize(
    "changes",
    [
        {"lei": LEI[:-1] + "4"},
        {"lei": LEI[:-1]},
        {"uen": UEN[:-1] + "A"},
        {"uen": "12"},
        {"lei": None, "uen": None},
    ],
)
def test_malformed_identifiers_are_refused(changes):
    assert refused(SG.credential(SG.claims(**changes))) == "FOREIGN_IDENTIFIER"


@pytest.mark.parametrize(
    "changes",
    [
        {"legal_name": ""},
        {"legal_name": "x" * 513},
        {"legal_name": "a\x1fb"},
        {"legal_name": "a\nb"},
        {"legal_name": 7},
        {"legal_name": ["a"]},
        {"incorporated": "04/03/2019"},
        {"incorporated": 20190304},
    ],
)
def test_claims_are_lines_of_text(changes):
    assert refused(SG.credential(SG.claims(**changes))) == "FOREIGN_MALFORMED"


@pytest.mark.parametrize("value", [1, 2, 3])
def test_a_document_that_holds_no_more_is_refused(value):
    issuer = Issuer()
    issuer.set(7, value)
    check = checker(issuer.status_list(), registration=approved(issuer.registration()))
    assert refused(issuer.credential(), check) == "FOREIGN_STATUS_ENDED"
    issuer.set(7, 0)
    assert check_valid(Standing.VALID) is None


def test_a_missing_or_stale_list_is_refused():
    assert (
        refused(SG.credential(), Checker(checker().register, Lists())) == "FOREIGN_STATUS_MISSING"
    )
    stale = SG.status_list(issued=NOW - DAY)
    assert refused(SG.credential(), checker(stale)) == "FOREIGN_STATUS_STALE"
    assert refused(SG.credential(SG.claims(status=None))) == "FOREIGN_STATUS_MISSING"
    assert refused(SG.credential(SG.claims(index=10**6))) == "FOREIGN_STATUS_MISSING"
    forged = SG.status_list(key=Issuer().key)
    assert refused(SG.credential(), checker(forged)) == "FOREIGN_SIGNATURE"


def test_a_list_is_only_where_the_issuers_lists_are():
    elsewhere = "https://evil.example/status/1"
    claims = SG.claims(status={"status_list": {"idx": 7, "uri": elsewhere}})
    asked = []
    lists = Lists(SG.status_list(uri=elsewhere), fetch=lambda uri: asked.append(uri) or None)
    check = Checker(checker().register, lists)
    assert refused(SG.credential(claims), check) == "FOREIGN_STATEMENT"
    assert asked == []


def test_a_list_that_answers_for_another_address_is_refused():
    other = SG.status_list(uri=f"{BUREAU}/status/2")
    check = Checker(checker().register, Lists(fetch=lambda _: other))
    assert refused(SG.credential(), check) == "FOREIGN_STATUS_MISSING"


def test_a_holder_has_to_bind_where_the_registration_says_so():
    statements = SG.description()["statements"]
    statements[0] = statements[0] | {"holder_binding": True}
    check = checker(statements=statements)
    wanted = Binding("https://gateway.example.cn", "nonce-1")
    assert refused(SG.credential(), check) == "FOREIGN_HOLDER"
    assert refused(SG.credential(), check, binding=wanted) == "FOREIGN_HOLDER"
    holder = new_key("h")
    now = int(time.time())
    changed = SG.description()["agreement"] | {"not_after": now + DAY}
    check = checker(SG.status_list(issued=now - 5), statements=statements, agreement=changed)
    bound = SG.credential(
        SG.claims(issued=now - 60), holder=holder, binding=(wanted.audience, wanted.nonce)
    )
    assert check.document(bound, now, binding=wanted).presented.bound
    # What is kept is the document; its holder proved itself when it was handed in.
    assert check.document(without_binding(bound), now + 9_000, kept=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"jurisdiction": "CN"},
        {"subjects_of": ["SG", "CN"]},
        {"issuer": "http://bureau.example.sg"},
        {"status_prefixes": ["https://bureau.example.sg"]},  # would match .sg.evil.example
        {"status_prefixes": []},
        {"version": 0},
        {"unknown": 1},
        {"keys": []},
        {"party": "nobody"},
    ],
)
def test_malformed_registrations_are_refused(changes):
    with pytest.raises(InvalidRequestError):
        SG.registration(**changes)


def test_a_registration_says_each_thing_once():
    statements = SG.description()["statements"]
    with pytest.raises(BadDocumentError):
        SG.registration(statements=[statements[0], statements[0]])
    tables = SG.description()["grade_tables"]
    with pytest.raises(BadDocumentError):
        SG.registration(grade_tables=[tables[0], tables[0]])
    twice = statements[0] | {"fields": FIELDS | {"name_en": "legal_name"}}
    with pytest.raises(BadDocumentError):
        SG.registration(statements=[twice])


@pytest.mark.parametrize(
    "statement",
    [
        {"fields": FIELDS | {"issuer": "who"}},
        {"fields": FIELDS | {"share_state": "state"}},
        {"fields": {"name": "legal_name"}},
        {"fields": {k: v for k, v in FIELDS.items() if k != "grade_scale"}},
        {"identifiers": IDENTIFIERS | {"XX:ABC": "abc"}},
    ],
)
def test_no_issuer_fills_what_is_not_its_to_fill(statement):
    statements = [SG.description()["statements"][0] | statement]
    with pytest.raises(ForeignDocumentError):
        check_registration(SG.registration(statements=statements))
    assert check_registration(SG.registration()) is None


def test_private_keys_are_refused():
    private = {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AA", "d": "AA"}
    with pytest.raises(ForeignDocumentError):
        check_registration(SG.registration(keys=[private]))


def test_requests_name_firms_as_records_do():
    assert parse_foreign_id(f" LEI:{LEI.lower()} ") == f"lei:{LEI}"
    assert parse_foreign_id(f"reg:sg:{UEN}") == f"reg:SG:{UEN}"
    for bad in (LEI, f"lei:{LEI[:-1]}9", "reg:SG:1", "reg:XX:12345678", "uscc:91460099MA1KB25D0C"):
        with pytest.raises(MalformedIdentifierError):
            parse_foreign_id(bad)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("LEI", OTHER_LEI, OTHER_LEI[:-1] + "1"),
        ("SG:UEN", UEN, UEN[:-1] + "B"),
        ("MY:SSM", "202600000001", "20260000000"),
        ("TH:DBD", "0994000617721", "0994000617722"),
        ("VN:MST", "0100233488", "0100233480"),
        ("ID:NIB", "0000000000001", "000000000001"),
        ("HK:BRN", "00000001", "0000001"),
    ],
)
def test_identifiers_by_their_registers_rules(kind, good, bad):
    assert canonical_identifier(kind, f" {good} ") == good
    with pytest.raises(ForeignDocumentError):
        canonical_identifier(kind, bad)
    assert kind in identifier_kinds()


def test_status_uri_is_of_the_registered_prefix():
    assert STATUS_URI.startswith(SG.description()["status_prefixes"][0])
