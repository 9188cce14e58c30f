"""Joining whole columns of text; the one place where Arrow's variadic kernel is called."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Arrow's classes take parameters in the stubs only, hence the text.
TextColumn: TypeAlias = "pa.Array[Any]"


def joined(*parts: "TextColumn | str", separator: str = "") -> TextColumn:
    """Return the parts of each row joined; at least one part is a column.

    A row with a null part is null.
    """
    column: TextColumn = pc.binary_join_element_wise(*parts, separator)  # type: ignore[call-overload]  # the stubs know no mixture of columns and texts
    return column


def padded(numbers: npt.NDArray[np.int64], width: int) -> TextColumn:
    """Return numbers as texts of at least `width` digits."""
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
