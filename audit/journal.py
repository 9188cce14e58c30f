"""The group-committing writer of the state database and its log.

One thread writes. While it waits for the disk, or for another process that writes, jobs gather;
then it commits whatever is queued, up to 256 jobs, as one transaction with one fsync, and tells
all their callers with one message to the event loop. So a durable append costs a share of an fsync.

A busy event loop hands over its entries one by one, while a group costs a dozen statements, each of
which gives up the interpreter's lock and has to win it back from that loop. A writer that begins
with the first entry it sees then commits single ones, half of the time with 32 callers. So it waits
before it begins, in proportion to how long the loop took to hear of the groups before: not at all
beside an idle loop, and for nobody who isn't kept waiting by the loop as well (ADR 46).
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

from audit.canonical import encode_entry
from audit.errors import AuditUnavailableError
from audit.sqlite_store import SqliteStore
from audit.store import Appended, Reader, Store
from audit.transaction import (
    CommitFailedError,
    Ledger,
    Posting,
    Row,
    Rows,
    Transaction,
    Work,
    commit_group,
)

__all__ = [
    "Appended", "AuditUnavailableError", "Journal", "Ledger", "Posting", "Row", "Rows",
    "Transaction",
]  # fmt: skip

MAX_GROUP: Final = 256
_LAGS: Final = 3  # how many times the loop's lag a group waits for more
_PAUSE_S: Final = (0.0003, 0.02)  # shorter ones aren't worth a wake-up; the longest
_NEWEST: Final = 0.2  # weight of the newest lag in the average

T = TypeVar("T")


class Journal:
    """The one writer of this process to a state database.

    Durability: a result is given only after the commit reached the disk. Order: jobs of one
    process run in the order of submission. Other processes may write to the same database;
    indexes never collide.

    A job that raises takes back its own changes, and its caller gets the exception. When
    the store fails, every job of the group gets AuditUnavailableError and nothing of it was
    committed, with one exception: after a failed commit nobody can know. On SQLite the journal
    then refuses all further work, and whoever opens the database again sees what is there. On
    PostgreSQL it connects again by itself and looks for what it wrote: what is found is
    acknowledged late, and the rest is refused.

    Args:
        store: The state database; the path of a file is a SQLite database.

    Raises:
        AuditUnavailableError: The database cannot be opened.
    """

    def __init__(self, store: Store | Path, *, busy_timeout_ms: int = 5000) -> None:
        if isinstance(store, Path):
            store = SqliteStore(store, busy_timeout_ms=busy_timeout_ms)
        self._store = store
        self._writer = store.writer()
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._put_back: Work | None = None  # owned by the thread: the first of the next group
        self._lag_s = 0.0  # owned by the event loop; the thread only looks
        self._hurry = threading.Event()  # set when something came that waits for nobody
        self._gate = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._write, name="audit-journal", daemon=True)
        self._thread.start()

    async def append(self, entry: Mapping[str, object]) -> Appended:
        """Append an entry and wait until it is durable.

        Args:
            entry: As `audit.entries` builds it.

        Returns:
            Its index, leaf hash and bytes.

        Raises:
            EntryError: It has no canonical form or is too long.
            AuditUnavailableError: It was not acknowledged.
        """
        future = asyncio.get_running_loop().create_future()
        self._put(Work(future, None, encode_entry(entry)))
        # The future carries Any; a plain append always results in Appended.
        return await future  # type: ignore[no-any-return]  # see above

    async def submit(self, job: Callable[[Transaction], T]) -> T:
        """Run a job in the transaction of its group and wait until that is durable.

        Args:
            job: Runs on the writer's thread; it must be quick and must not block. Its
                exception is raised here, after its changes were taken back.

        Returns:
            What the job returned.

        Raises:
            AuditUnavailableError: It was not acknowledged.
        """
        future = asyncio.get_running_loop().create_future()
        self._put(Work(future, job))
        # The future carries Any; its value is what the job returned.
        return await future  # type: ignore[no-any-return]  # see above

    async def record(
        self,
        entry: Mapping[str, object] | bytes,
        rows: Callable[[int], Sequence[Row | Rows]],
        alone: Callable[[Transaction], Appended],
        after: Callable[[Appended], T],
        postings: Sequence[Posting] = (),
        behind: bytes = b"",
    ) -> T:
        """Append an entry with rows of its own, and wait until they are durable.

        The fast form of `submit` for what every request does: the rows of a whole group are
        written with one statement per table. When that fails, because one of them violates a
        constraint, each entry of the group is tried by its `alone` instead.

        Args:
            entry: As `audit.entries` builds it, or its canonical bytes.
            rows: Index of the entry to the rows that go with it; quick and without effects.
            alone: A job that appends the same entry and writes the same rows, and raises what
                its caller should get when a constraint forbids it.
            after: Run on the writer's thread once the entry is durable; what it returns is the
                result. A signature is made there, beside the event loop instead of in it.
            postings: What the entry puts into ledgers, one for each; a ledger that refuses it
                raises its own error here, and neither the entry nor its rows are written.
            behind: Canonical bytes of a second entry, which stands or falls with the first and
                has the index after it.

        Raises:
            EntryError: The entry has no canonical form or is too long.
            AuditUnavailableError: It was not acknowledged.
        """
        future = asyncio.get_running_loop().create_future()
        body = entry if isinstance(entry, bytes) else encode_entry(entry)
        self._put(Work(future, alone, body, rows, after, postings, behind))
        # The future carries Any; its value is what `after` returned.
        return await future  # type: ignore[no-any-return]  # see above

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Do the same as `submit`, blocking; for the command line and for other threads.

        Raises:
            AuditUnavailableError: It was not acknowledged.
            RuntimeError: A job called it, which would wait for itself for ever.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a job cannot wait for another job")
        future: Future[T] = Future()
        self._put(Work(future, job))
        return future.result()

    def connect(self) -> Reader:
        """Open a reading connection to the same database.

        Raises:
            AuditUnavailableError: It can't be opened.
        """
        return self._store.connect()

    def close(self) -> None:
        """Finish what is queued, then close; work that comes later is refused."""
        with self._gate:
            was_open, self._open = self._open, False
            if was_open:
                self._queue.put(None)
                self._hurry.set()
        self._thread.join()

    def _put(self, work: Work) -> None:
        with self._gate:
            if not self._open:
                raise AuditUnavailableError("the journal is closed")
            self._queue.put(work)
            if work.rows is None:
                self._hurry.set()

    def _write(self) -> None:
        failed = False
        while group := self._gather():
            if failed:
                _fail(group, AuditUnavailableError("the journal must be opened again"))
            else:
                failed = not self._commit(group)
                _finish(group)
            self._deliver(group)
        self._writer.close()

    def _gather(self) -> list[Work]:
        """Wait for one job and take what else is queued; an empty list means the end."""
        work, self._put_back = self._put_back or self._queue.get(), None
        group: list[Work] = []
        if work is not None:
            group.append(work)
            if work.rows is not None:
                self._pause()
            self._hurry.clear()  # before the queue is looked at, or it would be missed
            self._take_queued(group, jobs=True)
        return group

    def _pause(self) -> None:
        """Let more entries come while the event loop is busy; whatever else comes ends it."""
        shortest, longest = _PAUSE_S
        pause_s = min(longest, _LAGS * self._lag_s)
        if pause_s > shortest:
            self._hurry.wait(pause_s)

    def _take_queued(self, group: list[Work], *, jobs: bool) -> None:
        """Let join a group what is queued, in its order; without `jobs` up to the first job."""
        while len(group) < MAX_GROUP and self._put_back is None:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                return
            if work is None:
                # The end was queued behind this group: put it back for the next round.
                self._queue.put(None)
                return
            if work.body or jobs:
                group.append(work)
            else:
                self._put_back = work

    def _commit(self, group: list[Work]) -> bool:
        """Commit a group; return False when the connection must not be used again."""
        try:
            commit_group(self._writer, group, self._take_queued)
        except CommitFailedError as error:
            _fail(group, error)
            return False
        except AuditUnavailableError as error:
            _fail(group, error)
            return True
        except Exception:  # noqa: BLE001 - a dead thread would leave its callers waiting
            _fail(group, AuditUnavailableError("the log could not be written"))
            return False
        return True

    def _deliver(self, group: list[Work]) -> None:
        """Hand out results: at once to threads, with one message to each event loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[Work]] = {}
        for work in group:
            if isinstance(work.deliver_to, Future):
                _settle(work)
            else:
                by_loop.setdefault(work.deliver_to.get_loop(), []).append(work)
        for loop, works in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._settle_all, works, time.monotonic())
            except RuntimeError:
                # The loop is closed: nobody waits for these results any more.
                continue

    def _settle_all(self, works: list[Work], told: float) -> None:
        self._lag_s += _NEWEST * (time.monotonic() - told - self._lag_s)
        for work in works:
            _settle(work)


def _finish(group: list[Work]) -> None:
    """Run what comes after the commit; its failure is its caller's, the entry stands."""
    for work in group:
        if work.after is not None and work.error is None:
            try:
                work.result = work.after(work.result)
            except Exception as error:  # noqa: BLE001 - handed to the caller
                work.error = error


def _fail(group: list[Work], cause: AuditUnavailableError) -> None:
    for work in group:
        work.error = AuditUnavailableError(str(cause))
        work.error.__cause__ = cause.__cause__


def _settle(work: Work) -> None:
    # A caller may have gone away (cancelled); the entry stands in the log all the same.
    future: Any = work.deliver_to
    if future.done():
        return
    if work.error is None:
        future.set_result(work.result)
    else:
        future.set_exception(work.error)
