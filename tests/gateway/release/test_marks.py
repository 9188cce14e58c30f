"""Marks: the same for a delivery, different for all others, and nobody's without the key."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.keyfiles import KeyFileError
from gateway.release.marks import Marks, open_marks

KEY = Marks(b"k" * 32)
REQUEST = "0" * 25 + "1"
NAMES = ("uscc", "name", "entity_type", "established_on", "reg_status", "dispute_flag")


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_mark_is_found_in_any_bytes_and_a_forged_one_is_counted(before, after):
    text = KEY.text(REQUEST).encode()
    found, forged = KEY.find(before + b" " + text + b" " + after)
    assert (found, forged) == ([REQUEST], 0)
    changed = text[:-1] + (b"A" if text[-1:] != b"A" else b"B")
    assert KEY.find(b" " + changed + b" ") == ([], 1)
    other = text.replace(REQUEST.encode(), (REQUEST[:-1] + "2").encode())
    assert KEY.find(other) == ([], 1)
    assert Marks(b"K" * 32).find(text) == ([], 1)


@given(st.integers(0, 300), st.integers(0, 5))
def test_an_order_of_rows_is_a_permutation_and_its_own(count, number):
    order = KEY.rows(REQUEST, number, count).tolist()
    assert sorted(order) == list(range(count))
    assert order == KEY.rows(REQUEST, number, count).tolist()
    if count > 20:
        assert order != KEY.rows(REQUEST, number + 1, count).tolist()
        assert order != KEY.rows(REQUEST[:-1] + "2", number, count).tolist()


@given(st.sets(st.sampled_from(NAMES)))
def test_fields_stand_alike_in_every_selection(some):
    whole = KEY.fields(REQUEST, NAMES)
    assert sorted(whole) == sorted(NAMES)
    assert KEY.fields(REQUEST, sorted(some)) == tuple(name for name in whole if name in some)


def test_all_orders_of_fields_happen_about_equally_often():
    seen = dict.fromkeys(itertools.permutations(NAMES[:3]), 0)
    for number in range(1_200):
        seen[KEY.fields(f"R{number}", NAMES[:3])] += 1
    assert min(seen.values()) > 140
    assert max(seen.values()) < 260


def test_the_key_is_drawn_once_and_private(tmp_path):
    path = tmp_path / "mark.key"
    first = open_marks(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_marks(path).text(REQUEST) == first.text(REQUEST)
    path.chmod(0o644)
    with pytest.raises(KeyFileError):
        open_marks(path)
