import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import encode_entry
from audit.entry_template import EntryTemplate
from audit.errors import EntryError

PLAIN = st.characters(exclude_categories=["Cs"], exclude_characters="\ue000")
TEXT = st.text(PLAIN, max_size=20)
NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
VALUES = st.one_of(TEXT, st.integers(0, 2**53 - 1))
WHOLE = st.dictionaries(NAMES, st.one_of(VALUES, st.lists(TEXT), st.none()), min_size=1)


@given(WHOLE, st.data())
def test_a_filled_template_is_the_encoded_entry(entry, data):
    holes = data.draw(st.sets(st.sampled_from(sorted(entry))))
    values = {name: data.draw(VALUES) for name in holes}
    assert EntryTemplate(entry, holes).fill(values) == encode_entry(entry | values)


def test_a_template_is_filled_again_and_again():
    template = EntryTemplate({"v": 1, "a": "", "time": 0}, ["a", "time"])
    assert template.fill({"a": "x", "time": 7}) == b'{"a":"x","time":7,"v":1}'
    assert template.fill({"a": '"\n', "time": 8}) == b'{"a":"\\"\\n","time":8,"v":1}'


def test_a_hole_has_to_be_a_member():
    with pytest.raises(EntryError):
        EntryTemplate({"v": 1}, ["time"])


def test_an_entry_cannot_smuggle_a_hole_in():
    with pytest.raises(EntryError):
        EntryTemplate({"a": "\ue000b\ue000", "b": 1}, ["b"])


def test_a_missing_value_is_noticed():
    with pytest.raises(KeyError):
        EntryTemplate({"a": ""}, ["a"]).fill({})


def test_too_long_an_entry_is_refused():
    with pytest.raises(EntryError):
        EntryTemplate({"a": ""}, ["a"]).fill({"a": "x" * 70_000})
