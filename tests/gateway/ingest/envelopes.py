"""Records with only the envelope columns that admission looks at."""

import datetime as dt
from dataclasses import replace

import pyarrow as pa

from gateway.domain.product import Product
from gateway.registry.catalogue import Catalogue

CATALOGUE = Catalogue.load()
PENALTY = CATALOGUE.product("admin_penalty")
COMMITMENT = CATALOGUE.product("credit_commitment")
DEBTOR = CATALOGUE.product("judgement_debtor")
SCHEMA = pa.schema(
    {
        "is_adverse": pa.bool_(),
        "severity": pa.string(),
        "determination_date": pa.date32(),
        "publicity_start": pa.date32(),
        "publicity_end": pa.date32(),
        "publicity_state": pa.string(),
        "share_state": pa.string(),
        "fulfilled_on": pa.date32(),
    }
)
DAY = dt.date.fromisoformat
# An adverse record that may leave: published, classed, dated, fulfilled.
GOOD = {
    "is_adverse": True,
    "severity": "GENERAL",
    "determination_date": DAY("2026-01-31"),
    "publicity_start": DAY("2026-02-03"),
    "publicity_end": DAY("2027-01-31"),
    "publicity_state": "PUBLIC",
    "share_state": "ACTIVE",
    "fulfilled_on": DAY("2026-02-10"),
}


def batch(*changes: dict, schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    """Return one record for each set of changes to `GOOD`."""
    rows = [{name: (GOOD | change).get(name) for name in schema.names} for change in changes]
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def not_adverse(product: Product) -> Product:
    """Return the product as one whose records are not adverse by themselves."""
    return replace(product, adverse=False)
