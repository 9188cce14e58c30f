"""What may be copied into the store apart: which fields of a product, and whose records."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from gateway.decision.tables import read_table
from gateway.domain.facts import Whitelist
from gateway.domain.product import Product
from gateway.domain.vocabulary import BorderDefault
from gateway.registry.periods import POLICIES
from gateway.snapshot.bitmap import Flags
from gateway.snapshot.disputes import DISPUTE_FLAG
from gateway.snapshot.snapshot import Snapshot

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
# Columns by which the policy withholds rows, and the one by which values that are older than a
# repair are withheld. They are held, sealed, and can't leave unless a whitelist names them too.
PREDICATE_COLUMNS = frozenset(
    {"share_state", "determination_date", "subject_type", "publicity_state", "issuer"}
)
UPDATED_AT = "source_updated_at"
_APPROVALS = 2
_SUBJECT_TYPE = "subject_type"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is copied of a product.

    Args:
        fields: Fields that may leave, sorted; empty when nothing may.
        needed: Columns that the gate needs to withhold rows.
        persons: Whether records of natural persons are copied.
        whitelists: Log indexes of the whitelists in effect that say so, sorted.
    """

    fields: tuple[str, ...]
    needed: tuple[str, ...]
    persons: bool
    whitelists: tuple[int, ...]


def scope_of(
    product: Product,
    whitelists: Mapping[tuple[str, str], Collection[Whitelist]],
    derived: Collection[str],
    now: int,
) -> Scope:
    """Return what may be copied of a product now.

    A field is copied when a whitelist in effect names it and its contract doesn't keep it inside;
    the label of a dispute goes with it, since no disputed record leaves without (R14). Records of
    natural persons are copied only where such a whitelist is bound to a mechanism.

    Args:
        product: The contract.
        whitelists: Partner and product to the approved versions, oldest first.
        derived: Products whose values are computed from records.
        now: Unix seconds.
    """
    effective = [
        found
        for (_, name), versions in whitelists.items()
        if name == product.name and (found := _in_effect(versions, now)) is not None
    ]
    named = {name for whitelist in effective for name in whitelist.fields}
    if named:
        named.add(DISPUTE_FLAG)
    fields = sorted(
        name
        for name in named
        if name in product.fields and product.fields[name].border is not BorderDefault.DENY
    )
    needed = PREDICATE_COLUMNS | ({UPDATED_AT} if product.name in derived else frozenset())
    return Scope(
        fields=() if set(fields) <= {DISPUTE_FLAG} else tuple(fields),
        needed=tuple(sorted(needed & set(product.fields))),
        persons=any(whitelist.mechanism for whitelist in effective),
        whitelists=tuple(sorted(whitelist.index for whitelist in effective)),
    )


def copied_rows(snapshot: Snapshot, scope: Scope, now: int) -> Flags:
    """Return for each row of a domestic snapshot whether it is copied: it may be shared now."""
    flags = snapshot.shareable_slice(0, snapshot.rows, now)
    if scope.persons or not snapshot.rows:
        return flags
    organisations: Flags = flags & ~_persons(snapshot)
    return organisations


def _in_effect(versions: Collection[Whitelist], now: int) -> Whitelist | None:
    """Return the newest version that began, unless it was withdrawn: none older replaces it."""
    begun = [version for version in versions if version.not_before <= now]
    if not begun:
        return None
    newest = max(begun, key=lambda version: version.version)
    ended = newest.withdrawn_at is not None and newest.withdrawn_at <= now
    return None if ended or len(newest.approvals) < _APPROVALS else newest


def _persons(snapshot: Snapshot) -> Flags:
    """Return for each row whether it is about a person, or nobody can tell."""
    if _SUBJECT_TYPE not in snapshot.schema.names:
        return np.ones(snapshot.rows, np.bool_)
    kinds = pa.array(sorted(_person_kinds()), pa.string())
    found = []
    for number in range(snapshot.batch_count):
        column: Any = snapshot.batch(number).rows.column(_SUBJECT_TYPE).cast(pa.string())
        about = pc.or_(pc.is_in(column, value_set=kinds), pc.is_null(column))
        found.append(about.to_numpy(zero_copy_only=False))
    return np.concatenate(found)


@lru_cache(maxsize=1)
def _person_kinds() -> frozenset[str]:
    values = read_table(POLICIES / "data", "lists")["person_kinds"]["values"]
    if not isinstance(values, list):
        raise TypeError("person_kinds: a list is expected")
    return frozenset(str(value) for value in values)
