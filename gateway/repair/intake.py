"""What a feed brings goes the way that `RepairService.Publish` goes: verified, applied, logged.

An item that is refused is kept as it came, with its place and its rule, and raises an alarm; the
feed goes on behind it, so that one bad line holds up no repair. What can't be done now (the log
can't be written) refuses nothing: the position stays before it and it is tried again. A crash
between an effect and its position repeats the item, which changes nothing (idempotent by its id).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import AuditUnavailableError
from audit.journal import Transaction
from gateway.domain.errors import InvalidRequestError, UnavailableError, XinguanError
from gateway.registry.act import Act
from gateway.registry.documents import Verified, verify
from gateway.repair import feed_lease
from gateway.repair.alarms import raise_alarm
from gateway.repair.assurance import ASSURANCE_TYPE, AssuranceClaims, apply_assurance
from gateway.repair.decision import RepairClaims, read_decision
from gateway.repair.feed import FeedItem, ItemKind, Page
from gateway.repair.origins import IllegalDeletionError
from gateway.repair.publish import Publisher
from gateway.store.state import State


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
        for item in page.items:
            if item.kind is ItemKind.ASSURANCE and pending:
                # An assurance is held against what the feed brought before it.
                await self._remember(feed, pending[-1].item.position, pending, token)
                pending = []
            # One after the other: were two under way at once and the first of them not
            # written, its sequence would be stale when it comes again, and it would be lost.
            result = await self._take_item(feed, item)
            if isinstance(result.refusal, UnavailableError):
                if pending:
                    await self._remember(feed, pending[-1].item.position, pending, token)
                raise result.refusal
            pending.append(result)
            refused += result.refusal is not None
            applied += result.refusal is None
        await self._remember(feed, page.position, pending, token, read_to_end=page.at_end)
        return Taken(applied, refused)

    async def _take_item(self, feed: str, item: FeedItem) -> _Result:
        act = Act(self._clock_ms() // 1000, self._node, f"feed:{feed}")
        seen: tuple[str, int] | None = None
        try:
            if item.kind is ItemKind.BROKEN:
                raise InvalidRequestError("BROKEN_LINE", "the line is none of this feed's format")
            if item.kind is ItemKind.ASSURANCE:
                assured = verify(item.content, self._authority, ASSURANCE_TYPE, AssuranceClaims)
                await self._state.submit(lambda tx: apply_assurance(tx, assured.claims, feed, act))
                return _Result(item, None, None)
            decision = read_decision(item.content, self._authority)
            seen = (decision.claims.origin, decision.claims.sequence)
            await self._publish(decision, act)
        except XinguanError as refusal:
            return _Result(item, refusal, seen)
        except AuditUnavailableError:
            gone = UnavailableError("AUDIT_UNAVAILABLE", "the audit log can't be written")
            return _Result(item, gone, seen)
        return _Result(item, None, seen)

    async def _publish(self, decision: Verified[RepairClaims], act: Act) -> None:
        await self._publisher.publish(decision, act.actor, act.now)

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
