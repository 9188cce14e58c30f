"""Records of every source of features, in memory, and a slow second opinion on the features.

The oracle goes record by record in plain Python and shares no code with the kernels.
"""

import datetime as dt
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gateway.portfolio.compute import Computed, compute
from gateway.portfolio.definitions import load_definitions
from gateway.portfolio.subjects import Portfolio
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.snapshot.admission import admit
from gateway.snapshot.calendar_columns import ordinal
from gateway.snapshot.snapshot import Snapshot

CATALOGUE = Catalogue.load()
DEFINITIONS = load_definitions(CATALOGUE)
NOW = 1_795_449_600  # 2026-11-24 00:00 in Hainan
TODAY = dt.date(2026, 11, 24)
HAINAN = dt.timezone(dt.timedelta(hours=8))
SUBJECTS = ("S1", "S2", "S3")
FAR = 4_000_000_000


@dataclass(frozen=True)
class Record:
    """One record of a source; `happened` is its event date."""

    product: str
    key: str
    subject: str
    happened: dt.date | None
    ingested: dt.datetime | None
    values: tuple[tuple[str, Any], ...] = ()
    shared: bool = True
    expiry: int = FAR

    def row(self, schema: pa.Schema) -> dict[str, Any]:
        product = CATALOGUE.product(self.product)
        row = dict.fromkeys(schema.names) | dict(self.values)
        row |= {
            product.subject_key: self.subject,
            product.record_key: self.key,
            DEFINITIONS.events[self.product]: self.happened,
            "ingested_at": self.ingested,
            "subject_type": "LEGAL_ENTITY",
            "dispute_flag": row.get("dispute_flag") or False,
        }
        return row


class _Rows:
    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def schema(self) -> pa.Schema:
        return self.table.schema

    def scan(self, columns, predicate, batch_bytes):
        yield from self.table.select(columns).to_batches()

    def version(self) -> str:
        return "v"


@lru_cache(maxsize=1)
def _empty() -> dict[str, Snapshot]:
    """Empty snapshots, made once: half of the sources of most examples are."""
    return _admitted(Path(tempfile.mkdtemp(prefix="xinguan-empty-")), (), DEFINITIONS.events)


def snapshots_of(directory, records: Sequence[Record]) -> dict[str, Snapshot]:
    """Admit records as snapshots, one for each source."""
    return _empty() | _admitted(directory, records, {record.product for record in records})


def _admitted(directory, records: Sequence[Record], names) -> dict[str, Snapshot]:
    found = {}
    for name in names:
        product = CATALOGUE.product(name)
        schema = arrow_schema(product)
        own = sorted((r for r in records if r.product == name), key=lambda r: (r.subject, r.key))
        table = pa.Table.from_pylist([r.row(schema) for r in own], schema=schema)
        by_key = {r.key: r for r in own}

        def shared(batch, _, by_key=by_key):
            keys = batch.column("record_id").to_pylist()
            return pa.array([by_key[key].shared for key in keys], pa.bool_())

        def ends(batch, _, by_key=by_key):
            keys = batch.column("record_id").to_pylist()
            return pa.array([by_key[key].expiry for key in keys], pa.int64())

        place = directory / f"{name}-{len(list(directory.glob('*')))}"
        admit(
            _Rows(table), product, schema, place, now=NOW, as_of=NOW, quarantined=0,
            batch_rows=8, shareable=shared, expires_at=ends,
        )  # fmt: skip
        found[name] = Snapshot.open(place)
    return found


def features_of(snapshots, pairs, unavailable=None) -> Computed:
    codes = pa.array([subject for subject, _ in pairs])
    days = np.array([ordinal(day) for _, day in pairs], np.int64)
    return compute(DEFINITIONS, snapshots, Portfolio.of(codes, days), unavailable or {}, NOW)


def told(computed: Computed) -> dict[tuple[str, dt.date], dict[str, Any]]:
    """Return what the features say, by subject and date; observations without a row left out."""
    subjects = computed.portfolio.subjects.to_pylist()
    days = [dt.date(1970, 1, 1) + dt.timedelta(int(d)) for d in computed.portfolio.observed]
    columns = {name: column.to_pylist() for name, column in computed.features.items()}
    return {
        pair: {name: values[place] for name, values in columns.items()}
        for place, pair in enumerate(zip(subjects, days, strict=True))
        if computed.hit[place]
    }


def oracle(records: Sequence[Record], pairs) -> dict[tuple[str, dt.date], dict[str, Any]]:
    """Return what the features should say."""
    return {
        (subject, day): _features(mine, day)
        for subject, day in dict.fromkeys(pairs)
        if (mine := [r for r in records if r.subject == subject and was_known(r, day)])
    }


def was_known(record: Record, day: dt.date) -> bool:
    if not record.shared or record.expiry <= NOW:
        return False
    if record.happened is None or record.ingested is None:
        return False
    return record.happened <= day and record.ingested.astimezone(HAINAN).date() <= day


def _features(mine: Sequence[Record], day: dt.date) -> dict[str, Any]:
    def of(product: str) -> list[tuple[Record, dict[str, Any]]]:
        found = [(r, dict(r.values)) for r in mine if r.product == product]
        return sorted(found, key=lambda pair: pair[0].key)

    penalties = of("admin_penalty")
    licences = of("admin_licence")
    contracts = [
        values
        for record, values in of("contract_performance")
        if values.get("source") not in (None, "SELF_DECLARED") and record.happened > before(day, 36)
    ]
    on_time = [v["on_time_ratio"] for v in contracts if v.get("on_time_ratio") is not None]
    promises = [values.get("fulfil_status") for _, values in of("credit_commitment")]
    whole = [word for word in promises if word in ("全部履行", "部分履行", "未履行")]
    grades = [
        pair for pair in of("public_credit_grade")
        if pair[1].get("valid_to") is not None and pair[1]["valid_to"] >= day
    ]  # fmt: skip
    bases = of("legal_entity_base")
    active = [
        v for _, v in licences
        if v.get("valid_from") is not None and v["valid_from"] <= day
        and (v.get("valid_to") is None or v["valid_to"] >= day)
    ]  # fmt: skip
    return {
        "penalties_12m": sum(r.happened > before(day, 12) for r, _ in penalties),
        "serious_penalties_36m": sum(
            v.get("severity") == "SERIOUS" and r.happened > before(day, 36) for r, v in penalties
        ),
        "serious_list_hit": any(listed(v, day) for _, v in of("serious_dishonesty_list")),
        "judgement_debtor_hit": any(listed(v, day) for _, v in of("judgement_debtor")),
        "active_licences": len(active),
        "licences_expiring_90d": sum(
            v.get("valid_to") is not None and v["valid_to"] <= day + dt.timedelta(90)
            for v in active
        ),
        "contracts_36m": len(contracts),
        "on_time_ratio": _quotient(sum(on_time), len(on_time)),
        "commitment_fulfilment_ratio": _quotient(whole.count("全部履行"), len(whole)),
        "grade": _newest(grades, "grade"),
        "grade_score": _newest(grades, "score"),
        "months_since_registration": _months(bases, day),
    }


def listed(values: dict[str, Any], day: dt.date) -> bool:
    return values.get("removed_on") is None or values["removed_on"] > day


def before(day: dt.date, months: int) -> dt.date:
    """The same-numbered day some months earlier, or the end of that month."""
    count = day.year * 12 + day.month - 1 - months
    year, month = divmod(count, 12)
    for number in range(day.day, 0, -1):
        try:
            return dt.date(year, month + 1, number)
        except ValueError:
            continue
    raise AssertionError


def _quotient(part: Any, whole: int) -> Decimal | None:
    if not whole:
        return None
    return (Decimal(part) / whole).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def _newest(pairs, name: str) -> Any:
    found = [(r.happened, r.key, v[name]) for r, v in pairs if v.get(name) is not None]
    return max(found)[2] if found else None


def _months(bases, day: dt.date) -> int | None:
    if not bases:
        return None
    since = max((r.happened, r.key) for r, _ in bases)[0]
    months = (day.year - since.year) * 12 + day.month - since.month
    return months - (day.day < since.day)


def without_future(records: Sequence[Record], day: dt.date) -> list[Record]:
    """Drop what happened, or came in, after a day."""
    return [
        r for r in records
        if r.happened is not None and r.ingested is not None
        and r.happened <= day and r.ingested.astimezone(HAINAN).date() <= day
    ]  # fmt: skip


def repaired(records: Sequence[Record], keys) -> list[Record]:
    return [replace(r, shared=False) if r.key in keys else r for r in records]
