"""Generalisation: what replaces an exact value where only its order of size may be seen.

    band      an amount becomes the half-open band it lies in, `[100, 500)`, as text in the
              field's unit; 以上 includes the number and 不满 excludes it (Civil Code art. 1259)
    year      a date or an instant becomes its year in Asia/Shanghai
    city      a division code (GB/T 2260) or an address becomes its city-level division; in
              Hainan the counties that the province manages directly are city-level
    presence  any value becomes whether there is one at all

A value that a transform doesn't understand becomes null, never itself.
"""

from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from gateway.domain.errors import InternalError
from gateway.domain.product import Field

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
Kernel = Callable[[Any], Any]

EDGES = (0, *(step * 10**power for power in range(13) for step in (1, 5)))
BANDS = (
    "(-inf, 0)",
    *(f"[{low}, {high})" for low, high in pairwise(EDGES)),
    f"[{EDGES[-1]}, +inf)",
)
_EDGE_VALUES = np.array([*EDGES, np.nan], dtype=np.float64)
# Of so few amounts, those of one record above all, each is looked up by itself: six kernels of
# Arrow cost ten times that, and each gives up the interpreter's lock.
_FEW = 8
_TO_FLOAT = pc.CastOptions.unsafe(pa.float64())
_BAND_NAMES: Any = pa.array([*BANDS, None], pa.string())

HAINAN_CITIES = (
    *("海口市", "三亚市", "三沙市", "儋州市", "五指山市", "文昌市", "琼海市", "万宁市", "东方市"),
    *("定安县", "屯昌县", "澄迈县", "临高县"),
    *("白沙黎族自治县", "昌江黎族自治县", "乐东黎族自治县", "陵水黎族自治县"),
    *("保亭黎族苗族自治县", "琼中黎族苗族自治县"),
)
_ADDRESS = (
    r"^(?:中国)?(?P<city>(?:海南省)?(?:" + "|".join(HAINAN_CITIES) + r")"
    r"|(?:北京|上海|天津|重庆)市"
    r"|(?:\p{Han}{2,3}省|\p{Han}{2,6}自治区)?\p{Han}{2,10}?(?:自治州|地区|盟|市))"
)
_DIVISION = r"^(?P<code>[1-9][0-9]{5})$"
# 4690xx: counties and cities that Hainan manages directly; shortened they would all be one.
_DIRECT = "4690"


def band(values: Any) -> Any:
    """Return the band of each amount; null and not-a-number become null."""
    if len(values) <= _FEW:
        return pa.array([_band(value) for value in values.to_pylist()], pa.string())
    # Rounded down before the cast, so that a decimal just under an edge stays under it.
    # Integers are whole already, and Arrow's floor would refuse those over 2^53.
    whole = values if pa.types.is_integer(values.type) else pc.floor(values)
    amounts = pc.cast(whole, options=_TO_FLOAT).to_numpy(zero_copy_only=False)
    # A null arrives as not-a-number, which sorts behind every edge: its band is null.
    return _BAND_NAMES.take(pa.array(np.searchsorted(_EDGE_VALUES, amounts, side="right")))


def _band(amount: Decimal | float | None) -> str | None:
    # Not-a-number is the one value that isn't itself.
    return None if amount is None or amount != amount else BANDS[bisect_right(EDGES, amount)]  # noqa: PLR0124


def year(values: Any) -> Any:
    """Return the year of each date or instant, four digits, as text."""
    return pc.year(values).cast(pa.string())


def city(values: Any) -> Any:
    """Return the city-level division of each division code or address, or null."""
    code = pc.struct_field(pc.extract_regex(values, _DIVISION), 0)
    short = pc.binary_join_element_wise(pc.utf8_slice_codeunits(code, 0, 4), "00", "")
    by_code = pc.if_else(pc.starts_with(code, _DIRECT), code, short)
    by_address = pc.struct_field(pc.extract_regex(values, _ADDRESS), 0)
    return pc.coalesce(by_code, by_address)


def presence(values: Any) -> Any:
    """Return for each value whether it is there; an empty text is not."""
    there = values.is_valid()
    if not pa.types.is_string(values.type):
        return there
    return pc.and_(there, pc.not_equal(values, "").fill_null(False))


_KERNELS: dict[str, tuple[Kernel, Any]] = {
    "band": (band, pa.string()),
    "year": (year, pa.string()),
    "city": (city, pa.string()),
    "presence": (presence, pa.bool_()),
}


def kernel_for(field: Field, column_type: Any) -> tuple[Kernel, Any]:
    """Return the transform that the contract names for a field, or its type's own.

    Returns:
        The kernel and the Arrow type of what it makes.

    Raises:
        InternalError: `POLICY_UNKNOWN_ANSWER` when there is none that fits the type.
    """
    types = pa.types
    temporal = types.is_date(column_type) or types.is_timestamp(column_type)
    number = types.is_integer(column_type) or types.is_decimal(column_type)
    number = number or types.is_floating(column_type)
    default = "year" if temporal else "band" if number else ""
    name = field.generalisation or default
    text = types.is_string(column_type)
    fits = {"band": number, "year": temporal, "city": text, "presence": True}
    if not fits.get(name, False):
        raise InternalError(
            "POLICY_UNKNOWN_ANSWER", "a field is to be generalised and has no way to be"
        )
    return _KERNELS[name]
