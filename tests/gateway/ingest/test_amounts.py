"""Amounts as published registers write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ingest.amounts import Amount, AmountError, parse_amount


@pytest.mark.parametrize(
    ("text", "value", "currency"),
    [
        ("1,000(万元人民币)", "1000", "CNY"),
        ("100万人民币", "100", "CNY"),
        ("135.6万人民币", "135.6", "CNY"),
        ("10(万美元)", "10", "USD"),
        ("1,485.6000(万港币)", "1485.6", "HKD"),
        ("200(万元)", "200", "CNY"),
        ("5(万人民币元)", "5", "CNY"),
        ("1,011,179.4000(万元人民币)", "1011179.4", "CNY"),
        ("164,463.6426(万)", "164463.6426", None),
        ("3(万日元)", "3", "JPY"),
        ("0.0001万人民币", "0.0001", "CNY"),
        ("１,０００（万元人民币）", "1000", "CNY"),
        ("　１００（万元）　", "100", "CNY"),
        ("50000元", "5", "CNY"),
        ("500000(美元)", "50", "USD"),
        ("0(万元)", "0", "CNY"),
    ],
)
def test_published_amounts(text, value, currency):
    assert parse_amount(text) == Amount(Decimal(value), currency)


@pytest.mark.parametrize("text", ["N/A", "n/a", "", "  ", "无", "—".replace("—", "-"), "Ｎ／Ａ"])
def test_a_missing_amount_is_none(text):
    assert parse_amount(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "100",  # no unit at all: ten thousands of what, or of nothing?
        "万元",
        "-5(万元)",
        "1,00(万元)",
        "1,0000(万元)",
        "1.2.3万元",
        "100(万元",
        "100(万卢布)",
        "100(亿元)",
        "一百万元",
        "1e3(万元)",
        "0.0000001(万元)",  # more places than the contract has: never rounded
        "1元5角",
        "1234567890123(万元)",
        "1.0000000000000000000000000000001(万元)",  # Decimal itself would round it
        "0.000000000000000000000000000000(万元)",
        "100(万元)100(万元)",
        "土产、日杂",
        "9" * 5000 + "万元",
    ],
)
def test_what_is_no_amount_is_refused_without_being_repeated(text):
    with pytest.raises(AmountError) as caught:
        parse_amount(text)
    assert text not in str(caught.value)


@given(
    st.decimals(min_value=0, max_value=10**12 - 1, places=4),
    st.sampled_from(["万元", "(万元)", "(万元人民币)", "万人民币"]),
    st.booleans(),
    st.booleans(),
)
def test_a_written_amount_is_read_back(value, unit, grouped, wide):
    text = f"{value:,f}{unit}" if grouped else f"{value:f}{unit}"
    if wide:
        text = text.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789(),."})
    assert parse_amount(text) == Amount(value, "CNY")


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text):
    try:
        amount = parse_amount(text)
    except AmountError:
        return
    assert amount is None or amount.value >= 0
