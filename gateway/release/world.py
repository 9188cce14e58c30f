"""The ports of the road, and what is known of a request as it moves along."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.border.counters import COUNT, Crossing, ExportCounters
from gateway.border.counts import ExportCounts, ThisRequestOnly
from gateway.domain.decision import Decision
from gateway.domain.errors import InvalidRequestError, Reason, UnavailableError
from gateway.domain.facts import Facts, Publicity
from gateway.domain.licence import Licence
from gateway.domain.party import Caller
from gateway.domain.product import Product
from gateway.domain.request import ExchangeRequest
from gateway.portfolio.aside import CoverageReport
from gateway.portfolio.definitions import FEATURES
from gateway.registry.arrow_schema import arrow_schema
from gateway.release.abroad import NothingAbroad, RecordsAbroad, no_copy
from gateway.release.context import Node, Registry, RegistryView, gather
from gateway.release.enforce import Enforcer, compile_enforcer, edge_check
from gateway.release.evidence import Evidence
from gateway.release.gate import Gate
from gateway.release.groups import Groups, Standing
from gateway.release.marks import Marks
from gateway.release.plan import Plan, make_plan, released_actions
from gateway.release.portfolio import Portfolio
from gateway.release.pseudonym import ConsumerKeys
from gateway.release.row_masks import RowMasks
from gateway.release.rows import Test, compile_rows
from gateway.release.steady_clock import SteadyClock
from gateway.release.vouching import Unwitnessed, Vouching
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot

_REMEMBERED_PLANS = 4_096


class Features(Protocol):
    """Features computed for one portfolio; see `gateway.release.feature_desk`."""

    @property
    def snapshot(self) -> Snapshot:
        """Where they are."""
        ...

    def report(self, released: Collection[str]) -> CoverageReport:
        """Return how much was known, as far as the fields that are released may tell it."""
        ...


@dataclass(slots=True)
class Memory:
    """What was found out once for all parts of a reading.

    Args:
        standing: How the whole answer stands to the licence's minimum.
        features: What was computed for a portfolio with observation dates.
        covered: Whether the consent that it names covers every subject.
    """

    standing: Standing | None = None
    features: Features | None = None
    covered: bool | None = None


class FeatureDesk(Protocol):
    """Computes features of portfolios with observation dates."""

    async def features_of(self, product: Product, portfolio: Portfolio) -> Features:
        """Return the features of a portfolio, computed now or a moment ago."""
        ...


class Ask(Protocol):
    """One query as a door received it; see `gateway.doors.ask`."""

    @property
    def product(self) -> str:
        """Name of the product asked about."""
        ...

    @property
    def replay_digest(self) -> bytes | None:
        """SHA-256 that recognises a replay, or None when the ask may be repeated (tickets)."""
        ...

    @property
    def pinned_snapshot(self) -> str | None:
        """Snapshot id that the content is pinned to, or None for the present one."""
        ...

    @property
    def batches(self) -> range | None:
        """Batches of the snapshot that are wanted, or None for all."""
        ...

    @property
    def portfolio(self) -> Portfolio | None:
        """The portfolio that it is about, or None."""
        ...

    @property
    def memory(self) -> Memory:
        """What was found out once for all parts of a reading."""
        ...

    def parse(self, request_id: str, product: Product) -> ExchangeRequest:
        """Return the request in the domain's words, or raise InvalidRequestError."""
        ...

    def check_signature(self, caller: Caller, peer: bytes) -> None:
        """Raise UnauthenticatedError when a signature is there and is not the caller's."""
        ...


class Decider(Protocol):
    """Decides one request; see `gateway.decision.decider`."""

    async def decide(self, facts: Facts) -> Decision:
        """Return the decision, or raise UnavailableError when none can be had."""
        ...


class Quotas(Protocol):
    """Limits of use per licence; see `gateway.registry.quotas`."""

    def check(self, licence: Licence | None, now_ms: int) -> None:
        """Count one call, or raise ExhaustedError."""
        ...

    def take_rows(self, licence: Licence | None, rows: int, now_ms: int) -> None:
        """Count rows that are about to leave, or raise ExhaustedError."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with its compiled enforcement; the same for every request of its kind."""

    plan: Plan
    policy_rows: tuple[Test, ...]
    caller_rows: tuple[Test, ...]
    enforcer: Enforcer
    schema_ipc: bytes


@dataclass(frozen=True, slots=True)
class Planned:
    """What a request would get, before anything is read."""

    facts: Facts
    decision: Decision
    prepared: Prepared
    snapshot: Snapshot
    request_id: str
    features: Features | None = None


@dataclass(slots=True)
class World:
    """Everything that a request meets on its road. The composition root builds it once."""

    clock_ms: Callable[[], int]
    clock: SteadyClock
    registry: Registry
    products: Mapping[str, Product]
    node: Node
    decider: Decider
    library: SnapshotLibrary
    gate: Gate
    quotas: Quotas
    evidence: Evidence
    consumer_keys: Callable[[str], ConsumerKeys]
    clock_skew_s: int
    batch_rows: int
    groups: Groups
    features: FeatureDesk
    batch_bytes: int = 8 << 20
    abroad: RecordsAbroad = field(default_factory=NothingAbroad)
    marks: Marks | None = None
    row_masks: RowMasks = field(default_factory=RowMasks)
    witnesses: Vouching = field(default_factory=Unwitnessed)
    counts: ExportCounts = field(default_factory=ThisRequestOnly)
    exports: ExportCounters | None = None
    # Products that are registers of the gateway itself: name to one moment of it.
    registers: dict[str, Callable[[], Snapshot]] = field(default_factory=dict)
    _prepared: OrderedDict[object, Prepared] = field(default_factory=OrderedDict)

    def product(self, name: str) -> Product:
        """Return a product's contract.

        Raises:
            InvalidRequestError: `UNKNOWN_PRODUCT`.
        """
        product = self.products.get(name)
        if product is None:
            raise InvalidRequestError("UNKNOWN_PRODUCT", "no such product is in the catalogue")
        return product

    def check_time(self, request: ExchangeRequest, now: int) -> None:
        """Check that the caller's clock is near ours, so that old requests can't be replayed.

        Raises:
            InvalidRequestError: `STALE_REQUEST_TIME`.
        """
        if abs(request.asked_at - now) > self.clock_skew_s:
            raise InvalidRequestError(
                "STALE_REQUEST_TIME", "the request's time is too far from the gateway's"
            )

    def snapshot(self, facts: Facts, prepared: Prepared, pinned: str | None) -> Snapshot:
        """Return the snapshot that a request is answered from: across the border, a copy (M58).

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE` when the product has none, or the pinned
                one is no longer kept, or the copy doesn't hold what was planned.
        """
        register = self.registers.get(facts.product.name)
        if register is not None:
            return register()
        crosses, name = facts.border is not None, facts.product.name
        kept: SnapshotLibrary | RecordsAbroad = self.abroad if crosses else self.library
        snapshot = kept.pinned(name, pinned) if pinned else kept.current(name)
        if snapshot is None:
            if crosses:
                raise no_copy()
            raise UnavailableError(
                "PRODUCT_UNAVAILABLE", "the product has no admitted records to answer from"
            )
        if crosses:
            plan = prepared.plan
            tested = {condition.field for condition in plan.policy_rows}
            self.abroad.check_holds(snapshot, plan.columns, tested)
        return snapshot

    async def source_of(self, facts: Facts, prepared: Prepared, ask: Ask) -> Snapshot:
        """Return the snapshot that an ask is answered from.

        For a portfolio with observation dates it is computed, unless a ticket pins it.

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE`, as `snapshot`.
        """
        portfolio, memory = ask.portfolio, ask.memory
        crosses = facts.border is not None  # whoever is abroad reads from the store apart
        if portfolio is None or not portfolio.observed or ask.pinned_snapshot or crosses:
            return self.snapshot(facts, prepared, ask.pinned_snapshot)
        if memory.features is None:
            memory.features = await self.features.features_of(facts.product, portfolio)
        return memory.features.snapshot

    def gather(
        self,
        view: RegistryView,
        caller: Caller,
        request: ExchangeRequest,
        product: Product,
        now: int,
        covered: bool | None = None,
    ) -> Facts:
        """Return the input of the decision; see `gateway.release.context.gather`.

        A node whose clock is lost can't tell how old a feed is, so it has none.
        """
        facts = gather(view, caller, request, product, self.node, now, self.counts, covered)
        if product.feed_limit_s and not self.clock.trusted():
            return replace(facts, publicity=Publicity(None, product.feed_limit_s))
        return facts

    def crossing(self, facts: Facts, decision: Decision) -> Crossing | None:
        """Return what is kept of an allowed export; see `gateway.border.counters`.

        Raises:
            UnavailableError: `XB_COUNT_KEY` when this node can't count and the decision asks it.
            DeniedError: `XB_COUNT_UNNAMED` for persons of a whole product.
        """
        if self.exports is not None:
            return self.exports.crossing(facts, decision)
        if COUNT in decision.obligations:
            raise UnavailableError("XB_COUNT_KEY", "this node counts no exports")
        return None

    def check_fresh(self, facts: Facts, snapshot: Snapshot, now: int) -> None:
        """Check that records which are no longer the current ones may still be read.

        What lost its publicity is missing from the current snapshot. A pinned one, or the one of
        a stream that runs on, is good for as long as the feed may lag (R13) and no longer.

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE`.
        """
        product, crosses = facts.product, facts.border is not None
        limit = product.feed_limit_s
        if (limit or crosses) and not self.clock.trusted():
            raise UnavailableError(
                "PRODUCT_UNAVAILABLE",
                "the gateway's clock can't be trusted now",
                reasons=[Reason("R13", "PRODUCT_UNAVAILABLE")],
            )
        if product.name in self.registers:
            return  # a moment of a register of the gateway itself: of now, and no copy of anything
        if crosses:
            self.abroad.check_fresh(snapshot, limit, now)
        # Features are of the moment in which they were computed from the records of then.
        manifest = snapshot.manifest
        since = manifest.admitted_at if product.name == FEATURES else manifest.as_of
        if not limit or now - since <= limit:
            return
        kept: SnapshotLibrary | RecordsAbroad = self.abroad if crosses else self.library
        if kept.current(product.name) is not snapshot:
            raise UnavailableError(
                "PRODUCT_UNAVAILABLE",
                "newer records are here and these are older than publicity allows",
                hints=("ask anew, without the old ticket",),
            )

    def prepare(self, facts: Facts, decision: Decision) -> Prepared:
        """Return plan and enforcement of an allowed request, remembered per decision.

        Raises:
            XinguanError: See `make_plan` and `edge_check`.
        """
        request = facts.request
        party_id = facts.caller.party.party_id
        key = (
            decision.digest, decision.input_digest, party_id, request.fields,
            request.conditions, request.limit,
        )  # fmt: skip
        found = self._prepared.get(key)
        if found is None:
            plan = make_plan(request, decision, facts.product)
            enforcer = compile_enforcer(plan.released, self.consumer_keys(party_id))
            edge_check(enforcer.schema, released_actions(plan))
            schema = arrow_schema(facts.product)
            found = Prepared(
                plan,
                compile_rows(plan.policy_rows, schema),
                compile_rows(plan.caller_rows, schema),
                enforcer,
                enforcer.schema.serialize().to_pybytes(),
            )
            self._prepared[key] = found
            if len(self._prepared) > _REMEMBERED_PLANS:
                self._prepared.popitem(last=False)
        return found
