"""One policy, two engines: the same facts give the same decision in both."""

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.decision.bundle import Bundle, load
from gateway.decision.opa import OpaServerEngine
from gateway.decision.wasm import WasmEngine
from tests.policies import generated
from tests.policies.engines import decider_of, opa_server
from tests.policies.golden_cases import cases

EXAMPLES, BATCH = 250, 40  # 10,000 in all


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load()


@pytest.fixture(scope="module")
def both(bundle):
    """A function that decides a batch of facts in both engines."""
    with opa_server(bundle.archive) as url, asyncio.Runner() as runner:
        embedded = decider_of(WasmEngine(bundle, deadline_ms=60_000), bundle, deadline_ms=60_000)
        server = decider_of(OpaServerEngine(url, deadline_ms=60_000), bundle, deadline_ms=60_000)

        async def ask(batch):
            ours = [await embedded.decide(facts) for facts in batch]
            theirs = await asyncio.gather(*map(server.decide, batch))
            return ours, theirs

        yield lambda batch: runner.run(ask(batch))
        runner.run(embedded.close())
        runner.run(server.close())


@pytest.mark.opa
@pytest.mark.timeout(600)
# A failing batch is long; the warning about that would hide what failed.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
@given(batch=st.lists(generated.facts(), min_size=BATCH, max_size=BATCH))
def test_generated_facts_are_decided_alike(both, batch):
    ours, theirs = both(batch)
    assert ours == theirs


@pytest.mark.opa
def test_golden_facts_are_decided_alike(both):
    ours, theirs = both([side for case in cases() for side in (case.effect, case.absence)])
    assert ours == theirs
    assert {decision.allow for decision in ours} == {True, False}
