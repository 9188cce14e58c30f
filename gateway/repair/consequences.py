"""What a repair triggers besides, in its own transaction (domain-rules 4.4).

- restrictions are lifted at once. The only ones that a gateway keeps are the records themselves:
  an entry of a list of serious dishonesty with its `restriction_measures`, an abnormal-list entry,
  a judgement debtor. A check of such a list reads the snapshot's rows, so sealing the record is
  lifting its restriction, and `LIFT_RESTRICTIONS` is settled by the repair's own entry. No other
  table says of a subject that it is restricted; whoever adds one lifts it here;
- credentials that rest on records of the subject say *refresh* from this transaction on: those of
  the record's product, and those of values that were computed with it. They are superseded, never
  invalid: a repair improves a firm's credit, and a fresh credential can be fetched (domain-rules
  13). So `REFRESH_CREDENTIALS` is settled by the repair's own entry too. Masking (M33), giving
  back and labels of dispute do the same, since a fresh credential would say something else;
- features are tombstoned (R44): those rows of a feature product that rest on records of the subject
  are withheld until they are recomputed (`gateway.portfolio`), which never reads what is sealed.
  Masking a record (M33), and giving it back, does the same: the features were computed with it, or
  without;
- values derived from the record (grades, scores) were computed with it, so those that are older
  than the repair are withheld until a newer one is admitted. They are withheld and not flagged:
  a flag on a grade would tell everybody that its subject was repaired;
- an end by date has none of these: the law ties new computation to repairs (M32), the end was
  known when a value was computed, and recipients were told it with the record (M19). A grade has
  an interval of validity of its own, after whose last day it isn't served (M35,
  `gateway.snapshot.admission_rules`);
- issued reports that show the record's product turn to REFRESH (`gateway.recognition.reports`),
  whatever the decision was: a label of dispute changes what they show as well. Nothing says why;
- whoever received the record is told to stop using it: `recalls`, see `gateway.repair.recall`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from gateway.credential import book
from gateway.decision.tables import read_table
from gateway.domain.share_state import ShareState, Standing
from gateway.recognition import reports
from gateway.registry.periods import POLICIES
from gateway.snapshot.snapshot import Snapshot
from gateway.store.bulk import for_each_of, insert_rows
from gateway.store.migration import Statements

LIFT_RESTRICTIONS, REFRESH_CREDENTIALS = "LIFT_RESTRICTIONS", "REFRESH_CREDENTIALS"
TOMBSTONE_FEATURES, RECOMPUTE, RECALL = "TOMBSTONE_FEATURES", "RECOMPUTE", "RECALL"
STOP_USE, SUSPEND_USE, RESUME_USE = "STOP_USE", "SUSPEND_USE", "RESUME_USE"
_UPDATED_AT = "source_updated_at"
MASKED = "MASKED"
_REASONS = {ShareState.REPAIRED: "REPAIRED", ShareState.WITHDRAWN: "WITHDRAWN"}


@dataclass(frozen=True, slots=True)
class Consequences:
    """What follows from one change of standing.

    Args:
        ended: Sharing ended by a decision: the whole of domain-rules 4.4 follows.
        recall: What recipients are told, or empty when they are told nothing.
        reason: Class of the reason that they are told.
    """

    ended: bool
    recall: str
    reason: str

    @property
    def touches_derived(self) -> bool:
        """True when values that were computed with the record, or without it, are out of date."""
        return self.ended or self.reason == MASKED

    def kinds(self) -> tuple[str, ...]:
        """Return what stands in the repair's entry."""
        ending = (LIFT_RESTRICTIONS, RECOMPUTE, REFRESH_CREDENTIALS, TOMBSTONE_FEATURES)
        return (*(ending if self.ended else ()), *((RECALL,) if self.recall else ()))


def consequences_of(before: Standing, after: Standing) -> Consequences:
    """Return what follows from a change, by where the record stood and stands.

    An end by date has none: recipients were told the end with the record (期限一致, M19).
    """
    ended = before.ended is None and after.ended in _REASONS
    if ended and after.ended is not None:
        return Consequences(True, STOP_USE, _REASONS[after.ended])
    if after.ended is None and before.masked != after.masked:
        return Consequences(False, SUSPEND_USE if after.masked else RESUME_USE, MASKED)
    return Consequences(False, "", "")


@lru_cache(maxsize=1)
def derived_products() -> tuple[str, ...]:
    """Return the products whose values are computed from records, sorted."""
    return tuple(sorted(read_table(POLICIES / "data", "derived_products")))


@lru_cache(maxsize=1)
def feature_sources() -> Mapping[str, frozenset[str]]:
    """Return those of the derived products that are features, with the products they rest on."""
    directory = POLICIES / "data"
    return {
        product: frozenset(str(f["product"]) for f in read_table(directory, str(table)).values())
        for product, entry in read_table(directory, "derived_products").items()
        if (table := entry.get("table"))
    }


def _out_of_date(found: Consequences, product: str) -> tuple[str, ...]:
    """Return the derived products whose values of the subject have to be computed anew.

    Grades and scores are computed elsewhere, so any record that ended may stand behind them.
    """
    features = feature_sources()
    return tuple(
        derived
        for derived in derived_products()
        if (found.touches_derived and product in features.get(derived, ()))
        or (found.ended and derived not in features)
    )


@dataclass(frozen=True, slots=True)
class Following:
    """What follows from one repair that stands in the log.

    Args:
        found: What follows.
        product: Product of the record.
        record_key: The record.
        subject: Its subject.
        repair: Log index of the repair.
        now: Unix seconds.
    """

    found: Consequences
    product: str
    record_key: str
    subject: str
    repair: int
    now: int


def write(tx: Statements, following: Sequence[Following]) -> None:
    """Write what follows from repairs, in their transaction and in their order."""
    ended = [one for one in following if one.found.ended]
    insert_rows(
        tx,
        "INSERT INTO consequences (repair, kind, product, record_key, effective_at,"
        " settled_index) VALUES",
        [
            (one.repair, kind, one.product, one.record_key, one.now, one.repair)
            for one in ended
            for kind in (LIFT_RESTRICTIONS, REFRESH_CREDENTIALS)
        ],
    )
    insert_rows(
        tx,
        "INSERT INTO tombstones (product, record_key, repair, effective_at) VALUES",
        [(one.product, one.record_key, one.repair, one.now) for one in ended],
        "ON CONFLICT (product, record_key) DO NOTHING",
    )
    if following:
        touched = {
            (one.subject, product)
            for one in following
            for product in (one.product, *_out_of_date(one.found, one.product))
        }
        book.supersede(tx, touched, max(one.now for one in following))
    for one in following:
        rests = (one.product, *_out_of_date(one.found, one.product))
        reports.refresh(tx, one.subject, rests, one.now)
    marks = {
        (derived, one.subject): (derived, one.subject, one.now, one.repair)
        for one in following
        for derived in _out_of_date(one.found, one.product)
    }  # the last of several repairs of a subject counts
    insert_rows(
        tx,
        "INSERT INTO recomputations (product, subject, since, repair) VALUES",
        list(marks.values()),
        "ON CONFLICT (product, subject)"
        " DO UPDATE SET since = excluded.since, repair = excluded.repair",
    )
    insert_rows(
        tx,
        "INSERT INTO recalls (repair, product, record_key, kind, reason, effective_at,"
        " gate_clear, recipients, deliveries) VALUES",
        [
            (
                one.repair,
                one.product,
                one.record_key,
                one.found.recall,
                one.found.reason,
                one.now,
                0,
                0,
                0,
            )
            for one in following
            if one.found.recall
        ],
    )


def prepare(state: Statements, snapshot: Snapshot) -> None:
    """Bring a snapshot in line with durable state, beyond what is sealed by record key.

    Disputes are labelled (R14), and derived values that are older than a repair of their
    subject are withheld. It runs before a snapshot serves, so also after a restore (R27).

    Args:
        state: Reads the state.
        snapshot: An open snapshot.
    """
    disputes = state.execute(
        "SELECT record_key, dispute_id FROM record_states"
        " WHERE product = ? AND disputed = 1 AND ended IS NULL",
        (snapshot.product,),
    ).fetchall()
    snapshot.label(dict(disputes))
    marks = state.execute(
        "SELECT subject, since FROM recomputations WHERE product = ?", (snapshot.product,)
    ).fetchall()
    if marks:
        withhold_stale(snapshot, dict(marks))


def stale_since(
    state: Statements, products: Sequence[str], subjects: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return since when values derived from records of some subjects are out of date.

    Args:
        state: Reads the state.
        products: Derived products.
        subjects: Subjects of repairs.

    Returns:
        Product to subject to unix seconds, for those that are.
    """
    found: dict[str, dict[str, int]] = {}

    def read(marks: str, some: Sequence[object]) -> None:
        for product, subject, since in state.execute(
            "SELECT product, subject, since FROM recomputations"
            f" WHERE product IN ({','.join('?' * len(products))}) AND subject IN ({marks})",
            (*products, *some),
        ).fetchall():
            found.setdefault(product, {})[subject] = since

    for_each_of(read, subjects)
    return found


def withhold_stale(snapshot: Snapshot, since: Mapping[str, int]) -> None:
    """Withhold values of these subjects that are no newer than the repairs of their records."""
    rows = snapshot.locate(list(since))
    if not len(rows):
        return
    found = snapshot.take(rows, [_UPDATED_AT])
    instants = found.column(0).cast(pa.timestamp("s", found.schema.field(0).type.tz), safe=False)
    # A value without a time can't show that it was computed since.
    updated = instants.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    # Not by a column of subjects: the copies of the store apart have none.
    firsts, counts = snapshot.runs(pa.array(list(since), pa.string()))
    place = np.argsort(firsts[counts > 0])
    limits = np.array(list(since.values()), dtype=np.int64)[counts > 0][place]
    limits = np.repeat(limits, counts[counts > 0][place])
    snapshot.withhold(rows[np.asarray(updated <= limits)])
