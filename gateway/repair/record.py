"""Where records stand: what its source says, and what was decided on it since."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.domain.period import (
    PeriodError,
    PeriodTable,
    Severity,
    end_of_day,
    lawful_period,
)
from gateway.domain.product import Product
from gateway.domain.share_state import ShareState, Standing, standing_of
from gateway.repair.precedence import precedence_of
from gateway.snapshot.admission import NEVER
from gateway.snapshot.disputes import DISPUTE_FLAG
from gateway.snapshot.snapshot import Snapshot
from gateway.store.bulk import for_each_of
from gateway.store.migration import Statements

_WANTED = (
    "share_state",
    DISPUTE_FLAG,
    "severity",
    "determination_date",
    "publicity_start",
    "fulfilled_on",
)
_COLUMNS = "base, disputed, pending, masked, ended, dispute_id, mask_ends_at"


@dataclass(frozen=True, slots=True)
class Record:
    """An admitted record as its source states it.

    Args:
        key: Its record key.
        subject: Its subject's code.
        standing: Where it stands by its source.
        ends_at: Unix seconds at which its sharing ends; None when no date ends it.
        repairable_from: Unix seconds from which a repair is no longer early; None when its
            duty is still open or its period can't be computed.
        can_be_labelled: Whether the contract has a field for 异议标注.
        follows: The publicity authority that prevails for it, or empty (R11).
    """

    key: str
    subject: str
    standing: Standing
    ends_at: int | None
    repairable_from: int | None
    can_be_labelled: bool
    follows: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided on a record so far.

    Args:
        standing: Where it stands.
        dispute_id: Number of its open dispute, or empty.
        mask_ends_at: Unix seconds at which its mask should end, or None.
    """

    standing: Standing
    dispute_id: str = ""
    mask_ends_at: int | None = None


def read_records(
    snapshot: Snapshot, product: Product, periods: PeriodTable, keys: Collection[str]
) -> dict[str, Record]:
    """Return records of a snapshot by their keys; one that it doesn't have is missing.

    Args:
        snapshot: The snapshot that is served.
        product: Its contract.
        periods: Numbers of the law.
        keys: Keys of records.
    """
    rows = snapshot.rows_of(list(keys))
    if not len(rows):
        return {}
    precedence = precedence_of(product.name)
    wanted = [product.record_key, product.subject_key, *_WANTED]
    wanted += [precedence.column] if precedence else []
    names = [name for name in dict.fromkeys(wanted) if name in snapshot.schema.names]
    can_be_labelled = DISPUTE_FLAG in product.fields and DISPUTE_FLAG in names
    ends, found = snapshot.expiry_of(rows).tolist(), dict[str, Record]()
    for end, row in zip(ends, snapshot.take(rows, names).to_pylist(), strict=True):
        key = str(row[product.record_key])
        ends_at = None if end >= NEVER else int(end)
        if key in found:  # several rows of one record: the last of them to end counts
            ends_at = _later(found[key].ends_at, ends_at)
            found[key] = replace(found[key], ends_at=ends_at)
            continue
        found[key] = Record(
            key=key,
            subject=str(row[product.subject_key]),
            standing=standing_of(row.get("share_state"), disputed=bool(row.get(DISPUTE_FLAG))),
            ends_at=ends_at,
            repairable_from=_repairable_from(row, product, periods),
            can_be_labelled=can_be_labelled,
            follows=precedence.followed_by(row.get(precedence.column)) if precedence else "",
        )
    return found


def decided(tx: Statements, product: str, keys: Collection[str]) -> dict[str, Decided]:
    """Return what was decided on records of a product; one on which nothing was is missing."""
    found: dict[str, Decided] = {}

    def read(marks: str, some: Sequence[object]) -> None:
        for key, *row in tx.execute(
            f"SELECT record_key, {_COLUMNS} FROM record_states"
            f" WHERE product = ? AND record_key IN ({marks})",
            (product, *some),
        ).fetchall():
            found[key] = _decided(*row)

    for_each_of(read, keys)
    return found


def _decided(
    base: str,
    disputed: int,
    pending: int,
    masked: int,
    ended: str | None,
    dispute_id: str,
    mask_ends_at: int | None,
) -> Decided:
    standing = Standing(
        ShareState(base),
        disputed=bool(disputed),
        pending=bool(pending),
        masked=bool(masked),
        ended=None if ended is None else ShareState(ended),
    )
    return Decided(standing, dispute_id, mask_ends_at)


def _later(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def is_early(record: Record, decided_at: int) -> bool:
    """Tell whether a repair was decided before the shortest publicity was over (R22, R23)."""
    return record.repairable_from is None or decided_at < record.repairable_from


def _repairable_from(row: Mapping[str, Any], product: Product, periods: PeriodTable) -> int | None:
    try:
        period = lawful_period(
            periods,
            periods.basis(product.name),
            Severity(row.get("severity") or ""),
            determined_on=row.get("determination_date"),
            publicity_start=row.get("publicity_start"),
            fulfilled_on=row.get("fulfilled_on"),
        )
    except (PeriodError, ValueError):
        return None
    if period.min_end is None:
        return None
    if period.min_end == row.get("fulfilled_on"):  # from the day of fulfilment on, not after it
        return end_of_day(period.min_end - dt.timedelta(days=1))
    return end_of_day(period.min_end)
