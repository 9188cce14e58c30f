import asyncio
from dataclasses import replace

import pytest

from gateway.domain.errors import ConflictError
from gateway.registry import idempotency, licences
from gateway.registry.idempotency import Claim
from tests.simulator import NOW

CLAIM = Claim("uscc:A", "key-0001", "aa" * 32, "REQ-1", NOW, 3_600)


def claim(world, wanted: Claim) -> None:
    world.run(lambda tx: idempotency.claim(tx, wanted))


def test_a_replay_is_refused_and_names_the_first_request(world) -> None:
    claim(world, CLAIM)
    with pytest.raises(ConflictError) as caught:
        claim(world, replace(CLAIM, request_id="REQ-2", now=NOW + 1))
    assert caught.value.code == "REPLAYED"
    assert any("REQ-1" in hint for hint in caught.value.hints)


def test_another_request_under_the_same_key_is_a_conflict(world) -> None:
    claim(world, CLAIM)
    with pytest.raises(ConflictError) as caught:
        claim(world, replace(CLAIM, request_digest="bb" * 32))
    assert caught.value.code == "CONFLICT"


def test_keys_of_parties_do_not_meet(world) -> None:
    claim(world, CLAIM)
    claim(world, replace(CLAIM, party_id="uscc:B"))
    claim(world, replace(CLAIM, party_id="uscc:Ak", key="ey-0001"))


def test_a_key_is_free_again_after_the_window_and_old_keys_are_pruned(world) -> None:
    for number in range(200):
        claim(world, replace(CLAIM, key=f"key-{number:04d}"))
    claim(world, replace(CLAIM, now=NOW + 3_600))
    for number in range(400):
        claim(world, replace(CLAIM, key=f"new-{number:04d}", now=NOW + 3_600))
    connection = world.state.connect()
    kept = connection.execute("SELECT count(*) FROM idempotency").fetchone()[0]
    connection.close()
    assert kept == 401  # the 200 old ones went with a few of the new claims


def test_the_key_itself_is_not_kept(world) -> None:
    claim(world, replace(CLAIM, key="case-of-somebody"))
    assert b"case-of-somebody" not in world.stored()


def test_a_failed_act_leaves_its_key_free(world) -> None:
    def job(tx) -> None:
        idempotency.claim(tx, CLAIM)
        raise ConflictError("CONFLICT", "the act failed")

    with pytest.raises(ConflictError, match="the act failed"):
        world.run(job)
    claim(world, CLAIM)


def test_a_replayed_administrative_act_is_answered_from_its_first_outcome(world) -> None:
    party = world.party(1)
    document = world.licence_document(party)
    world.run(
        lambda tx: licences.activate(tx, document, world.act, authority_key=world.authority_key)
    )

    def suspend(tx):
        return {"entry": licences.suspend(tx, "L-1", world.act).status_index}

    first, replayed = world.run(lambda tx: idempotency.once(tx, CLAIM, suspend))
    assert not replayed
    count = len(world.entries())
    again = world.run(lambda tx: idempotency.once(tx, CLAIM, suspend))
    assert again == (first, True)
    assert len(world.entries()) == count
    other = replace(CLAIM, request_digest="bb" * 32)
    with pytest.raises(ConflictError):
        world.run(lambda tx: idempotency.once(tx, other, suspend))


def test_a_sweep_forgets_what_is_past_its_window_and_nothing_else(world) -> None:
    def claim_as_exchanges_do(tx, number: int, now: int) -> None:
        wanted = replace(CLAIM, key=f"{now}-{number}", now=now)
        for statement, values in idempotency.claim_row(wanted).statements():
            tx.execute(statement, values)

    def job(tx) -> None:
        for number in range(5_000):  # more than are forgotten at once
            claim_as_exchanges_do(tx, number, NOW)
        claim_as_exchanges_do(tx, 0, NOW + 1)

    world.run(job)
    asyncio.run(idempotency.sweep(world.state, NOW))
    connection = world.state.connect()
    kept = connection.execute("SELECT claimed_at FROM idempotency").fetchall()
    connection.close()
    assert kept == [(NOW + 1,)]
