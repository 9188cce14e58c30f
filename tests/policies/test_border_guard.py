"""That most requests skip the rules of the border changes no decision: asked, they say nothing."""

import http.client
import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.decision.bundle import load
from gateway.decision.input import at_time, build_input, canonical
from tests.policies import generated
from tests.policies.engines import LAW, opa_server
from tests.policies.golden_cases import cases


@pytest.fixture(scope="module")
def package():
    """A function that gives all that the package of the border says of some facts."""
    with opa_server(load().archive) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))

        def ask(facts):
            document = at_time(canonical(build_input(facts, LAW.limits)), facts.now)
            connection.request("POST", "/v1/data/xinguan/border", b'{"input":' + document + b"}")
            return json.loads(connection.getresponse().read())["result"]

        yield ask
        connection.close()


def skips_nothing(said):
    kept = {name: said[name] for name in said["said"]}
    assert said["said"] == kept
    return bool(said.get("concerned"))


@pytest.mark.opa
@pytest.mark.timeout(600)
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
@given(batch=st.lists(generated.facts(), min_size=40, max_size=40))
def test_rules_that_are_not_asked_would_say_nothing(package, batch):
    for facts in batch:
        skips_nothing(package(facts))


@pytest.mark.opa
def test_golden_requests_are_of_both_kinds_and_lose_nothing(package):
    asked = [skips_nothing(package(side)) for c in cases() for side in (c.effect, c.absence)]
    assert set(asked) == {True, False}
