import asyncio
from dataclasses import replace

import pytest

from gateway.decision.bundle import load
from gateway.decision.input import build_input, canonical
from gateway.decision.wasm import WasmEngine
from gateway.domain.errors import NotFoundError, UnavailableError
from tests.policies import facts_world as w
from tests.policies.engines import LAW, decider_of
from tests.policies.facts_world import vary


@pytest.fixture(scope="module")
def bundle():
    return load()


class CountingEngine:
    """A real engine that counts what it is asked, and can be told to fail or to stall."""

    def __init__(self, bundle):
        self.inner = WasmEngine(bundle, deadline_ms=60_000)
        self.asked, self.failure, self.stall = 0, None, None
        self.change = None

    async def evaluate(self, document):
        self.asked += 1
        if self.failure:
            raise self.failure
        if self.stall:
            await self.stall.wait()
        answer = await self.inner.evaluate(document)
        return self.change(answer) if self.change else answer

    async def close(self):
        await self.inner.close()


@pytest.fixture
async def engine(bundle):
    engine = CountingEngine(bundle)
    yield engine
    await engine.close()


async def test_equal_requests_ask_the_engine_once(engine, bundle):
    decider = decider_of(engine, bundle)
    first = await decider.decide(w.facts())
    again = await decider.decide(w.facts())  # equal facts in new objects: found by digest
    assert first == again
    assert engine.asked == 1


async def test_the_same_objects_are_found_without_building_the_input(engine, bundle):
    decider, facts = decider_of(engine, bundle), w.facts()
    first = await decider.decide(facts)
    later = vary(facts, request__request_id="1" * 26, request__asked_at=facts.now + 5)
    assert await decider.decide(replace(later, now=facts.now + 5)) is first


async def test_a_decision_is_not_used_past_its_interval(engine, bundle):
    decider, facts = decider_of(engine, bundle), w.facts()
    facts = vary(facts, licence__not_after=facts.now + 10)
    assert (await decider.decide(facts)).allow
    assert not (await decider.decide(replace(facts, now=facts.now + 10))).allow
    assert (await decider.decide(replace(facts, now=facts.now + 9))).allow


async def test_denials_carry_their_interval_and_are_remembered(engine, bundle):
    decider, facts = decider_of(engine, bundle), w.facts(licence=None)
    decision = await decider.decide(facts)
    assert not decision.allow
    assert decision.valid_from <= facts.now < decision.valid_until
    await decider.decide(facts)
    assert engine.asked == 1


async def test_a_failure_is_not_remembered(engine, bundle):
    decider = decider_of(engine, bundle)
    engine.failure = UnavailableError("POLICY_UNAVAILABLE", "down")
    with pytest.raises(UnavailableError):
        await decider.decide(w.facts())
    engine.failure = None
    assert (await decider.decide(w.facts())).allow


async def test_a_slow_engine_is_a_denial_within_the_deadline(engine, bundle):
    engine.stall = asyncio.Event()
    decider = decider_of(engine, bundle, deadline_ms=20)
    with pytest.raises(UnavailableError) as caught:  # it never answers
        await decider.decide(w.facts())
    assert caught.value.code == "POLICY_TIMEOUT"
    engine.stall.set()
    assert (await decider.decide(w.facts())).allow


async def test_another_bundle_is_noticed(engine, bundle):
    decider = decider_of(engine, replace(bundle, revision="0" * 64))
    with pytest.raises(UnavailableError) as caught:
        await decider.decide(w.facts())
    assert caught.value.code == "POLICY_MISMATCH"


async def test_an_answer_that_does_not_hold_now_is_refused(engine, bundle):
    engine.change = lambda answer: {**answer, "valid_from": 0, "valid_until": 1}
    with pytest.raises(UnavailableError) as caught:
        await decider_of(engine, bundle).decide(w.facts())
    assert caught.value.code == "POLICY_UNKNOWN_ANSWER"


async def test_the_input_is_kept_for_the_log_and_replays_alike(engine, bundle):
    decider, facts = decider_of(engine, bundle), w.facts()
    decision = await decider.decide(facts)
    document = decider.input_for(decision.input_digest)
    assert document == canonical(build_input(facts, LAW.limits))
    replayed = await decider.replay(document, facts.now)
    assert replace(replayed, actions=dict(decision.actions)) == decision
    assert dict(replayed.actions) == dict(decision.actions)
    assert decision.bundle_digest == decider.bundle_digest == bundle.digest


async def test_an_input_never_seen_is_not_found(engine, bundle):
    with pytest.raises(NotFoundError):
        decider_of(engine, bundle).input_for("0" * 64)


async def test_the_memory_is_bounded(engine, bundle):
    decider = decider_of(engine, bundle, memo_size=2)
    for number in range(5):
        await decider.decide(vary(w.facts(), request__scenario=f"S{number}"))
    await decider.decide(vary(w.facts(), request__scenario="S0"))
    assert engine.asked == 6


async def test_requests_decided_at_once_do_not_disturb_each_other(engine, bundle):
    decider = decider_of(engine, bundle)
    facts = [vary(w.facts(), request__fields=(name,)) for name in w.NAMES]
    decisions = await asyncio.gather(*map(decider.decide, facts))
    assert [tuple(d.actions) for d in decisions] == [f.request.fields for f in facts]


async def test_the_input_of_a_decision_in_use_is_not_forgotten(engine, bundle):
    """A hot decision is found by its quick key alone; its input must stay as long."""
    decider = decider_of(engine, bundle, memo_size=2)
    hot = w.facts()
    decision = await decider.decide(hot)
    for number in range(3):
        await decider.decide(vary(w.facts(), request__scenario=f"S{number}"))
        await decider.decide(hot)
    assert decider.input_for(decision.input_digest)
