"""Changes pass every process before anybody is told that they hold."""

import asyncio

import pytest

from gateway.domain.errors import UnavailableError
from gateway.replicas import changes, lease
from gateway.replicas.bystander import Bystander, is_served
from gateway.store.state import State
from tests.gateway.replicas.conftest import TERM_MS, Clock, Process, eventually

TERM_S = TERM_MS / 1000


def leases(process: Process) -> dict[str, lease.Lease]:
    connection = process.state.connect()
    try:
        return {row.node: row for row in lease.read_leases(connection)}
    finally:
        connection.close()


async def test_alone_a_change_takes_effect_before_clear_returns(home):
    one = await Process(home, "a.1").join()
    number = await one.change()
    await one.rounds.clear(number)
    assert one.effect.flipped == [number]
    assert one.gate.epoch == 1
    await one.end()


async def test_changes_that_come_together_share_a_round(home):
    one = await Process(home, "a.1").join()
    numbers = await asyncio.gather(*(one.change(f"r{n}") for n in range(50)))
    await asyncio.gather(*(one.rounds.clear(number) for number in numbers))
    assert sorted(one.effect.flipped) == sorted(numbers)
    assert one.gate.epoch < 50
    await one.end()


async def test_every_other_process_has_confirmed_when_clear_returns(home):
    one, two = await Process(home, "a.1").join(), await Process(home, "b.1").join()
    for process, other in [(one, two), (two, one)]:
        number = await process.change()
        await process.rounds.clear(number)  # time stands still: nobody's lease has run out
        assert number in other.effect.flipped
        assert leases(one)[other.membership.name].applied >= number
    await one.end()
    await two.end()


async def test_a_batch_of_another_process_is_waited_for_or_reset(home):
    one, two = await Process(home, "a.1").join(), await Process(home, "b.1").join()
    held, outcome = asyncio.Event(), []

    async def slow() -> None:
        try:
            async with two.gate.hold("p"):
                held.set()
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            outcome.append("reset")
            raise

    stream = asyncio.create_task(slow())
    await held.wait()
    number = await one.change()
    await one.rounds.clear(number)
    assert outcome == ["reset"]
    await asyncio.gather(stream, return_exceptions=True)
    await one.end()
    await two.end()


async def looked(clock: Clock) -> None:
    """Wait until whoever waits has looked at the time again, more than once."""
    before = clock.looks
    await eventually(lambda: clock.looks > before + 10)


async def test_a_stopped_process_is_waited_for_until_its_lease_ran_out_and_then_fenced(home, clock):
    one, two = await Process(home, "a.1").join(), await Process(home, "b.1").join()
    await two.freeze()
    number = await one.change()
    cleared = asyncio.create_task(one.rounds.clear(number))
    await looked(clock)
    clock.now += TERM_S
    await looked(clock)
    assert not cleared.done()
    assert "b.1" in leases(one)
    clock.now += TERM_S * 0.1
    await cleared
    assert "b.1" not in leases(one)
    # It wakes: its clock went on, and it looks before it does anything else.
    with pytest.raises(UnavailableError) as caught:
        async with two.gate.hold("p"):
            raise AssertionError("it was let in")
    assert caught.value.code == "NODE_FENCED"
    assert number not in two.effect.flipped
    before = two.membership.token
    two.thaw()
    await eventually(lambda: two.membership.valid)
    assert number in two.effect.flipped
    assert two.membership.token > before
    async with two.gate.hold("p") as hold:
        hold.confirm()
    await one.end()
    await two.end()


async def test_a_hold_that_was_entered_in_time_is_not_confirmed_too_late(home, clock):
    one = await Process(home, "a.1").join(keep=False)
    async with one.gate.hold("p") as hold:
        hold.confirm()
        clock.now += TERM_S
        with pytest.raises(UnavailableError, match="can't be sure"):
            hold.confirm()
    await one.end()


async def test_a_dead_process_of_this_machine_is_not_waited_for(home):
    one, two = await Process(home, "a.1").join(), await Process(home, "b.1").join()
    await two.freeze()
    two.name.release()
    number = await one.change()
    await one.rounds.clear(number)  # time stands still: its lease has not run out
    assert "b.1" not in leases(one)
    two.rounds.close()
    two.state.close()
    await one.end()


async def test_a_renewal_in_between_keeps_the_lease(home):
    one = await Process(home, "a.1").join(keep=False)
    seen = leases(one)["a.1"]
    assert one.state.run(lambda tx: lease.renew(tx, "a.1", seen.token, 0))
    assert not one.state.run(lambda tx: lease.take_away(tx, seen))
    now = leases(one)["a.1"]
    assert one.state.run(lambda tx: lease.take_away(tx, now))
    assert not one.state.run(lambda tx: lease.renew(tx, "a.1", now.token, 0))
    await one.end()


async def test_a_lease_is_never_valid_before_what_was_missed_took_effect(home):
    one, two = await Process(home, "a.1").join(), await Process(home, "b.1").join()
    await two.freeze()
    lost = leases(one)["b.1"]
    assert one.state.run(lambda tx: lease.take_away(tx, lost))
    number = await one.change()
    two.effect.failing = True
    two.thaw()
    await eventually(lambda: "b.1" in leases(one))
    await eventually(lambda: two.effect.failed > 3)
    assert not two.membership.valid
    two.effect.failing = False
    await eventually(lambda: two.membership.valid)
    assert number in two.effect.flipped
    await one.end()
    await two.end()


async def test_a_process_that_cannot_bring_a_change_into_effect_gives_its_lease_up(home, clock):
    one, two = await Process(home, "a.1").join(), await Process(home, "b.1").join()
    two.effect.failing = True
    cleared = asyncio.create_task(one.rounds.clear(await one.change()))
    await eventually(lambda: two.effect.failed)
    await looked(clock)
    clock.now += TERM_S * 1.1
    two.membership.confirm_soon()  # it would renew now
    await cleared
    assert not two.membership.valid
    two.effect.failing = False
    await eventually(lambda: two.membership.valid)
    await one.end()
    await two.end()


async def test_changes_that_are_no_longer_kept_are_made_up_for_as_a_whole(home):
    one, two = await Process(home, "a.1").join(), await Process(home, "b.1").join()
    await two.freeze()
    for _ in range(3):
        number = await one.change()
    one.state.run(lambda tx: tx.execute("DELETE FROM gate_changes WHERE number < ?", (number,)))
    two.thaw()
    await eventually(lambda: two.rounds.applied >= number)
    assert two.effect.started_over == 1
    await one.end()
    await two.end()


async def test_the_state_gone_means_fenced(home, clock):
    one = await Process(home, "a.1").join()
    one.state.journal.close()
    clock.now += TERM_S / 2
    assert one.membership.valid
    one.membership.confirm_soon()
    await looked(clock)  # no renewal makes it longer
    clock.now += TERM_S / 2
    assert not one.membership.valid
    with pytest.raises(UnavailableError):
        one.membership.check()
    await one.freeze()
    one.rounds.close()
    one.state.signal.close()
    one.name.release()


async def test_numbers_rise_without_gaps_and_old_changes_are_dropped(home, monkeypatch):
    monkeypatch.setattr(changes, "KEPT_CHANGES", 5)
    monkeypatch.setattr(changes, "_PRUNE_EVERY", 4)
    one = await Process(home, "a.1").join()
    numbers = [await one.change() for _ in range(12)]
    assert numbers == list(range(1, 13))
    connection = one.state.connect()
    assert changes.read_changes(connection, 2) is None
    found = changes.read_changes(connection, 8)
    assert [change.number for change in found] == [9, 10, 11, 12]
    connection.close()
    await one.end()


async def test_a_process_that_serves_nothing_waits_for_those_that_do(home):
    one = await Process(home, "a.1").join()
    state = State.open(home / "state.sqlite3")
    assert is_served(state)
    desk, impatient = Bystander(state, home), Bystander(state, home, longest_s=0.2)
    number = await one.change()
    await desk.clear(number)
    assert one.effect.flipped == [number]
    one.effect.failing = True
    with pytest.raises(UnavailableError) as caught:
        await impatient.clear(await one.change())
    assert caught.value.code == "REPLICA_UNCONFIRMED"
    await one.freeze()
    one.name.release()
    await desk.clear(await one.change())  # it is dead
    assert not is_served(state)
    one.rounds.close()
    one.state.close()
    state.close()
