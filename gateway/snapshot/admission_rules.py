"""Which records may be shared at admission, and until when: R02, R03, R10, R20 to R24.

Whole-column kernels; no row is visited in Python. Both deny on doubt: a null, an unknown
word or a missing date makes a record not shareable. Time plays no part in `shareable`;
`expires_at` says when the bit it gave stops being true. Domain-rules 4.2, 4.3, 9.2 and 13.
"""

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gateway.domain.period import DAY_S, PeriodBasis, PeriodTable
from gateway.domain.product import Product
from gateway.registry.periods import lawful_periods
from gateway.snapshot.calendar_columns import (
    NEVER,
    NO_DAY,
    Column,
    Days,
    add_months,
    days_of,
    ends_of_days,
)
from gateway.snapshot.uscc_column import valid_usccs

Rows = pa.RecordBatch | pa.Table

# Domain-rules 4.3: disputed records and those with a pending repair are still shared (the
# former with their label); every other state is a reason to withhold.
SHARED_STATES = ("ACTIVE", "DISPUTED", "REPAIR_PENDING")
NEEDED_COLUMNS = (
    "is_adverse",
    "severity",
    "determination_date",
    "publicity_start",
    "publicity_end",
    "publicity_state",
    "share_state",
)


class AdmissionRuleError(Exception):
    """The batch lacks a column without which nothing can be known to be shareable."""


def shareable(batch: Rows, product: Product, periods: PeriodTable | None = None) -> pa.BooleanArray:
    """Return which records may leave at all, as far as their own state says.

    A record is shareable when its share state says so and, if it is adverse, when it is
    publicised, has a class with a lawful period and its end of sharing can be computed
    (R10, R03, R20; UNLABELLED mirrors the publicity state, domain-rules 13). A record under
    a code with a wrong check digit is never shareable (R02).

    Args:
        batch: Records with the envelope columns.
        product: Contract of the records; those of an adverse product are adverse whatever
            their own flag says.
        periods: Numbers of the law; by default those that ship with the policies.

    Raises:
        AdmissionRuleError: When an envelope column is missing.
    """
    _require_columns(batch)
    table = periods or lawful_periods()
    shared = _is_in(batch.column("share_state"), SHARED_STATES)
    public = _is_in(batch.column("publicity_state"), ("PUBLIC",))
    known = _is_in(batch.column("severity"), tuple(table.terms))
    dated = _has_computable_end(batch, product, table)
    named = _is_identified(batch, product)
    granted = shared & named & (~_adverse(batch, product) | (public & known & dated))
    return pa.array(granted, pa.bool_())


def expires_at(batch: Rows, product: Product, periods: PeriodTable | None = None) -> pa.Int64Array:
    """Return the unix second at which each record stops being shareable.

    The earliest of: the source's `publicity_end` (24:00, Asia/Shanghai), the lawful end of a
    record whose duty is fulfilled, and the product's own ends (removal from a list,
    withdrawal, end of the consent to share). `NEVER` when none of them is set.

    Raises:
        AdmissionRuleError: When an envelope column is missing.
    """
    _require_columns(batch)
    table = periods or lawful_periods()
    adverse = _adverse(batch, product)
    by_law = np.where(
        adverse,
        np.minimum(
            ends_of_days(days_of(batch.column("publicity_end"))),
            ends_of_days(_lawful_ends(batch, product, table)),
        ),
        NEVER,
    )
    own = _own_ends(batch, table.validities.get(product.name, ""))
    return pa.array(reduce(np.minimum, [by_law, *own]), pa.int64())


def overrunning(batch: Rows, product: Product, table: PeriodTable) -> npt.NDArray[np.bool_]:
    """Return which records declare a later end of publicity than the law allows.

    They are withheld after the lawful end all the same; the source has to mend them.
    """
    declared, lawful = days_of(batch.column("publicity_end")), _lawful_ends(batch, product, table)
    both = (declared != NO_DAY) & (lawful != NO_DAY) & _adverse(batch, product)
    late: npt.NDArray[np.bool_] = both & (declared > lawful)
    return late


def lawful_end_days(batch: Rows, product: Product, table: PeriodTable) -> Days:
    """Return the last lawful day of each record, in days since 1970; `NO_DAY` where none is."""
    return _lawful_ends(batch, product, table)


def _require_columns(batch: Rows) -> None:
    names = set(batch.schema.names)
    missing = [name for name in NEEDED_COLUMNS if name not in names]
    if missing:
        raise AdmissionRuleError(f"missing envelope columns: {', '.join(missing)}")


def _is_identified(batch: Rows, product: Product) -> npt.NDArray[np.bool_]:
    """R02: the code is right, or absent where the subject is a person's token."""
    if "uscc" not in batch.schema.names or "uscc" not in product.fields:
        return np.ones(batch.num_rows, dtype=np.bool_)
    codes = batch.column("uscc")
    valid = valid_usccs(codes)
    if product.subject_key == "uscc":
        return valid
    absent = np.asarray(_flat(codes).is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return np.logical_or(valid, absent)


def _flat(column: Column) -> "pa.Array[Any]":
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _is_in(column: Column, words: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    hits = pc.is_in(_flat(column), value_set=pa.array(list(words), pa.string()))
    return np.asarray(hits.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _adverse(batch: Rows, product: Product) -> npt.NDArray[np.bool_]:
    if product.adverse:
        return np.ones(batch.num_rows, dtype=np.bool_)
    flag = _flat(batch.column("is_adverse")).fill_null(True)
    return np.asarray(flag.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _starts(batch: Rows, basis: PeriodBasis) -> Days:
    name = "publicity_start" if basis is PeriodBasis.PUBLICITY else "determination_date"
    return days_of(batch.column(name))


def _has_computable_end(batch: Rows, product: Product, table: PeriodTable) -> npt.NDArray[np.bool_]:
    """R10 asks for a moment up to which the record is public; lists by state have none."""
    basis = table.basis(product.name)
    if basis in (PeriodBasis.STATE, PeriodBasis.COURT):
        return np.ones(batch.num_rows, dtype=np.bool_)
    has_end: npt.NDArray[np.bool_] = days_of(batch.column("publicity_end")) != NO_DAY
    has_start: npt.NDArray[np.bool_] = _starts(batch, basis) != NO_DAY
    return has_end & has_start


def _lawful_ends(batch: Rows, product: Product, table: PeriodTable) -> Days:
    """Return each record's longest lawful end; `NO_DAY` where the period sets none.

    A product without a `fulfilled_on` column can't show that a duty is still open, so the
    maximum holds for all of its records: shorter publicity is the safe side.
    """
    basis = table.basis(product.name)
    if basis in (PeriodBasis.STATE, PeriodBasis.COURT):
        return np.full(batch.num_rows, NO_DAY)
    severity = _flat(batch.column("severity"))
    months = np.zeros(batch.num_rows, dtype=np.int64)
    for name, term in table.terms.items():
        months[_is_in(severity, (name.value,))] = term.max_months
    ends = add_months(_starts(batch, basis), months)
    if "fulfilled_on" in batch.schema.names:
        uncorrected = days_of(batch.column("fulfilled_on")) == NO_DAY
        ends = np.where(uncorrected, NO_DAY, ends)
    return ends


def _own_ends(batch: Rows, validity: str) -> list[npt.NDArray[np.int64]]:
    """Return the ends that single products carry in columns of their own.

    Args:
        batch: The records.
        validity: Column with the last day of validity, for products whose values lapse (M35).
    """
    names = batch.schema.names
    ends: list[npt.NDArray[np.int64]] = []
    if validity in names:
        ends.append(ends_of_days(days_of(batch.column(validity))))
    if "removed_on" in names:  # 00:00 of the day of removal, the day before's 24:00
        removed = ends_of_days(days_of(batch.column("removed_on")))
        ends.append(np.where(removed == NEVER, NEVER, removed - DAY_S))
    if "share_until" in names:
        ends.append(ends_of_days(days_of(batch.column("share_until"))))
    # A record from abroad is as good as its own validity and its issuer's last word on it.
    for name in ("withdrawn_at", "fresh_until"):
        if name not in names:
            continue
        instants = _flat(batch.column(name)).cast(pa.timestamp("s", "Asia/Shanghai"))
        seconds = instants.cast(pa.int64()).fill_null(NEVER)
        ends.append(np.asarray(seconds.to_numpy(zero_copy_only=False), dtype=np.int64))
    return ends
