"""The Arrow types of a data contract, the same wherever its records are held or sent."""

import re

import pyarrow as pa

from gateway.domain.product import Field, Product

TIME_ZONE = "Asia/Shanghai"
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_PLAIN: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("s", TIME_ZONE),
    "boolean": pa.bool_(),
    "list<string>": pa.list_(pa.string()),
}


def arrow_type(field: Field) -> pa.DataType:
    """Return the Arrow type of a field; enumerations are strings.

    Raises:
        ValueError: When the contract's type is unknown, which `Catalogue.load` excludes.
    """
    if field.type in _PLAIN:
        return _PLAIN[field.type]
    if field.type.startswith("enum("):
        return pa.string()
    decimal = _DECIMAL.fullmatch(field.type)
    if decimal is None:
        raise ValueError("unknown type in a data contract")
    return pa.decimal128(int(decimal[1]), int(decimal[2]))


def arrow_schema(product: Product) -> pa.Schema:
    """Return the schema of a product's records, in the contract's order.

    The keys of subject and record are not nullable; nothing else is promised by a source.
    """
    keys = {product.subject_key, product.record_key}
    return pa.schema(
        [
            pa.field(name, arrow_type(field), nullable=name not in keys)
            for name, field in product.fields.items()
        ]
    )
