import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError
from gateway.release import pseudonym
from gateway.release.pseudonym import ConsumerKeys, Pseudonymiser

MASTER = bytes(range(32))
BANK = ConsumerKeys.derive(MASTER, "uscc:BANK")
AGENCY = ConsumerKeys.derive(MASTER, "uscc:AGENCY")
CODES = ("91460000MA5TA0FX01", "11460000MB0000001A")
FROZEN = [
    "p701549c86548e16831852c7fde5efe13",
    "p1ea79bda28adc8cf2bb6e0c5d0c3894a",
    "p2670bbf5b45b8c1e507042d77668d2a4",
    "hfed72d1f625e1a3e4188d5f1b3266e7e",
]
CODE = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=18, max_size=18)
SHORT = st.text(max_size=15).filter(lambda text: len(text.encode()) <= 15)
LONG = st.text(min_size=16, max_size=60).filter(lambda text: len(text.encode()) != 18)
VALUE = st.one_of(CODE, SHORT, LONG, st.text("01a中", max_size=20), st.none())


def column(values, keys=BANK) -> list:
    return Pseudonymiser(keys).column(pa.array(values, pa.string())).to_pylist()


@settings(deadline=None)
@given(st.lists(VALUE, max_size=40))
def test_different_values_differ_and_the_same_are_the_same(values):
    made = column(values)
    pairs = set(zip(values, made, strict=True))
    assert len(pairs) == len({value for value, _ in pairs}) == len({name for _, name in pairs})
    assert all((value is None) == (name is None) for value, name in pairs)


@settings(deadline=None)
@given(st.lists(st.one_of(CODE, SHORT, st.none()), max_size=40))
def test_who_holds_the_key_can_go_back(values):
    maker = Pseudonymiser(BANK)
    made = maker.column(pa.array(values, pa.string()))
    assert maker.reveal(made).to_pylist() == values


@settings(deadline=None)
@given(st.lists(VALUE, min_size=1, max_size=40))
def test_two_consumers_cannot_join(values):
    ours, theirs = set(column(values)) - {None}, set(column(values, AGENCY)) - {None}
    assert ours.isdisjoint(theirs)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUE, max_size=40), st.integers(0, 3))
def test_few_values_and_many_are_made_alike(values, offset):
    whole = pa.array(["x"] * offset + values, pa.string()).slice(offset)
    few = [name for value in values for name in column([value])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pseudonym, "_FEW", -1)
        assert Pseudonymiser(BANK).column(whole).to_pylist() == few


def test_a_large_column_is_made_in_one_call_and_right():
    codes = [f"91460000{number:010d}" for number in range(20_000)]
    made = column(codes)
    assert len(set(made)) == len(codes)
    assert made[::4000] == [column([code])[0] for code in codes[::4000]]


def test_pseudonyms_show_neither_length_nor_kind_of_short_values():
    made = column(["A", "91460000MA5T00000X", "海口"])
    assert {len(name) for name in made} == {33}
    assert all(name[0] == "p" for name in made)


def test_equal_beginnings_do_not_show():
    one, two = column(["91460000MA5T00000X", "91460000MA5T00000Y"])
    assert sum(a == b for a, b in zip(one[1:], two[1:], strict=True)) < 16


def test_lists_are_replaced_element_by_element():
    kind = pa.list_(pa.string())
    values = [["skipped"], ["A", "B"], None, [], ["A", None, "x" * 40]]
    made = Pseudonymiser(BANK).column(pa.array(values, kind).slice(1)).to_pylist()
    a, b, long = column(["A", "B", "x" * 40])
    assert made == [[a, b], None, [], [a, None, long]]


def test_other_types_are_taken_as_text():
    made = Pseudonymiser(BANK).column(pa.array([12, None, -3], pa.int64())).to_pylist()
    assert made == column(["12", None, "-3"])


@pytest.mark.parametrize(
    "text", ["", "p", "x" * 33, "p" + "0" * 32, "p" + "g" * 32, "p" + "0" * 34]
)
def test_what_is_no_pseudonym_is_refused_without_being_repeated(text):
    with pytest.raises(InvalidRequestError) as refusal:
        Pseudonymiser(BANK).reveal(pa.array([text]))
    assert refusal.value.code == "BAD_ID"


def test_another_consumers_pseudonym_and_a_hash_are_refused():
    (theirs,), (hashed,) = column(["91460000MA5T00000X"], AGENCY), column(["x" * 40])
    for text in (theirs, hashed):
        with pytest.raises(InvalidRequestError):
            Pseudonymiser(BANK).reveal(pa.array([text]))


def test_keys_are_derived_from_master_and_consumer():
    assert ConsumerKeys.derive(MASTER, "uscc:BANK") == BANK
    assert len({BANK, AGENCY, ConsumerKeys.derive(MASTER[::-1], "uscc:BANK")}) == 3
    assert BANK.permutation != BANK.digest
    assert BANK.permutation.hex() not in repr(BANK)


@pytest.mark.parametrize(("master", "consumer"), [(b"short", "uscc:X"), (MASTER, "")])
def test_keys_need_a_long_master_and_a_consumer(master, consumer):
    with pytest.raises(ValueError, match="master key"):
        ConsumerKeys.derive(master, consumer)


def test_the_form_of_today_is_the_form_of_ever():
    """A pseudonym is stored by consumers: neither key derivation nor packing may change."""
    assert column(["91460000MA5T00000X", "abc", "", "x" * 40]) == FROZEN


def test_a_column_that_repeats_a_few_values_is_made_as_any_other():
    few = [
        *CODES,
        "海南省",
        "0123456789ABCDEFGH",
        "",
        *(f"long value number {n}" for n in range(9)),
    ]
    values = (few * 100)[:1100]
    assert column(values) == [column([value])[0] for value in values]
    with_nulls = [None, *values]
    assert column(with_nulls) == [None, *column(values)]
