"""Which records may enter at all: R01, R05, R06, as whole-column checks.

A record that breaks one of them is rejected: it is held back with its rule and never served.
Those of R02 and R03 enter and are withheld (`gateway.snapshot.admission_rules`), because their
source may still mend them. Every check denies on doubt: a null or an unknown word breaks the rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gateway.decision.tables import read_table
from gateway.domain.product import Product
from gateway.registry.periods import POLICIES

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """One item of the effective catalogue: the national base and Hainan's supplement (M15).

    Args:
        product: Product that its records belong to.
        versions: Versions of the catalogue in which it is effective.
    """

    product: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    """The records of a batch that break one rule.

    Args:
        rule: Rule id.
        code: Reason code of the rule.
        rows: True where a record breaks it.
    """

    rule: str
    code: str
    rows: Flags


@lru_cache(maxsize=1)
def catalogue_items() -> Mapping[str, CatalogueItem]:
    """Return the effective catalogue, from `policies/data/catalogue_items.json`.

    Raises:
        ValueError: When the table is malformed.
    """
    items = {}
    for item_id, entry in read_table(POLICIES / "data", "catalogue_items").items():
        product, versions = entry.get("product"), entry.get("versions")
        if not isinstance(product, str) or not isinstance(versions, list) or not versions:
            raise ValueError(f"catalogue_items.{item_id}: names a product and its versions")
        items[item_id] = CatalogueItem(product, tuple(map(str, versions)))
    return items


def responsible_units(product: Product) -> frozenset[str]:
    """Return the units that answer for a product or a field of it (谁管理谁负责), as USCCs."""
    return frozenset(
        {field.unit_uscc for field in product.fields.values()} | {product.manager_uscc}
    )


def breaches(
    batch: pa.RecordBatch,
    product: Product,
    items: Mapping[str, CatalogueItem] | None = None,
) -> tuple[Breach, ...]:
    """Return which records break which rule of entry.

    Args:
        batch: Records with the contract's columns.
        product: Their contract.
        items: The effective catalogue; by default the one that ships with the policies.
    """
    found = [
        Breach("R01", "NOT_IN_CATALOGUE", ~_catalogued(batch, product, items or catalogue_items())),
        Breach("R05", "WRONG_SOURCE", ~_from_responsible(batch, product)),
    ]
    if "truth_commitment_id" in product.fields:
        found.append(Breach("R06", "NO_TRUTH_COMMITMENT", ~_committed(batch)))
    return tuple(found)


def _catalogued(
    batch: pa.RecordBatch, product: Product, items: Mapping[str, CatalogueItem]
) -> Flags:
    """R01: item and version together are effective, and the item is one of this product."""
    known = [
        f"{item_id}\x1f{version}"
        for item_id, item in items.items()
        if item.product == product.name
        for version in item.versions
    ]
    stated: Any = pc.binary_join_element_wise(  # type: ignore[call-overload]  # the stubs know no mixture of columns and texts
        batch.column("catalogue_item_id"), batch.column("catalogue_version"), "\x1f"
    )
    return _flags(pc.is_in(stated, value_set=pa.array(known, pa.string())))


def _from_responsible(batch: pa.RecordBatch, product: Product) -> Flags:
    """R05: the source is one of the units that answer for the product."""
    units = pa.array(sorted(responsible_units(product)), pa.string())
    return _flags(pc.is_in(batch.column("source_unit_uscc"), value_set=units))


def _committed(batch: pa.RecordBatch) -> Flags:
    """R06: a truth commitment with an id and the time of its signature stands behind it."""
    signed = batch.column("signed_at").is_valid()
    commitments: Any = batch.column("truth_commitment_id").fill_null("")
    length: Any = pc.utf8_length(pc.utf8_trim_whitespace(commitments))
    return _flags(signed) & (np.asarray(length.to_numpy(zero_copy_only=False)) > 0)


def _flags(column: Any) -> Flags:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)
