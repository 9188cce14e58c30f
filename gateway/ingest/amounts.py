"""Amounts of registered capital as published: `1,000(万元人民币)`, `100万人民币`, `10(万美元)`.

The number is in ten thousands (万) of a currency. Where the source names a unit without a
currency (`万`), the amount has none: 万元 is yuan, but 万 alone may be anything.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from gateway.ingest.encodings import narrow

PRECISION = 18  # digits of decimal(18,6)
SCALE = 6

_AMOUNT = re.compile(
    r"(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)"
    r"\s*(?:\(\s*(?P<inside>[^()0-9]+?)\s*\)|(?P<after>[^()0-9]+))"
)
_MISSING = frozenset({"", "N/A", "NA", "NULL", "-", "--", "无", "/"})
_TEN_THOUSAND = 10_000
_MOST_DIGITS = 24  # of a published number; divided by ten thousand it is still exact
# Unit words to the factor that brings the number to ten thousands, and the ISO 4217 code.
_CURRENCIES = {
    "": None,
    "元": "CNY",
    "人民币": "CNY",
    "元人民币": "CNY",
    "人民币元": "CNY",
    "美元": "USD",
    "港币": "HKD",
    "港元": "HKD",
    "日元": "JPY",
    "欧元": "EUR",
    "英镑": "GBP",
    "新加坡元": "SGD",
    "新台币": "TWD",
    "澳门元": "MOP",
}


class AmountError(ValueError):
    """The text is no amount of money; it is not repeated here."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount in ten thousands of a currency.

    Args:
        value: At most 6 decimal places and 18 digits.
        currency: ISO 4217 code, or None when the source names none.
    """

    value: Decimal
    currency: str | None


def parse_amount(text: str) -> Amount | None:
    """Return the amount, or None where the source has none (`N/A`).

    Raises:
        AmountError: When it is no amount, has an unknown unit or currency, or needs more
            digits than the contract has: nothing is rounded.
    """
    plain = narrow(text)
    if plain.upper() in _MISSING:
        return None
    match = _AMOUNT.fullmatch(plain)
    if match is None:
        raise AmountError("not a number with its unit")
    words = (match["inside"] or match["after"]).replace(" ", "")
    number = match["number"].replace(",", "")
    if len(number) > _MOST_DIGITS:
        raise AmountError("more digits than the contract has")
    value = Decimal(number)
    if words.startswith("万"):
        currency = _currency(words[1:])
    else:
        currency = _currency(words)
        if currency is None:
            raise AmountError("not a number with its unit")
        value /= _TEN_THOUSAND
    return Amount(_exact(value), currency)


def _currency(words: str) -> str | None:
    if words not in _CURRENCIES:
        raise AmountError("an unknown unit or currency")
    return _CURRENCIES[words]


def _exact(value: Decimal) -> Decimal:
    """Return the value if decimal(18,6) holds it without loss."""
    plain = value.normalize()
    places = plain.as_tuple().exponent
    if not isinstance(places, int) or -places > SCALE:
        raise AmountError("more decimal places than the contract has")
    if plain.adjusted() >= PRECISION - SCALE:
        raise AmountError("more digits than the contract has")
    return plain
