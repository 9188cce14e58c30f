"""Who could be told apart by the portfolios that one bank asked about."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.facts import NO_GROUP
from gateway.release.partition import Partition, first_letters
from gateway.release.pseudonym import ConsumerKeys, Pseudonymiser
from tests.simulator import uscc

A, B = "grades", "features"
NUMBERS = range(12)


def labels(numbers) -> np.ndarray:
    return np.array(sorted(numbers), np.uint64)


def cut(before: Partition, asked, known=None, product=A):
    """Cut by numbers; by default everything asked about has something to show."""
    asked = sorted(asked)
    shown = set(asked) if known is None else set(known)
    return before.cut(labels(asked), np.array([n in shown for n in asked], np.bool_), product)


portfolios = st.lists(
    st.tuples(st.sets(st.sampled_from(NUMBERS)), st.sampled_from([A, B])), min_size=1, max_size=6
)


@settings(max_examples=200, deadline=None)
@given(portfolios, st.sets(st.sampled_from(NUMBERS)))
def test_groups_are_those_that_stood_in_the_same_portfolios(asked, fakes):
    """The second opinion: for every subject the set of portfolios that held it."""
    partition, before = Partition.empty(), []
    for subjects, product in asked:
        real = subjects - fakes
        found = cut(partition, subjects, real, product)
        stood = {n: tuple(n in some for some in before) for n in NUMBERS if n not in fakes}
        sides = []
        for group in set(stood.values()):
            members = {n for n, where in stood.items() if where == group}
            inside, outside = members & real, members - subjects
            sides.append(len(inside))
            if inside and any(group):
                sides.append(len(outside))
        sides = [side for side in sides if side]
        # Who never stood anywhere is only looked at as far as he stands in this one.
        assert found.smallest == (min(sides) if sides else NO_GROUP)
        if real:  # nothing is shown of a portfolio of codes that nobody has
            partition, before = found.partition, [*before, subjects]
    assert Partition.decode(partition.encode()) is not None


def test_the_same_portfolio_changes_nothing():
    first = cut(Partition.empty(), range(10))
    assert (first.smallest, first.changed) == (10, True)
    again = cut(first.partition, range(10))
    assert (again.smallest, again.changed) == (10, False)


def test_one_more_and_one_less_are_told_apart():
    first = cut(Partition.empty(), range(10)).partition
    assert cut(first, range(11)).smallest == 1
    assert cut(first, range(9)).smallest == 1
    assert cut(first, range(5)).smallest == 5


def test_several_portfolios_together_single_out_what_none_does_alone():
    seen = cut(Partition.empty(), range(8)).partition
    seen = cut(seen, range(4)).partition  # 0-3 apart from 4-7
    found = cut(seen, [3, 4, 5, 6, 7])
    assert found.smallest == 1


def test_pseudonyms_are_the_same_in_every_product():
    seen = cut(Partition.empty(), range(10), product=A).partition
    assert cut(seen, range(11), product=B).smallest == 1


def test_codes_that_nobody_has_hide_nobody():
    found = cut(Partition.empty(), range(10), known=[3])
    assert found.smallest == 1
    # Neither do they make a portfolio that differs by them another one.
    seen = cut(Partition.empty(), range(10), known=range(6)).partition
    assert cut(seen, range(8), known=range(6)).smallest == 6


def test_it_comes_back_from_its_bytes():
    seen = cut(Partition.empty(), range(10), product=A).partition
    seen = cut(seen, range(5), product=B).partition
    again = Partition.decode(seen.encode())
    assert not again.differs(seen)
    assert again.products == (A, B)
    assert [again.shown_of(A), again.shown_of(B), again.shown_of("other")] == [10, 5, 0]


def test_labels_are_the_first_bits_of_pseudonyms():
    import pyarrow as pa

    names = pa.array([uscc(n) for n in range(40)])
    made = Pseudonymiser(ConsumerKeys.derive(b"k" * 32, "x")).column(names)
    assert first_letters(made).tolist() == [int(text[1:17], 16) for text in made.to_pylist()]
    assert first_letters(made[:0]).tolist() == []
