import pytest

from gateway.domain.errors import ConflictError
from gateway.registry import feeds
from tests.simulator import NOW


def test_a_feeds_time_is_seen_and_never_goes_back(world) -> None:
    assert world.registry.view().feed_as_of("admin_penalty") is None
    world.run(lambda tx: feeds.reconciled(tx, "admin_penalty", NOW - 10, world.act))
    world.run(lambda tx: feeds.reconciled(tx, "admin_penalty", NOW - 5, world.act))
    assert world.registry.view().feed_as_of("admin_penalty") == NOW - 5
    for wrong in (NOW - 6, NOW + 1):
        with pytest.raises(ConflictError):
            world.run(lambda tx, at=wrong: feeds.reconciled(tx, "admin_penalty", at, world.act))
    assert world.registry.view().feed_as_of("admin_penalty") == NOW - 5
