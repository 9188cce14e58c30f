"""Whether a product can be served truthfully now (R13): one answer for lists and for health."""

from gateway.domain.product import Product
from gateway.release.world import World


def available(world: World, product: Product) -> bool:
    """Tell whether a product can be served truthfully now.

    It is admitted and, where it is bound to publicity, its feed is fresh and the node knows
    what time it is.
    """
    if product.name in world.registers:
        return True
    if world.library.current(product.name) is None:
        return False
    if not product.feed_limit_s:
        return True
    if not world.clock.trusted():
        return False
    as_of = world.registry.view().feed_as_of(product.name)
    now = world.clock_ms() // 1000
    return as_of is not None and as_of <= now <= as_of + product.feed_limit_s
