"""How many portions one entry commits to follows how long it takes."""

from gateway.release.pace import LEAST, MOST, Pace


def test_it_grows_while_full_transactions_are_quick_and_shrinks_when_one_is_slow():
    pace = Pace()
    assert pace.portions == LEAST
    for _ in range(10):
        pace.note(0.01, full=True)
    assert pace.portions == MOST
    pace.note(0.2, full=True)
    assert pace.portions == MOST
    for _ in range(10):
        pace.note(1.0, full=False)
    assert pace.portions == LEAST


def test_a_short_part_says_nothing_of_a_longer_one():
    pace = Pace()
    pace.note(0.01, full=False)
    assert pace.portions == LEAST
