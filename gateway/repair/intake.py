"""What a feed brings goes the way that `RepairService.Publish` goes: verified, applied, logged.

An item that is refused is kept as it came, with its place and its rule, and raises an alarm; the
feed goes on behind it, so that one bad line holds up no repair. What can't be done now (the log
can't be written) refuses nothing: the position stays before it and it is tried again. A crash
between an effect and its position repeats the item, which changes nothing (idempotent by its id).
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import AuditUnavailableError
from audit.journal import Transaction
from gateway.domain.errors import InvalidRequestError, UnavailableError, XinguanError
from gateway.registry.act import Act
from gateway.registry.documents import verify
from gateway.repair import feed_lease
from gateway.repair.alarms import raise_alarm
from gateway.repair.assurance import ASSURANCE_TYPE, AssuranceClaims, apply_assurance
from gateway.repair.decision import read_decision
from gateway.repair.feed import FeedItem, ItemKind, Page
from gateway.repair.origins import IllegalDeletionError
from gateway.repair.publish import Handed, Lane, Published, Publisher
from gateway.store.state import State

_BREATH = 16  # decisions verified without a pause


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a page: items that took effect or said nothing new, and refused ones."""

    applied: int
    refused: int


@dataclass(frozen=True, slots=True)
class _Result:
    item: FeedItem
    refusal: XinguanError | None
    seen: tuple[str, int] | None  # origin and sequence of a decision that is truly the origin's


@dataclass(frozen=True, slots=True)
class _UnderWay:
    item: FeedItem
    answer: asyncio.Future[Published]
    seen: tuple[str, int]

    async def result(self) -> _Result:
        """Wait until the decision is in effect or refused."""
        await asyncio.wait([self.answer])
        error = self.answer.exception()
        if error is None or isinstance(error, XinguanError):
            return _Result(self.item, error, self.seen)
        raise error


class Intake:
    """Takes pages of feeds in; one page of a feed at a time."""

    def __init__(
        self,
        state: State,
        publisher: Publisher,
        authority: Callable[[str], Ed25519PublicKey | None],
        *,
        node: str,
        clock_ms: Callable[[], int],
    ) -> None:
        """Take the way that decisions go and the keys that may sign them.

        Args:
            state: Keeps positions and what was refused.
            publisher: Applies decisions.
            authority: Key id to the public key of one who may sign, or None.
            node: Name of this node.
            clock_ms: Unix milliseconds.
        """
        self._state = state
        self._publisher = publisher
        self._authority = authority
        self._node = node
        self._clock_ms = clock_ms

    async def take(self, feed: str, page: Page, token: int) -> Taken:
        """Take one page in and remember its position.

        Args:
            feed: Name of the feed.
            page: The page, read from the feed's remembered position.
            token: Of the lease under which it was read.

        Raises:
            UnavailableError: It can't be done now; what was done before is remembered.
        """
        pending: list[_Result] = []
        applied = refused = 0
        for some in _runs(page.items):
            if some[0].kind is ItemKind.ASSURANCE and pending:
                # An assurance is held against what the feed brought before it.
                await self._remember(feed, pending[-1].item.position, pending, token)
                pending = []
            for result in await self._take_run(feed, some):
                if isinstance(result.refusal, UnavailableError):
                    if pending:
                        await self._remember(feed, pending[-1].item.position, pending, token)
                    raise result.refusal
                pending.append(result)
                refused += result.refusal is not None
                applied += result.refusal is None
        await self._remember(feed, page.position, pending, token, read_to_end=page.at_end)
        return Taken(applied, refused)

    async def _take_run(self, feed: str, items: Sequence[FeedItem]) -> list[_Result]:
        """Take in items that follow one another: decisions together, anything else alone."""
        act = Act(self._clock_ms() // 1000, self._node, f"feed:{feed}")
        if items[0].kind is not ItemKind.DECISION:
            return [await self._take_other(item, feed, act) for item in items]
        # In one lane: were one not written and a later one were, its sequence would be stale when
        # it comes again, and it would be lost.
        lane, under_way = Lane(), list[_Result | _UnderWay]()
        for number, item in enumerate(items):
            if number % _BREATH == 0:
                await asyncio.sleep(0)  # verifying a page would hold up everything else
            try:
                decision = read_decision(item.content, self._authority)
            except XinguanError as refusal:
                under_way.append(_Result(item, refusal, None))
                continue
            answer = self._publisher.hand_in(Handed(decision, act.actor, act.now), lane)
            seen = (decision.claims.origin, decision.claims.sequence)
            under_way.append(_UnderWay(item, answer, seen))
        return [one if isinstance(one, _Result) else await one.result() for one in under_way]

    async def _take_other(self, item: FeedItem, feed: str, act: Act) -> _Result:
        try:
            if item.kind is ItemKind.BROKEN:
                raise InvalidRequestError("BROKEN_LINE", "the line is none of this feed's format")
            assured = verify(item.content, self._authority, ASSURANCE_TYPE, AssuranceClaims)
            await self._state.submit(lambda tx: apply_assurance(tx, assured.claims, feed, act))
        except XinguanError as refusal:
            return _Result(item, refusal, None)
        except AuditUnavailableError:
            gone = UnavailableError("AUDIT_UNAVAILABLE", "the audit log can't be written")
            return _Result(item, gone, None)
        return _Result(item, None, None)

    async def _remember(
        self,
        feed: str,
        position: str,
        results: Sequence[_Result],
        token: int,
        *,
        read_to_end: bool = False,
    ) -> None:
        act = Act(self._clock_ms() // 1000, self._node, f"feed:{feed}")

        def job(tx: Transaction) -> None:
            feed_lease.check(tx, feed, token)
            for result in results:
                _keep(tx, feed, result, act)
            refused = sum(result.refusal is not None for result in results)
            read_at = act.now if read_to_end else None
            remember(tx, feed, position, len(results) - refused, refused, read_at)

        await self._state.journal.submit(job)


def _runs(items: Sequence[FeedItem]) -> Iterator[list[FeedItem]]:
    """Cut items into runs of decisions, and everything else for itself."""
    for is_decision, some in groupby(items, lambda item: item.kind is ItemKind.DECISION):
        if is_decision:
            yield list(some)
        else:
            yield from ([item] for item in some)


def _keep(tx: Transaction, feed: str, result: _Result, act: Act) -> None:
    """Keep what a result leaves behind: the sequence seen, or what was refused and why."""
    if result.seen is not None:
        tx.execute(
            "INSERT INTO feed_sequences (feed, origin, sequence) VALUES (?, ?, ?)"
            " ON CONFLICT (feed, origin) DO UPDATE SET sequence = excluded.sequence"
            " WHERE excluded.sequence > feed_sequences.sequence",
            (feed, *result.seen),
        )
    if result.refusal is not None:
        keep_refusal(tx, feed, result.item.place, result.item.content, result.refusal, act)


def remember(
    tx: Transaction, feed: str, position: str, applied: int, refused: int, read_at: int | None
) -> None:
    """Write how far a feed was read.

    Args:
        tx: The transaction.
        feed: Name of the feed.
        position: Its position now.
        applied: Items that took effect since the last position.
        refused: Items that were refused since.
        read_at: Unix seconds when its end was reached, or None when it wasn't.
    """
    tx.execute(
        "INSERT INTO repair_feeds (feed, position, applied, refused, read_to_end_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (feed) DO UPDATE SET"
        " position = excluded.position,"
        " applied = repair_feeds.applied + excluded.applied,"
        " refused = repair_feeds.refused + excluded.refused,"
        " read_to_end_at = COALESCE(excluded.read_to_end_at, repair_feeds.read_to_end_at)",
        (feed, position, applied, refused, read_at),
    )


def keep_refusal(
    tx: Transaction, feed: str, place: str, content: str, refusal: XinguanError, act: Act
) -> None:
    """Keep what was refused as it came, and raise an alarm; once, however often it is read.

    Args:
        tx: The transaction.
        feed: Name of the feed.
        place: Where it stood.
        content: What came, at most 64 KiB.
        refusal: Why it was refused.
        act: The circumstances.
    """
    reason = refusal.reasons[0]
    digest = hashlib.sha256(content.encode()).hexdigest()
    known = tx.execute(
        "SELECT 1 FROM feed_refusals WHERE feed = ? AND place = ? AND digest = ?",
        (feed, place, digest),
    ).fetchone()
    if known is not None:  # read again after a crash
        return
    tx.execute(
        "INSERT INTO feed_refusals (feed, place, rule, code, digest, content, refused_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (feed, place) DO UPDATE SET"
        " rule = excluded.rule, code = excluded.code, digest = excluded.digest,"
        " content = excluded.content, refused_at = excluded.refused_at",
        (feed, place, reason.rule, reason.code, digest, content, act.now),
    )
    # The publisher has raised this alarm itself, whichever way the decision came (R29).
    if not isinstance(refusal, IllegalDeletionError):
        raise_alarm(
            tx,
            rule=reason.rule,
            code=reason.code,
            now=act.now,
            node=act.node,
            actor=act.actor,
            document=digest,
        )
