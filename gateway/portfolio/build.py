"""Building a feature product: computed, admitted as a snapshot like any other, logged, served.

So everything that holds for records holds for features: the policy decides on each request, rows
leave through the one road, repairs withhold rows. The moment of a computation is taken before its
sources are opened, and a repair at that second or later withholds the row (R44), also when it was
published while the features were being computed. So no row is served that rests on a record that
was sealed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit import acts
from audit.journal import Transaction
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S
from gateway.portfolio.aside import ComputedRows, Tally
from gateway.portfolio.compute import Computed, compute
from gateway.portfolio.definitions import Definitions
from gateway.portfolio.rows import FeatureRows, rows_of, version_of
from gateway.portfolio.subjects import OBSERVED, SUBJECT, Portfolio, pairs_in
from gateway.registry import derived
from gateway.registry.act import Act
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.registry.registry import View
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.manifest import Manifest
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

SUBJECTS_OF_ALL = "legal_entity_base"
NOT_LOADED, STALE_FEED = "NOT_LOADED", "STALE_FEED"


@dataclass(frozen=True, slots=True)
class Built:
    """What was built.

    Args:
        snapshot: The snapshot that is served now.
        index: Log index of its admission.
        computed: The features.
    """

    snapshot: Snapshot
    index: int
    computed: Computed

    def report(self) -> dict[str, Any]:
        """Return hit rate and coverage, as people and programs read them."""
        total = len(self.computed.portfolio.observed)
        rows = int(self.computed.hit.sum())
        return {
            "product": self.snapshot.product,
            "snapshot": self.snapshot.snapshot_id,
            "observations": total,
            "rows": rows,
            "hit_rate": _share(rows, total),
            "coverage": {
                name: _share(count, total) for name, count in self.computed.coverage.items()
            },
            "unavailable": dict(self.computed.unavailable),
            "entry": self.index,
        }


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a feature product is built with.

    Args:
        state: The open state; its log gets the admission.
        library: The snapshots, opened sealed and labelled as durable state says.
        view: The registry, for the age of feeds.
        catalogue: Contracts.
        definitions: What to compute.
    """

    state: State
    library: SnapshotLibrary
    view: View
    catalogue: Catalogue
    definitions: Definitions

    def sources(self, now: int) -> tuple[dict[str, Snapshot], dict[str, str]]:
        """Return the snapshots that can be used, and the reason for each that can't (R13)."""
        usable: dict[str, Snapshot] = {}
        unavailable: dict[str, str] = {}
        for name in self.definitions.events:
            limit = self.catalogue.product(name).feed_limit_s
            as_of = self.view.feed_as_of(name)
            snapshot = self.library.current(name)
            if snapshot is None:
                unavailable[name] = NOT_LOADED
            elif limit and (as_of is None or not as_of <= now <= as_of + limit):
                unavailable[name] = STALE_FEED
            else:
                usable[name] = snapshot
        return usable, unavailable

    def everybody(self, day: int, now: int) -> Portfolio:
        """Return all subjects of the register of enterprises, observed on one day.

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE` when the register isn't there.
        """
        snapshot = self.library.current(SUBJECTS_OF_ALL)
        if snapshot is None:
            raise UnavailableError("PRODUCT_UNAVAILABLE", f"{SUBJECTS_OF_ALL} is not loaded")
        rows = np.arange(snapshot.rows, dtype=np.int64)
        shared = rows[snapshot.shareable(rows, now)] if snapshot.rows else rows
        codes = snapshot.take(shared, [snapshot.manifest.subject_key]).column(0)
        return Portfolio.of(codes, np.full(len(codes), day))

    def present(self) -> Portfolio:
        """Return the observations of the features that are served now, withheld ones included.

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE` when none were built yet.
        """
        snapshot = self._served()
        every = range(snapshot.batch_count)
        return pairs_in([snapshot.batch(n).rows.select([SUBJECT, OBSERVED]) for n in every])

    def stale(self) -> int:
        """Return how many subjects had a record repaired, withdrawn or masked since the build."""
        computed_at = self._served().manifest.admitted_at
        return self._ask("count(*)", computed_at)

    def newest_change(self) -> int:
        """Return when a record that features rest on last changed, unix seconds; 0 for never."""
        return self._ask("coalesce(max(since), 0)", 0)

    def build(self, portfolio: Portfolio, act: Act, batch_rows: int = 32_768) -> Built:
        """Compute and serve the features of a portfolio; what was served before is replaced.

        Args:
            portfolio: Whose features, as of when.
            act: The circumstances; its time lies before the sources were opened.
            batch_rows: Rows of a batch of a stream.

        Raises:
            ConflictError: `CONFLICT` when none of its subjects is known to any source: nothing
                is admitted, what was served is served still.
        """
        snapshots, unavailable = self.sources(act.now)
        computed = compute(self.definitions, snapshots, portfolio, unavailable, act.now)
        if not computed.hit.any():
            raise ConflictError("CONFLICT", "none of the portfolio's subjects is known")
        product = self.definitions.product
        unit = self.catalogue.unit(product.manager_uscc).name_zh
        rows = rows_of(self.definitions, computed, unit, act.now)
        version = version_of(self.definitions, snapshots, act.now)
        oldest = min(snapshot.manifest.as_of for snapshot in snapshots.values())
        bound = [name for name in snapshots if self.catalogue.product(name).feed_limit_s]
        admitted: list[int] = []

        def announce(manifest: Manifest) -> None:
            admitted.append(self.state.run(lambda tx: self._log(tx, manifest, bound, act)))

        snapshot = self.library.admit_and_activate(
            FeatureRows(rows, version),
            product,
            arrow_schema(product),
            now=act.now,
            as_of=oldest,
            quarantined=0,
            batch_rows=batch_rows,
            announce=announce,
        )
        # Until here it was bound to the sources of the snapshot before it as well, so that a
        # crash in between leaves it bound to too many rather than to too few.
        self.state.run(lambda tx: derived.only_sources(tx, product.name, bound))
        return Built(snapshot, admitted[0], computed)

    def build_aside(
        self,
        portfolio: Portfolio,
        act: Act,
        going_on: Callable[[], None],
        keep_until: int,
        batch_rows: int = 32_768,
    ) -> tuple[Snapshot, Tally]:
        """Compute the features of a portfolio without serving them to anybody else.

        Args:
            portfolio: Whose features, as of when.
            act: The circumstances; its time lies before the sources were opened.
            going_on: Called now and then; what it raises ends the computation.
            keep_until: When the snapshot may be deleted, unix seconds.
            batch_rows: Rows of a batch.

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE` when no source can be used.
        """
        snapshots, unavailable = self.sources(act.now)
        product = self.definitions.product
        if not snapshots:
            raise UnavailableError("PRODUCT_UNAVAILABLE", "none of the features' sources is there")
        unit = self.catalogue.unit(product.manager_uscc).name_zh
        rows = ComputedRows(
            self.definitions, snapshots, portfolio, unavailable, unit, act.now, going_on
        )
        bound = [name for name in snapshots if self.catalogue.product(name).feed_limit_s]

        def log(tx: Transaction, manifest: Manifest) -> int:
            tx.execute(
                "INSERT INTO portfolio_features (snapshot_id, product, expires_at)"
                " VALUES (?, ?, ?) ON CONFLICT (snapshot_id) DO NOTHING",
                (manifest.snapshot_id, product.name, keep_until),
            )
            return self._log(tx, manifest, bound, act)

        snapshot = self.library.admit_aside(
            rows,
            product,
            arrow_schema(product),
            now=act.now,
            as_of=min(snapshot.manifest.as_of for snapshot in snapshots.values()),
            quarantined=0,
            batch_rows=batch_rows,
            announce=lambda manifest: self.state.run(lambda tx: log(tx, manifest)),
        )
        return snapshot, rows.tally

    def _ask(self, what: str, since: int) -> int:
        connection = self.state.connect()
        try:
            found = connection.execute(
                f"SELECT {what} FROM recomputations WHERE product = ? AND since >= ?",
                (self.definitions.product.name, since),
            ).fetchone()
        finally:
            connection.close()
        return int(found[0])

    def _served(self) -> Snapshot:
        name = self.definitions.product.name
        snapshot = self.library.current(name)
        if snapshot is None:
            raise UnavailableError(
                "PRODUCT_UNAVAILABLE",
                f"{name} was not built yet",
                hints=("xinguan features build",),
            )
        return snapshot

    def _log(self, tx: Transaction, manifest: Manifest, bound: list[str], act: Act) -> int:
        if not set(bound) <= set(self.view.derived.get(manifest.product, ())):
            derived.add_sources(tx, manifest.product, bound)
        entry = acts.snapshot_admitted(
            time=act.now,
            node=act.node,
            actor=act.actor,
            product=manifest.product,
            snapshot=manifest.snapshot_id,
            contract=self.definitions.product.digest,
            as_of=manifest.as_of,
            rows=manifest.rows,
            quarantined=manifest.quarantined,
        )
        return tx.append(entry).index


def today_of(now: int) -> int:
    """Return the day in Hainan, as days since 1970."""
    return (now + SHANGHAI_OFFSET_S) // DAY_S


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
