"""Publicity statements that come in as files: a folder of pairs NAME.jws and NAME.parquet.

The file with the rows is put there first and the statement last, each by a rename, so that a
statement that is there is complete. Names are taken in their order, so they begin with a time,
as in `20261126T180000Z-admin_penalty.jws`. A statement that is refused is kept among the
refusals with its rule, and the next one is taken.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from audit.journal import Transaction
from gateway.domain.errors import NotFoundError, UnavailableError, XinguanError
from gateway.registry.act import Act
from gateway.repair import feed_lease
from gateway.repair.feed import MAX_CONTENT_BYTES, FeedError
from gateway.repair.feed_runner import position_of
from gateway.repair.intake import Taken, keep_refusal, remember
from gateway.repair.publicity import SUFFIXES
from gateway.repair.reconcile import Reconciler
from gateway.store.state import State

STATEMENT = ".jws"


class PublicityReading:
    """Takes the statements of a folder, one after the other."""

    def __init__(
        self,
        name: str,
        folder: Path,
        reconciler: Reconciler,
        state: State,
        *,
        node: str,
        clock_ms: Callable[[], int],
        consume: bool = False,
    ) -> None:
        """Take the folder and who compares.

        Args:
            name: Name of the feed.
            folder: Where the statements come in.
            reconciler: Compares and applies them.
            state: Keeps the position and what was refused.
            node: Name of this node.
            clock_ms: Unix milliseconds.
            consume: Remove what was taken; for copies that are nobody else's.
        """
        self._name = name
        self._folder = folder
        self._reconciler = reconciler
        self._state = state
        self._node = node
        self._clock_ms = clock_ms
        self._consume = consume

    async def step(self, token: int) -> tuple[Taken, bool]:
        """Take the next statement in.

        Raises:
            FeedError: `FEED_UNREADABLE`.
            UnavailableError: It can't be taken in now.
        """
        position = await asyncio.to_thread(position_of, self._state, self._name)
        waiting = await asyncio.to_thread(statements_after, self._folder, position)
        if not waiting:
            return Taken(0, 0), False
        statement = waiting[0]
        try:
            content = await asyncio.to_thread(statement.read_text, "ascii", "replace")
        except OSError:
            raise FeedError("FEED_UNREADABLE", "a statement can't be read") from None
        refusal: XinguanError | None = None
        try:
            await self._reconciler.reconcile(content, rows_of(statement), f"feed:{self._name}")
        except UnavailableError:
            raise
        except XinguanError as error:
            refusal = error
        await self._remember(statement, content, refusal, token, at_end=len(waiting) == 1)
        if self._consume:
            await asyncio.to_thread(_remove, statement)
        return Taken(int(refusal is None), int(refusal is not None)), len(waiting) > 1

    def close(self) -> None:
        """Nothing is open."""

    async def _remember(
        self,
        statement: Path,
        content: str,
        refusal: XinguanError | None,
        token: int,
        *,
        at_end: bool,
    ) -> None:
        act = Act(self._clock_ms() // 1000, self._node, f"feed:{self._name}")

        def job(tx: Transaction) -> None:
            feed_lease.check(tx, self._name, token)
            if refusal is not None:
                kept = content[:MAX_CONTENT_BYTES]
                keep_refusal(tx, self._name, statement.name, kept, refusal, act)
            refused = int(refusal is not None)
            read_at = act.now if at_end else None
            remember(tx, self._name, statement.name, 1 - refused, refused, read_at)

        await self._state.journal.submit(job)


def statements_after(folder: Path, position: str) -> list[Path]:
    """Return the statements of a folder after a position, in the order of their names.

    Raises:
        FeedError: `FEED_UNREADABLE`.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix == STATEMENT]
    except FileNotFoundError:
        return []
    except OSError:
        raise FeedError("FEED_UNREADABLE", "the folder of statements can't be read") from None
    visible = (path for path in found if not path.name.startswith("."))
    return sorted(path for path in visible if path.name > position)


def rows_of(statement: Path) -> Path:
    """Return the file with the rows of a statement.

    Raises:
        NotFoundError: `NOT_FOUND` when there is none beside it.
    """
    for suffix in SUFFIXES:
        candidate = statement.with_suffix(suffix)
        if candidate.exists():
            return candidate
    raise NotFoundError("NOT_FOUND", "no file with rows lies beside the statement")


def digest_of(token: str) -> str:
    """Return the digest that a statement's result is found by."""
    return hashlib.sha256(token.strip().encode()).hexdigest()


def _remove(statement: Path) -> None:
    for suffix in (STATEMENT, *SUFFIXES):
        statement.with_suffix(suffix).unlink(missing_ok=True)
