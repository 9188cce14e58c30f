"""Who is acknowledged, who is refused and who has to come again when decisions go together."""

import asyncio
from types import SimpleNamespace

import pytest

from audit.errors import AuditUnavailableError
from audit.openings import OpeningStore
from gateway.domain.errors import ConflictError, NotFoundError, UnavailableError
from gateway.registry.documents import Verified
from gateway.repair import publish as publish_module
from gateway.repair.decision import Verdict
from gateway.repair.publish import Handed, Lane, Publisher
from gateway.store.state import State
from tests.gateway.repair.test_apply import NOW, claims_of, digest_of, prepared

pytestmark = pytest.mark.asyncio


class Rounds:
    """Clears at once, unless it is told to wait or to fail."""

    def __init__(self) -> None:
        self.cleared: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failing = False

    async def clear(self, number: int) -> None:
        await self.open.wait()
        if self.failing:
            raise UnavailableError("REPLICA_UNCONFIRMED", "some process didn't confirm")
        self.cleared.append(number)


class Journal:
    """The real one, with failures that a test orders."""

    def __init__(self, real) -> None:
        self.real = real
        self.fail: list[Exception] = []
        self.jobs = 0

    async def submit(self, job):
        self.jobs += 1
        await asyncio.sleep(0.005)
        if self.fail:
            raise self.fail.pop(0)
        return await self.real.submit(job)


class Case:
    def __init__(self, tmp_path) -> None:
        self.state = State.open(tmp_path / "state.sqlite3")
        self.journal, self.rounds = Journal(self.state.journal), Rounds()
        self.cleared: list[int] = []
        self.publisher = Publisher(
            self.journal,
            SimpleNamespace(),
            self.rounds,
            OpeningStore(b"k" * 32),
            products={},
            node="n",
            clock_ms=lambda: NOW * 1000,
            cleared=lambda one: self.cleared.append(one.repair),
        )
        self.publisher._preparation = self

    def prepare(self, handed):
        return [
            NotFoundError("NOT_FOUND", "no admitted record has this id")
            if one.decision.claims.record_id == "r4"
            else prepared(one.decision.claims, number, NOW)
            for number, one in enumerate(handed)
        ]

    def hand_in(self, number: int, record: int, *, lane=None, sequence: int | None = None):
        claims = claims_of(number, 0, sequence or number, record, Verdict.APPROVED, 900)
        decision = Verified(claims, "signer", digest_of(claims), "token")
        return self.publisher.hand_in(Handed(decision, "actor", NOW), lane)

    def known(self) -> list[str]:
        reader = self.state.connect()
        rows = reader.execute("SELECT repair_id FROM repairs ORDER BY log_index").fetchall()
        reader.close()
        return [row[0] for row in rows]


@pytest.fixture
def case(tmp_path):
    made = Case(tmp_path)
    yield made
    made.state.close()


async def until(true) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - a database
            await asyncio.sleep(0.01)


async def test_each_is_acknowledged_or_refused_for_itself(case):
    answers = [
        case.hand_in(1, 0),
        case.hand_in(2, 4),
        case.hand_in(3, 1),
        case.hand_in(4, 2, sequence=2),
        case.hand_in(1, 0),
        case.hand_in(6, 3),
    ]
    results = await asyncio.gather(*answers, return_exceptions=True)
    kinds = [type(one).__name__ for one in results]
    assert kinds == ["Published", "NotFoundError", "Published", "ConflictError",
                     "Published", "Published"]  # fmt: skip
    assert [one.repeated for one in results if not isinstance(one, Exception)] == [
        False, False, True, False
    ]  # fmt: skip
    assert results[3].code == "STALE_SEQUENCE"
    assert case.known() == ["repair-1", "repair-3", "repair-6"]
    assert case.journal.jobs == 1
    assert len(case.cleared) == 3


async def test_nothing_is_acknowledged_before_the_gate_is_clear(case):
    case.rounds.open.clear()
    answer = case.hand_in(1, 0)
    refused = case.hand_in(2, 4)
    with pytest.raises(NotFoundError):
        await refused
    await until(lambda: case.known() == ["repair-1"])
    await asyncio.sleep(0.1)
    assert not answer.done()
    assert case.cleared == []
    # The next one is written meanwhile: a slow reader holds up no transaction.
    later = case.hand_in(3, 1)
    await until(lambda: case.known() == ["repair-1", "repair-3"])
    case.rounds.open.set()
    assert (await answer).change < (await later).change


async def test_what_some_process_did_not_confirm_is_not_acknowledged_and_may_be_repeated(case):
    case.rounds.failing = True
    results = await asyncio.gather(case.hand_in(1, 0), case.hand_in(2, 1), return_exceptions=True)
    assert [one.code for one in results] == ["REPLICA_UNCONFIRMED"] * 2
    assert results[0] is not results[1]
    case.rounds.failing = False
    again = await asyncio.gather(case.hand_in(1, 0), case.hand_in(2, 1))
    assert [one.repeated for one in again] == [True, True]
    assert case.rounds.cleared == [2]


async def test_nothing_of_a_lane_is_applied_behind_what_could_not_be_written(case, monkeypatch):
    monkeypatch.setattr(publish_module, "_AT_ONCE", 2)
    case.journal.fail = [AuditUnavailableError("full")]
    lane, other = Lane(), Lane()
    mine = [case.hand_in(number, number % 4, lane=lane) for number in (1, 2, 3)]
    others = case.hand_in(9, 3, lane=other)
    results = await asyncio.gather(*mine, return_exceptions=True)
    assert [one.code for one in results] == ["AUDIT_UNAVAILABLE"] * 3
    assert (await others).repeated is False
    assert case.known() == ["repair-9"]
    assert lane.broken
    assert not other.broken


async def test_without_a_lane_the_next_is_written(case, monkeypatch):
    monkeypatch.setattr(publish_module, "_AT_ONCE", 1)
    case.journal.fail = [AuditUnavailableError("full")]
    first, second = case.hand_in(1, 0), case.hand_in(2, 1)
    with pytest.raises(UnavailableError):
        await first
    assert not (await second).repeated


async def test_one_that_cannot_be_written_takes_only_itself_back(case, monkeypatch):
    real = publish_module.apply_decisions

    def poisoned(tx, some, node):
        done = real(tx, some, node)
        if any(one.claims.repair_id == "repair-2" for one in some):
            raise ValueError("poison")
        return done

    monkeypatch.setattr(publish_module, "apply_decisions", poisoned)
    lane = Lane()
    answers = [case.hand_in(1, 0), case.hand_in(2, 1, lane=lane), case.hand_in(3, 2),
               case.hand_in(4, 3, lane=lane)]  # fmt: skip
    results = await asyncio.gather(*answers, return_exceptions=True)
    kinds = [type(one).__name__ for one in results]
    assert kinds == ["Published", "ValueError", "Published", "UnavailableError"]
    assert case.known() == ["repair-1", "repair-3"]


async def test_a_refusal_ends_no_lane(case):
    lane = Lane()
    first, second, third = (
        case.hand_in(1, 4, lane=lane), case.hand_in(2, 0, lane=lane, sequence=5),
        case.hand_in(3, 1, lane=lane, sequence=4),
    )  # fmt: skip
    with pytest.raises(NotFoundError):
        await first
    assert not (await second).repeated
    with pytest.raises(ConflictError):
        await third
    assert not lane.broken


async def test_an_abandoned_answer_leaves_the_decision_applied(case):
    answer = case.hand_in(1, 0)
    answer.cancel()
    await case.hand_in(2, 1)
    assert case.known() == ["repair-1", "repair-2"]
