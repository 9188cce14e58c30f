"""Which row groups of Parquet files can hold a record that meets a condition.

Arrow skips row groups by their statistics, but not by a column that is null anywhere in the
group, and nearly every column of a contract may be. A null meets no comparison, so the bounds
of the other values are enough.
"""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds

from adapters.predicate import Compare, In, IsNull, Operator, Predicate, visit

# Types whose bounds are read back as the values that conditions have, in the same order.
_BOUNDED: Final = (pa.types.is_integer, pa.types.is_date32, pa.types.is_string)
_NEGATED: Final = {
    Operator.EQ: Operator.NE,
    Operator.NE: Operator.EQ,
    Operator.LT: Operator.GE,
    Operator.GE: Operator.LT,
    Operator.GT: Operator.LE,
    Operator.LE: Operator.GT,
}
_Bounds = Mapping[str, Mapping[str, Any]]  # Any: values of a column


def with_row_groups(dataset: ds.FileSystemDataset, predicate: Predicate) -> ds.FileSystemDataset:
    """Return the dataset without the row groups that hold no record to be found.

    The condition still has to be applied to what is left.
    """
    fragments = []
    for fragment in dataset.get_fragments():
        groups: Any = fragment  # Any: only Parquet's fragments have row groups
        kept = [
            group.id for group in groups.row_groups if _possible(group, predicate, dataset.schema)
        ]
        if len(kept) == groups.num_row_groups:
            fragments.append(fragment)
        elif kept:
            fragments.append(groups.subset(row_group_ids=kept))
    return ds.FileSystemDataset(fragments, dataset.schema, dataset.format, dataset.filesystem)


def _possible(group: Any, predicate: Predicate, schema: pa.Schema) -> bool:
    try:
        return visit(predicate, _Possible(schema, group.statistics or {}))
    except (TypeError, ValueError):
        return True  # the file's writer kept bounds that can't be read as values


class _Possible:
    """Tells whether a row group can hold a record that meets the condition; in doubt it can."""

    def __init__(self, schema: pa.Schema, bounds: _Bounds) -> None:
        self._schema = schema
        self._bounds = bounds

    def compare(self, leaf: Compare, *, negated: bool) -> bool:
        limits = self._limits(leaf.column)
        if limits is None:
            return True
        least, greatest = limits
        value: Any = leaf.value
        held = {
            Operator.EQ: least <= value <= greatest,
            Operator.NE: least != value or greatest != value,
            Operator.LT: least < value,
            Operator.LE: least <= value,
            Operator.GT: greatest > value,
            Operator.GE: greatest >= value,
        }
        return bool(held[_NEGATED[leaf.operator] if negated else leaf.operator])

    def one_of(self, leaf: In, *, negated: bool) -> bool:
        if negated:
            return True
        same = (Compare(leaf.column, Operator.EQ, value) for value in leaf.values)
        return any(self.compare(one, negated=False) for one in same)

    def is_null(self, leaf: IsNull, *, negated: bool) -> bool:  # noqa: ARG002 - the protocol's
        return True

    def both(self, terms: list[bool]) -> bool:
        return all(terms)

    def either(self, terms: list[bool]) -> bool:
        return any(terms)

    def _limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the least and the greatest value of a column, or None when unknown."""
        kind = self._schema.field(column).type
        found = self._bounds.get(column)
        if found is None or not any(is_kind(kind) for is_kind in _BOUNDED):
            return None
        least, greatest = found.get("min"), found.get("max")
        return None if least is None or greatest is None else (least, greatest)
