"""How vectors of domain-rules 5.3 are asked over mutual TLS, and what an answer must be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import grpc
import pytest

from gateway.domain.vocabulary import BorderDefault
from tests.gateway.e2e.border_vectors import (
    DEBT,
    PERSON,
    PHONE,
    Vector,
    a_debtor,
)
from tests.gateway.e2e.bureau import (
    COMPANY_PRODUCT,
    PERSON_PRODUCT,
    Bureau,
)
from tests.gateway.e2e.wire import check_denial, check_refusal, read_details
from xinguan.client import Answer

NUMBER = ("uscc", "contact_phone")
OWN: Final[dict[str, str]] = {}  # vectors that are tests of their own, to the rule they show


def shows(rule: str, *names: str) -> Callable[[Any], Any]:
    """Name the vectors that a test is."""

    def keep(test: Any) -> Any:
        OWN.update(dict.fromkeys(names, rule))
        return test

    return keep


def personal_fields_cross(world: Any) -> None:
    """Let contracts allow ordinary personal information behind a company, which ours never do."""
    changed = {}
    for name, fields in (
        (COMPANY_PRODUCT, ("contact_phone",)),
        (PERSON_PRODUCT, ("legal_rep_name", "org_code_or_id")),
    ):
        product = world.products[name]
        allowed = {
            field: replace(product.fields[field], border=BorderDefault.ALLOW) for field in fields
        }
        changed[name] = replace(product, fields={**product.fields, **allowed})
    world.products = {**world.products, **changed}


def given_of(vector: Vector, now: int) -> dict[str, Any]:
    """Return what the table gives, with times that count from now."""
    given = {}
    for name, words in vector.given.items():
        given[name] = words
        if isinstance(words, dict) and "begins_in" in words:
            rest = {key: value for key, value in words.items() if key != "begins_in"}
            given[name] = {"not_before": now + words["begins_in"], **rest}
    return given


async def ask(bureau: Bureau, what: str, **words: Any) -> Any:
    """Ask for one of the four things that the table asks for."""
    site = bureau.site
    if isinstance(words.get("subjects"), int):
        words["subjects"] = site.population.sample[: words["subjects"]]
    if what == PERSON:
        return await bureau.about_a_person(**words)
    if what == PHONE:
        return await bureau.about_a_company(NUMBER, consent_id=bureau.consent_id, **words)
    if what == DEBT:
        fields = words.pop("fields")
        stated = {"subjects": [a_debtor(site)], "consent_id": bureau.consent_id}
        return await bureau.ask(PERSON_PRODUCT, fields, **(stated | words))
    return await bureau.about_a_company(words.pop("fields", ("uscc", "name")), **words)


async def refused_with(bureau: Bureau, call: Any, codes: tuple[str, ...]) -> None:
    """Await a call that must be refused for exactly these reasons, all of them in the log."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    _, refusal = read_details(caught.value)
    first = refusal.reasons[0]
    check_refusal(bureau.site, caught.value, first.code, "PERMISSION_DENIED", rule=first.rule)
    entry = check_denial(bureau.site, refusal)
    assert {code for _, code in entry["reasons"]} == set(codes)


def crossed(messages: Any) -> Answer:
    """Return an answer that left: something in the clear, an export in the log."""
    answer = Answer(messages)
    assert "allow" in {told.action for told in answer.decision.fields}
    assert "border_record" in answer.decision.obligations
    assert answer.decision.intent.index >= 0
    return answer
