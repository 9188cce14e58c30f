import pytest

from gateway.domain.errors import UnavailableError
from gateway.replicas.membership import Membership
from gateway.replicas.node_name import is_dead, take_name
from gateway.store.state import State
from tests.gateway.replicas.conftest import Process


def test_a_name_belongs_to_one_process_at_a_time(home):
    first = take_name(home, "a.1")
    with pytest.raises(UnavailableError) as caught:
        take_name(home, "a.1")
    assert caught.value.code == "NODE_NAME_TAKEN"
    assert caught.value.hints
    other = take_name(home, "a.2")
    assert other.place == first.place
    other.release()
    first.release()
    again = take_name(home, "a.1")
    assert again.before == first.holder
    assert again.holder != first.holder
    again.release()


def test_only_the_process_that_is_named_counts_as_dead(home):
    first = take_name(home, "a.1")
    assert not is_dead(home, "a.1", first.holder)
    first.release()
    assert is_dead(home, "a.1", first.holder)
    assert not is_dead(home, "a.1", "0" * 32)
    assert not is_dead(home, "unknown.1", first.holder)


async def test_a_living_namesake_elsewhere_is_found_out(home, tmp_path_factory):
    one = await Process(home, "a.1").join()
    elsewhere = take_name(tmp_path_factory.mktemp("elsewhere"), "a.1")
    state = State.open(home / "state.sqlite3")
    with pytest.raises(UnavailableError) as caught:
        await Membership(state, elsewhere, term_ms=400).outlive_namesake()
    assert caught.value.code == "NODE_NAME_TAKEN"
    # A dead one is outlived.
    await one.freeze()
    await Membership(state, elsewhere, term_ms=400).outlive_namesake()
    state.close()
    elsewhere.release()
    await one.end()
