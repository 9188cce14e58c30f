"""Whether a product can be served truthfully now (R13): one answer for lists and for health."""

from gateway.domain.errors import UnavailableError
from gateway.domain.party import Party
from gateway.domain.product import Product
from gateway.release.crossing import HOME
from gateway.release.world import World


def available(world: World, product: Product, *, abroad: bool = False) -> bool:
    """Tell whether a product can be served truthfully now.

    It is admitted and, where it is bound to publicity, its feed is fresh and the node knows
    what time it is. For callers abroad its copy counts, and no domestic record is looked at.
    """
    if product.name in world.registers:
        return True
    if abroad:
        if not _copied(world, product):
            return False
    elif world.library.current(product.name) is None:
        return False
    if not product.feed_limit_s:
        return True
    if not world.clock.trusted():
        return False
    as_of = world.registry.view().feed_as_of(product.name)
    now = world.clock_ms() // 1000
    return as_of is not None and as_of <= now <= as_of + product.feed_limit_s


def is_abroad(party: Party) -> bool:
    """Tell whether everything that a party asks for crosses the border."""
    return party.jurisdiction != HOME


def _copied(world: World, product: Product) -> bool:
    try:
        copy = world.abroad.current(product.name)
        if copy is None or not world.clock.trusted():
            return False
        world.abroad.check_fresh(copy, product.feed_limit_s, world.clock_ms() // 1000)
    except UnavailableError:
        return False
    return True
