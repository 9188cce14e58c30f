"""How likely an innocent delivery has, by chance, the order that a leaked copy shows.

The orders of a delivery are drawn from its key, apart from everything else. So for whoever hasn't
seen a copy of that delivery, whatever order a document has, the number of its inversions against
the delivery's order is that of a random permutation (Mahonian numbers). The chance of so few is
exact, not a model; over several deliveries that are looked at it is multiplied by their number
(Bonferroni), whatever depends on what.
"""

from collections.abc import Sequence

import numpy as np

_LEAST = 1e-300  # nothing is told to be less likely
MOST_COMPARED = 200  # places of one group that are compared; more would prove no more


def inversions(places: Sequence[int]) -> int:
    """Return how many pairs of places stand in the other order."""
    found = 0
    seen: list[int] = []
    for place in places:
        at = int(np.searchsorted(np.array(seen, np.int64), place, side="right")) if seen else 0
        found += len(seen) - at
        seen.insert(at, place)
    return found


def chance(sizes: Sequence[int], found: int) -> float:
    """Return how likely random permutations of these sizes have at most so many inversions.

    Args:
        sizes: Numbers of compared places, group by group; each group's order is drawn alone.
        found: Inversions in all groups together.
    """
    if found >= sum(size * (size - 1) for size in sizes) / 4:
        return 1.0  # as many as chance makes: not worth the exact number
    width = found + 1
    share = np.zeros(width)
    share[0] = 1.0
    for size in sizes:
        for choices in range(2, size + 1):
            sums = np.cumsum(share)
            sums[choices:] -= np.cumsum(share)[:-choices] if choices < width else 0
            share = np.maximum(sums, 0.0) / choices
    # Rounding never makes an accusation: what is lost to it is added again.
    return float(min(1.0, max(share.sum() * (1 + 1e-9), _LEAST)))


def at_least(chances: Sequence[float], found: int) -> float:
    """Return how likely at least so many of independent events happen."""
    if not found:
        return 1.0
    counts = np.zeros(len(chances) + 1)
    counts[0] = 1.0
    for each in chances:
        likely = min(1.0, each)
        counts[1:] = counts[1:] * (1 - likely) + counts[:-1] * likely
        counts[0] *= 1 - likely
    return float(min(1.0, counts[found:].sum() * (1 + 1e-9)))


def thinned(places: Sequence[int]) -> Sequence[int]:
    """Return places of a long group to be compared, chosen by where they stand alone."""
    if len(places) <= MOST_COMPARED:
        return places
    chosen = np.linspace(0, len(places) - 1, MOST_COMPARED).astype(np.int64)
    return [places[at] for at in chosen.tolist()]
