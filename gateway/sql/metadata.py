"""What a caller's catalog looks like: one catalog, one schema, and the products it is granted.

The tables here are those that the Flight SQL specification lays down, column by column.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

CATALOG = "xinguan"
SCHEMA = "public"
TABLE = "TABLE"
_arrow: Any = pa  # the published stubs lag behind pyarrow

_UNION = pa.dense_union(
    [
        pa.field("string_value", pa.string()),
        pa.field("bool_value", pa.bool_()),
        pa.field("bigint_value", pa.int64()),
        pa.field("int32_bitmask", pa.int32()),
        pa.field("string_list", pa.list_(pa.field("item", pa.string()))),
        pa.field(
            "int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.field("item", pa.int32())))
        ),
    ]
)
_SQL_INFO: dict[int, str | bool | int] = {
    0: "Xinguan",  # name
    1: "1",  # version
    2: pa.__version__,  # Arrow version
    3: True,  # read only
    4: True,  # SQL
    5: False,  # Substrait
    8: 0,  # transactions: none
    9: False,  # cancellation by an action; cancelling the call works
    500: False,  # DDL: catalogs
    501: False,  # DDL: schemas
    502: False,  # DDL: tables
    503: 3,  # names without quotes are folded to lower case
    504: '"',  # quotes around names
    505: 0,  # case of quoted names: as written
    506: True,  # every table can be selected from
    515: False,  # aliases of columns
    518: False,  # aliases of tables
    520: False,  # expressions in ORDER BY
    528: 0,  # joins: none
}


@dataclass(frozen=True, slots=True)
class Granted:
    """A product as it exists for one caller: its granted fields, and its key among them."""

    name: str
    schema: pa.Schema
    key: str | None


def sql_info(wanted: Collection[int]) -> pa.Table:
    """Return what the server is and supports.

    Args:
        wanted: Numbers of the entries, or empty for all; unknown numbers have no row.
    """
    rows = [(n, v) for n, v in _SQL_INFO.items() if not wanted or n in wanted]
    children: list[list[Any]] = [[], [], [], [], [], []]
    codes, offsets = [], []
    for _, value in rows:
        code = 1 if isinstance(value, bool) else 3 if isinstance(value, int) else 0
        codes.append(code)
        offsets.append(len(children[code]))
        children[code].append(value)
    names = [_UNION.field(i).name for i in range(_UNION.num_fields)]
    arrays = [pa.array(child, _UNION.field(i).type) for i, child in enumerate(children)]
    union = _arrow.UnionArray.from_dense(
        pa.array(codes, pa.int8()), pa.array(offsets, pa.int32()), arrays, names
    )
    schema = pa.schema(
        [pa.field("info_name", pa.uint32(), nullable=False), pa.field("value", union.type)]
    )
    return pa.Table.from_arrays([pa.array([n for n, _ in rows], pa.uint32()), union], schema=schema)


def catalogs() -> pa.Table:
    """Return the one catalog."""
    return _table([("catalog_name", False)], [(CATALOG,)])


def schemas(catalog: str | None, pattern: str | None) -> pa.Table:
    """Return the one schema where it fits."""
    fits = catalog in (None, CATALOG) and matches(SCHEMA, pattern)
    rows = [(CATALOG, SCHEMA)] if fits else []
    return _table([("catalog_name", True), ("db_schema_name", False)], rows)


def table_types() -> pa.Table:
    """Return the one type of table."""
    return _table([("table_type", False)], [(TABLE,)])


def tables(
    granted: Sequence[Granted],
    catalog: str | None,
    schema_pattern: str | None,
    pattern: str | None,
    types: Collection[str],
    *,
    with_columns: bool,
) -> pa.Table:
    """Return the products that fit, in the order of their names."""
    fits = (
        catalog in (None, CATALOG)
        and matches(SCHEMA, schema_pattern)
        and (not types or TABLE in types)
    )
    found = [g for g in sorted(granted, key=lambda g: g.name) if fits and matches(g.name, pattern)]
    table = _table(
        [
            ("catalog_name", True),
            ("db_schema_name", True),
            ("table_name", False),
            ("table_type", False),
        ],
        [(CATALOG, SCHEMA, g.name, TABLE) for g in found],
    )
    if not with_columns:
        return table
    column = pa.array([g.schema.serialize().to_pybytes() for g in found], pa.binary())
    return table.append_column(pa.field("table_schema", pa.binary(), nullable=False), column)


def primary_keys(
    granted: Sequence[Granted], catalog: str | None, schema: str | None, name: str
) -> pa.Table:
    """Return the key of a product, where the caller is granted it."""
    fits = catalog in (None, CATALOG) and schema in (None, SCHEMA)
    keys = [g.key for g in granted if fits and g.name == name and g.key is not None]
    table = _table(
        [
            ("catalog_name", True),
            ("db_schema_name", True),
            ("table_name", False),
            ("column_name", False),
            ("key_name", True),
        ],
        [(CATALOG, SCHEMA, name, key, None) for key in keys],
    )
    sequence = pa.array([1] * len(keys), pa.int32())
    return table.append_column(pa.field("key_sequence", pa.int32(), nullable=False), sequence)


def foreign_keys() -> pa.Table:
    """Return no keys: products do not refer to each other."""
    text = [
        ("pk_catalog_name", True), ("pk_db_schema_name", True), ("pk_table_name", False),
        ("pk_column_name", False), ("fk_catalog_name", True), ("fk_db_schema_name", True),
        ("fk_table_name", False), ("fk_column_name", False),
    ]  # fmt: skip
    fields: list[pa.Field[Any]] = [
        pa.field(name, pa.string(), nullable=null) for name, null in text
    ]
    fields += [
        pa.field("key_sequence", pa.int32(), nullable=False),
        pa.field("fk_key_name", pa.string()),
        pa.field("pk_key_name", pa.string()),
        pa.field("update_rule", pa.uint8(), nullable=False),
        pa.field("delete_rule", pa.uint8(), nullable=False),
    ]
    return pa.schema(fields).empty_table()


def matches(text: str, pattern: str | None) -> bool:
    """Return whether a name fits a pattern with % and _, in linear steps back at most."""
    if pattern is None:
        return True
    at, place, star, kept = 0, 0, -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "%":
            star, kept = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("_", text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            kept += 1
            at, place = kept, star + 1
        else:
            return False
    return not pattern[place:].strip("%")


def _table(columns: Sequence[tuple[str, bool]], rows: Sequence[tuple[str | None, ...]]) -> pa.Table:
    schema = pa.schema([pa.field(name, pa.string(), nullable=null) for name, null in columns])
    arrays = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(columns))]
    return pa.Table.from_arrays(arrays, schema=schema)
