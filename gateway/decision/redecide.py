"""Deciding logged requests again under two bundles, each distinct input of a day once."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.decision.bundle import Bundle, load
from gateway.decision.decider import Decider
from gateway.decision.difference import Cause, Difference, Kind, difference
from gateway.decision.history import Logged, check_record
from gateway.decision.law import LawTable
from gateway.decision.reframe import reframe
from gateway.decision.wasm import WasmEngine
from gateway.domain.decision import Decision
from gateway.domain.errors import ConflictError, UnavailableError, XinguanError
from gateway.domain.request import Condition

_DEADLINE_MS = 5_000
_REMEMBERED = 20_000  # inputs; some KiB each. Entries come in order of time, so old ones go cold.

Group = tuple[Kind, tuple[Cause, ...]]
Asker = tuple[str, str, str]  # product, party, purpose


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two bundles, with its engine.

    Args:
        bundle: The verified bundle.
        law: Its law tables.
        decider: Decides with it.
    """

    bundle: Bundle
    law: LawTable
    decider: Decider

    @classmethod
    def load(cls, policies: Path) -> "Side":
        """Open a policies directory.

        Raises:
            UnavailableError: `POLICY_MISMATCH` when the bundle is missing or stale.
            ValueError: A table is malformed.
        """
        bundle, law = load(policies), LawTable.load(policies)
        engine = WasmEngine(bundle, deadline_ms=_DEADLINE_MS)
        return cls(bundle, law, Decider(engine, bundle, law, _DEADLINE_MS))


@dataclass(frozen=True, slots=True)
class Fault:
    """A logged decision that could not be made again, or that came out otherwise.

    Args:
        index: Log index.
        code: `INPUT_MISSING`, `INPUT_TAMPERED`, `DIVERGED`, or the reason of an engine.
        message: The same in words.
    """

    index: int
    code: str
    message: str


@dataclass(slots=True)
class Flips:
    """The flips of one kind that the same rules make.

    Args:
        askers: (product, party, purpose) to the log indices of its flips, ascending.
        fields: (name, old action, new action) to the number of flips that change it so.
        rows_gone: Conditions on rows that no longer hold.
        rows_new: Conditions on rows that hold from now on.
    """

    askers: dict[Asker, list[int]] = field(default_factory=dict)
    fields: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rows_gone: dict[Condition, None] = field(default_factory=dict)
    rows_new: dict[Condition, None] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of requests."""
        return sum(map(len, self.askers.values()))

    def add(self, logged: Logged, found: Difference) -> None:
        """Count one flip."""
        asker = logged.product, logged.party, logged.purpose
        self.askers.setdefault(asker, []).append(logged.index)
        self.fields.update(found.fields)
        self.rows_gone |= dict.fromkeys(found.rows_gone)
        self.rows_new |= dict.fromkeys(found.rows_new)


@dataclass(slots=True)
class Findings:
    """What deciding again has shown so far.

    Args:
        again: Logged decisions made again under both bundles.
        distinct: Distinct inputs among them, each decided once as long as its decision holds.
        undecided: Requests refused before any decision; not the policy's.
        checked: Decisions compared with the outcome that the log records.
        flips: What flips, by kind and rules.
        faults: What could not be decided again, and what diverged.
    """

    again: int = 0
    distinct: int = 0
    undecided: int = 0
    checked: int = 0
    flips: dict[Group, Flips] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def groups(self) -> Iterator[tuple[Kind, tuple[Cause, ...], Flips]]:
        """Yield the groups: by kind in its order, within it the largest first."""
        order = {kind: place for place, kind in enumerate(Kind)}
        for (kind, causes), flips in sorted(
            self.flips.items(), key=lambda item: (order[item[0][0]], -item[1].count, item[0][1])
        ):
            yield kind, causes, flips


class Redecision:
    """Takes logged requests in order and finds what flips. Used by one event loop."""

    def __init__(self, old: Side, new: Side, inputs: Callable[[Logged], bytes]) -> None:
        """Take the two bundles.

        Args:
            old: The bundle that flips are counted from.
            new: The bundle that flips are counted to.
            inputs: A logged decision to its canonical input; raises a `XinguanError` that
                names what is missing or wrong.
        """
        self._old, self._new, self._inputs = old, new, inputs
        self._documents: dict[str, bytes] = {}
        self._framed: dict[tuple[str, str, int], bytes] = {}
        self._decisions: dict[tuple[str, bytes], list[Decision]] = {}
        self._seen: set[str] = set()
        self.findings = Findings()

    async def take(self, logged: Logged) -> None:
        """Decide one logged request under both bundles and note what there is to note."""
        findings = self.findings
        if not logged.decided:
            findings.undecided += 1
            return
        try:
            document = self._document(logged)
            old = await self._decide(self._old, document, logged)
            new = await self._decide(self._new, document, logged)
            findings.again += 1
            self._check(logged, old, new)
        except XinguanError as error:
            findings.faults.append(Fault(logged.index, error.code, error.message))
            if not isinstance(error, ConflictError) or error.code != "DIVERGED":
                return
        found = difference(old, new)
        if found is not None:
            group = findings.flips.setdefault((found.kind, found.causes), Flips())
            group.add(logged, found)

    def _check(self, logged: Logged, old: Decision, new: Decision) -> None:
        """Compare with the record when one of the two bundles is the one that decided."""
        for decision in (old, new):
            if decision.bundle_digest == logged.bundle:
                self.findings.checked += 1
                check_record(logged, decision)
                return

    def _document(self, logged: Logged) -> bytes:
        document = self._documents.get(logged.input)
        if document is None:
            if len(self._documents) >= _REMEMBERED:
                for memory in (self._documents, self._framed, self._decisions):
                    memory.clear()
            document = self._documents[logged.input] = self._inputs(logged)
            if logged.input not in self._seen:
                self._seen.add(logged.input)
                self.findings.distinct += 1
        return document

    async def _decide(self, side: Side, document: bytes, logged: Logged) -> Decision:
        framed = self._frame(side, document, logged)
        known = self._decisions.setdefault((side.bundle.digest, framed), [])
        for decision in known:
            if decision.valid_from <= logged.time < decision.valid_until:
                return decision
        try:
            decision = await side.decider.replay(framed, logged.time)
        except UnavailableError as error:
            word = "new" if side is self._new else "old"
            raise UnavailableError(error.code, f"{error.message} (the {word} bundle)") from error
        known.append(decision)
        return decision

    def _frame(self, side: Side, document: bytes, logged: Logged) -> bytes:
        """Return the input as this side's tables shape it; for its own bundle, as it stands."""
        if side.bundle.digest == logged.bundle:
            return document
        key = side.bundle.digest, logged.input, logged.subjects
        framed = self._framed.get(key)
        if framed is None:
            defaults = self._old.law.switches
            try:
                framed = reframe(document, side.law, logged.subjects, defaults)
            except (ValueError, LookupError, TypeError):
                raise UnavailableError(
                    "INPUT_UNREADABLE", "the kept input has another form than this version's"
                ) from None
            self._framed[key] = framed
        return framed
