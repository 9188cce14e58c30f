import json

import pytest

from gateway.decision.bundle import DEFAULT_POLICIES, load
from gateway.decision.explain import as_document, as_text, explain, read_request
from gateway.decision.input import build_input
from gateway.decision.wasm import WasmEngine
from gateway.domain.errors import InvalidRequestError
from tests.policies import facts_world as w
from tests.policies.engines import LAW, decider_of


@pytest.fixture(scope="module")
def decider():
    bundle = load()
    return decider_of(WasmEngine(bundle, deadline_ms=60_000), bundle)


def request_text(facts):
    return json.dumps({"now": facts.now, **build_input(facts, LAW.limits)})


async def explained(decider, facts):
    document, now = read_request(request_text(facts))
    return await explain(document, now, decider, DEFAULT_POLICIES)


async def test_each_reason_has_its_clause_and_remedy_in_both_languages(decider):
    explanation = await explained(decider, w.banking("uscc", "turnover", "blood_type"))
    zh, en = as_text(explanation, "zh"), as_text(explanation, "en")
    assert "征信业管理条例" in zh
    assert "Regulation on Credit Reporting" in en
    for text in (zh, en):
        assert "R41 NO_ENTERPRISE_AUTH [turnover]" in text
        assert "R04 PROHIBITED_FIELD [blood_type]" in text
        assert "uscc: allow" in text
    assert zh.startswith("允许")
    assert en.startswith("allow")


async def test_an_unconfirmed_clause_says_so(decider):
    facts = w.put(w.banking("uscc"), "request.purpose", "SUPPLIER_VETTING")
    explanation = await explained(decider, facts)
    assert "依据待核实" in as_text(explanation, "zh")
    assert "unconfirmed" in as_text(explanation, "en")
    document = as_document(explanation)
    assert {r["code"]: r["unconfirmed"] for r in document["reasons"]}["PURPOSE"] is True


async def test_the_document_is_json_and_complete(decider):
    document = as_document(await explained(decider, w.facts(licence=None)))
    assert json.loads(json.dumps(document)) == document
    assert document["allow"] is False
    assert document["reasons"][0]["clause"].keys() == {"zh", "en"}
    assert document["rules"]["R30"]["zh"]
    assert document["fields"] == {"name": "drop", "reg_status": "drop", "uscc": "drop"}


async def test_it_is_the_decision_of_the_request_itself(decider):
    facts = w.crossing("uscc", "capital", "turnover")
    decision = await decider.decide(facts)
    explanation = await explained(decider, facts)
    assert dict(explanation.decision.actions) == dict(decision.actions)
    assert explanation.decision.reasons == decision.reasons
    assert explanation.decision.input_digest == decision.input_digest


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "7", '{"now": 1}', '{"now": "1", "fields": []}',
     '{"now": true, "fields": []}', '{"now": 1, "fields": [{}]}',
     '{"now": 1, "fields": [{"names": [7]}]}'],
)  # fmt: skip
def test_something_else_is_refused(text):
    with pytest.raises(InvalidRequestError) as caught:
        read_request(text)
    assert caught.value.code == "BAD_REQUEST"


async def test_an_unknown_language_is_refused(decider):
    with pytest.raises(InvalidRequestError):
        as_text(await explained(decider, w.facts()), "fr")
