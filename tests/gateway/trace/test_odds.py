"""The odds of naming wrongly are exact where they can be counted, and hold where they are drawn."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.release.marks import Marks
from gateway.trace.odds import at_least, chance, inversions, thinned


@pytest.mark.parametrize("sizes", [[2], [3], [4], [5], [3, 3], [4, 3], [2, 2, 2], [1, 3]])
def test_the_chance_is_the_share_of_all_permutations(sizes):
    every = list(itertools.product(*[list(itertools.permutations(range(size))) for size in sizes]))
    found = [sum(map(inversions, each)) for each in every]
    for most in range(sum(size * (size - 1) // 2 for size in sizes) + 1):
        exact = sum(each <= most for each in found) / len(every)
        stated = chance(sizes, most)
        assert exact <= stated <= max(exact * 1.000001, 1.0 if most * 2 >= max(found) else 0)


@given(st.lists(st.integers(0, 1_000), unique=True, max_size=40))
def test_inversions_are_pairs_in_the_other_order(places):
    pairs = itertools.combinations(places, 2)
    assert inversions(places) == sum(first > second for first, second in pairs)


@given(st.lists(st.floats(0, 1), max_size=8), st.integers(0, 8))
def test_at_least_is_the_share_of_all_outcomes(chances, found):
    exact = 0.0
    for outcome in itertools.product((True, False), repeat=len(chances)):
        if sum(outcome) >= found:
            exact += math.prod(
                each if hit else 1 - each for each, hit in zip(chances, outcome, strict=True)
            )
    assert exact <= at_least(chances, found) + 1e-9
    assert at_least(chances, found) == pytest.approx(exact, abs=1e-6)


def test_a_whole_order_of_ten_is_rarer_than_one_in_a_million_and_nine_are_not_enough():
    assert chance([10], 0) < 1e-6 < chance([9], 0)
    assert 0 < chance([200], 0) < 1e-290
    assert chance([50], 10_000) == 1.0


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(2, 12), st.data())
def test_an_order_of_a_document_is_no_order_of_another_delivery(key, size, data):
    """Whatever order a document has: of many deliveries few have it, as often as is stated."""
    marks = Marks(key)
    shown = data.draw(st.permutations(range(size)))
    most = data.draw(st.integers(0, size))
    likely, tries = chance([size], most), 400
    hits = 0
    for number in range(tries):
        place_of = np.argsort(marks.rows(f"R{number}", 0, size))
        hits += inversions([int(place_of[row]) for row in shown]) <= most
    # Far beyond what 400 throws allow by chance (Chernoff), or the bound would be wrong.
    assert hits <= tries * likely + 6 * math.sqrt(tries * likely) + 6


def test_long_orders_are_thinned_by_where_places_stand_alone():
    places = list(range(1_000, 0, -1))
    assert thinned(places[:50]) == places[:50]
    chosen = thinned(places)
    assert len(chosen) == 200
    assert chosen == sorted(chosen, reverse=True)
