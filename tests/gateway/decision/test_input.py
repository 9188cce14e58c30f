import json
from dataclasses import replace

import pytest

from gateway.decision.input import (
    at_time,
    build_input,
    canonical,
    digest_of,
)
from gateway.decision.spelling import groups_of, names_of
from gateway.domain.errors import InvalidRequestError
from gateway.domain.licence import Grant
from tests.policies import facts_world as w
from tests.policies.engines import LAW
from tests.policies.facts_world import vary


def built(facts):
    return canonical(build_input(facts, LAW.limits))


SECRETS = ("91460099MA9999999X", "operator-zhang", "case-77", "key-12345", "JWS..signature")


def test_it_holds_no_subject_operator_or_case():
    facts = vary(
        w.facts(consent=w.consent(subjects=frozenset({SECRETS[0]}))),
        request__subjects=(SECRETS[0],),
        request__operator=SECRETS[1],
        request__case_reference=SECRETS[2],
        request__idempotency_key=SECRETS[3],
        request__signature=SECRETS[4],
    )
    text = built(facts).decode()
    assert [secret for secret in SECRETS if secret in text] == []
    assert facts.caller.certificate.fingerprint not in text


def test_it_holds_no_time_of_its_own():
    first = w.facts()
    assert built(first) == built(replace(first, now=first.now + 60))
    assert built(first) != built(replace(first, now=first.now + 86_400))
    assert b'"now"' not in built(first)
    assert at_time(built(first), 7).startswith(b'{"now":7,"border"')


def test_what_a_request_does_not_touch_costs_nothing():
    facts = w.facts()
    licence = facts.licence
    grown = replace(
        licence,
        grants={**licence.grants, **{f"product_{n}": Grant(frozenset()) for n in range(1000)}},
        purposes=licence.purposes | {f"PURPOSE_{n}" for n in range(1000)},
        destinations=licence.destinations | {"SG"},
    )
    assert built(facts) == built(replace(facts, licence=grown))
    wide = replace(licence, grants={"company": Grant(frozenset(w.NAMES) | {"other"})})
    assert built(facts) == built(replace(facts, licence=wide))


def test_large_batches_share_an_input():
    def asked(count):
        return built(vary(w.facts(), request__subjects=tuple(map(str, range(count)))))

    assert asked(5000) == asked(10_000)
    assert len({asked(n) for n in (0, 1, 2, 19, 20, 21)}) == 6


def test_a_grants_minimum_is_counted_exactly():
    grant = Grant(frozenset(w.NAMES), minimum_subjects=500)

    def asked(count):
        facts = vary(w.facts(), licence__grants__company=grant)
        return built(vary(facts, request__subjects=tuple(map(str, range(count)))))

    assert asked(499) != asked(500) == asked(501)


def test_fields_with_the_same_facts_stand_in_one_group():
    document = build_input(w.facts(request=w.request("name", "uscc", "list_type")), LAW.limits)
    groups = [group["names"] for group in document["fields"]]
    assert sorted(groups) == [["list_type"], ["name"], ["uscc"]]
    assert names_of(groups_of(document)) == ("list_type", "name", "uscc")


def test_a_field_asked_for_twice_stands_once():
    facts = w.facts(request=w.request("uscc", "uscc"))
    assert names_of(groups_of(json.loads(built(facts)))) == ("uscc",)


def test_an_unknown_field_is_refused():
    with pytest.raises(InvalidRequestError) as caught:
        built(w.facts(request=w.request("uscc", "no_such_field")))
    assert caught.value.code == "UNKNOWN_FIELD"
    assert "no_such_field" not in caught.value.message


def test_the_digest_is_of_the_canonical_form():
    assert len(digest_of(built(w.facts()))) == 64
    assert digest_of(built(w.facts())) == digest_of(built(w.facts()))
