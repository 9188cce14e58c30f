from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import InternalError
from gateway.domain.product import Field
from gateway.domain.vocabulary import BorderDefault, FieldClass
from gateway.registry.arrow_schema import arrow_type
from gateway.registry.catalogue import Catalogue
from gateway.release.generalise import BANDS, EDGES, band, city, kernel_for, presence, year

MONEY = pa.decimal128(38, 6)


def of(values, kind) -> list:
    return values(pa.array(kind[0], kind[1])).to_pylist()


def field(generalisation: str = "") -> Field:
    args = ("f", "名", "f", "string", FieldClass.P0, "u", BorderDefault.TRANSFORM)
    return Field(*args, generalisation=generalisation)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0", "[0, 1)"),
        ("0.999999", "[0, 1)"),
        ("1", "[1, 5)"),
        ("99.999999", "[50, 100)"),
        ("100", "[100, 500)"),
        ("-0.000001", "(-inf, 0)"),
        ("4999999999999.999999", "[1000000000000, 5000000000000)"),
        ("99999999999999999999999999999999.999999", "[5000000000000, +inf)"),
        (None, None),
    ],
)
def test_a_band_includes_its_lower_edge_only(amount, expected):
    value = None if amount is None else Decimal(amount)
    assert of(band, ([value], MONEY)) == [expected]
    assert of(band, ([value] * 9, MONEY)) == [expected] * 9  # many go another way


@settings(deadline=None)
@given(st.decimals(-10, 10**14, places=6, allow_nan=False))
def test_every_amount_is_in_the_band_it_is_given(amount):
    place = sum(edge <= amount for edge in EDGES)
    assert of(band, ([amount], MONEY)) == [BANDS[place]]


@given(
    st.lists(st.none() | st.floats() | st.sampled_from([float(edge) for edge in EDGES]), max_size=8)
)
def test_few_amounts_have_the_bands_that_many_have(amounts):
    few = of(band, (amounts, pa.float64()))
    many = of(band, (amounts * 9 + [None] * 9, pa.float64()))
    assert many[: len(few)] == few


def test_bands_of_floats_and_integers():
    assert of(band, ([float("nan"), float("inf"), 3.0], pa.float64())) == [
        None,
        BANDS[-1],
        "[1, 5)",
    ]
    assert of(band, ([2**63 - 1, None, -1], pa.int64())) == [BANDS[-1], None, BANDS[0]]


def test_a_year_is_that_of_hainan():
    assert of(year, ([date(2024, 12, 31), None], pa.date32())) == ["2024", None]
    instant = datetime(2024, 12, 31, 16, 0, tzinfo=UTC)
    assert of(year, ([instant], pa.timestamp("s", "Asia/Shanghai"))) == ["2025"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("海南省海口市龙华区滨海大道1号", "海南省海口市"),
        ("海口市龙华区滨海大道1号", "海口市"),
        ("海南省陵水黎族自治县椰林镇", "海南省陵水黎族自治县"),
        ("广东省深圳市南山区", "广东省深圳市"),
        ("北京市海淀区中关村", "北京市"),
        ("四川省凉山彝族自治州西昌市", "四川省凉山彝族自治州"),
        ("460105", "460100"),
        ("469028", "469028"),
        ("滨海大道1号", None),
        ("060105", None),
        ("4601051", None),
        ("", None),
        (None, None),
    ],
)
def test_a_place_becomes_its_city_or_nothing(value, expected):
    assert of(city, ([value], pa.string())) == [expected]


@settings(deadline=None)
@given(st.text(max_size=30))
def test_a_place_never_says_more_than_before(text):
    (found,) = of(city, ([text], pa.string()))
    assert found is None or found == text[: len(found)] or found[:4] == text[:4]


def test_the_contract_names_the_transform_or_the_type_implies_it():
    assert kernel_for(field("band"), MONEY) == (band, pa.string())
    assert kernel_for(field(), pa.int64()) == (band, pa.string())
    assert kernel_for(field(), pa.date32()) == (year, pa.string())
    assert kernel_for(field("city"), pa.string()) == (city, pa.string())
    assert kernel_for(field("presence"), pa.list_(pa.string())) == (presence, pa.bool_())


def test_presence_tells_only_whether_there_is_a_value():
    assert of(presence, (["x", "", None], pa.string())) == [True, False, False]
    assert of(presence, ([0, None], pa.int64())) == [True, False]


def test_every_field_of_the_catalogue_can_be_enforced(root):
    """What the contracts name as a transform, enforcement has."""
    catalogue = Catalogue.load(root / "policies" / "catalogue")
    seen = 0
    for name in catalogue.names():
        for one in catalogue.product(name).fields.values():
            if one.generalisation:
                kernel, made = kernel_for(one, arrow_type(one))
                assert kernel(pa.nulls(2, arrow_type(one))).type == made
                seen += 1
    assert seen >= 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", pa.string()),
        ("city", pa.int64()),
        ("band", pa.string()),
        ("year", MONEY),
        ("round", MONEY),
        ("", pa.bool_()),
        ("", pa.list_(pa.string())),
    ],
)
def test_a_field_without_a_fitting_transform_is_not_released(name, kind):
    with pytest.raises(InternalError) as refusal:
        kernel_for(field(name), kind)
    assert refusal.value.code == "POLICY_UNKNOWN_ANSWER"
