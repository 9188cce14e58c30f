"""A gateway killed under load keeps every promise; the long form runs in `make fault`."""

import copy
from collections.abc import Callable

import pytest

from tests.fault.gateway_check import LogOfGateway, Verdict, check_calls
from tests.fault.gateway_kill import run
from tests.fault.gateway_load import Seen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    return run(tmp_path_factory.mktemp("killed") / "home", rounds=2, seed=7)


def test_every_byte_that_left_before_kill_9_has_its_intent_in_the_log(killed):
    verdict: Verdict = killed[0]
    assert verdict.problems == []
    assert verdict.cut > 0, "no call was under way when the gateway died"
    assert verdict.batches > 50
    assert verdict.answered > 0
    assert verdict.refused > 0


def streamed(seen: Seen) -> bool:
    return seen.ending == "answered" and len(seen.messages) > 3


def forge_intent(seen: Seen) -> None:
    seen.messages[0].decision.intent.index += 1


def forge_leaf(seen: Seen) -> None:
    seen.messages[0].decision.intent.leaf_hash = bytes(32)


def forge_signature(seen: Seen) -> None:
    seen.messages[-1].outcome.entry.signature = bytes(64)


def lose_the_decision(seen: Seen) -> None:
    del seen.messages[0]


def lose_the_end(seen: Seen) -> None:
    del seen.messages[-1]


def lose_a_batch(seen: Seen) -> None:
    del seen.messages[1]


def change_data(seen: Seen) -> None:
    seen.messages[1].batch.arrow_ipc = seen.messages[1].batch.arrow_ipc[:-1] + b"?"


def change_digest(seen: Seen) -> None:
    seen.messages[1].batch.digest = bytes(32)


def change_rows(seen: Seen) -> None:
    seen.messages[1].batch.rows += 1


def unlogged_batch(seen: Seen) -> None:
    seen.messages[1].batch.evidence.index = 10**6


@pytest.mark.parametrize(
    "forge",
    [
        forge_intent, forge_leaf, forge_signature, lose_the_decision, lose_the_end, lose_a_batch,
        change_data, change_digest, change_rows, unlogged_batch,
    ],
)  # fmt: skip
def test_the_check_finds_an_answer_that_the_log_does_not_bear_out(
    killed, forge: Callable[[Seen], None]
):
    _, calls, stage = killed
    seen = next(each for each in calls if streamed(each) and each.messages[1].batch.arrow_ipc)
    forged = copy.deepcopy(seen)
    forge(forged)
    log = LogOfGateway(stage.deployment)
    assert check_calls(log, [seen]).problems == []
    assert len(check_calls(log, [forged]).problems) == 1
    log.close()
