"""Limits of use per licence: calls per second in shared memory, rows per day in the state.

Calls are counted by all processes of a deployment together (`gateway.registry.call_rate`); a state
that is served from several machines divides the limit among them, so that all together keep to it.
Rows are kept in the transaction of the outcome that releases them, so that a restart doesn't reset
them; each process sees what the others released a quarter of a second ago, and by as much they may
overrun a day's rows together.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from audit.errors import AuditError
from audit.journal import Row
from audit.store import Reader
from gateway.domain.errors import ExhaustedError, UnavailableError
from gateway.domain.licence import Licence
from gateway.registry.call_rate import CallRate
from gateway.store.migration import Statements

_SHANGHAI_S = 8 * 3_600  # Asia/Shanghai has had no summer time since 1991
_DAY_S = 86_400
_REMEMBERED_LICENCES = 16_384
_KEPT_DAYS = 7
_OTHERS_LIVE_MS = 250  # by how much several nodes may overrun a day's rows together
_INTO_COUNTS = "INSERT INTO row_counts (licence_id, day, writer, rows_released) VALUES"
_ADD_TO_COUNTS = (
    "ON CONFLICT (licence_id, day, writer)"
    " DO UPDATE SET rows_released = row_counts.rows_released + excluded.rows_released"
)
_OTHERS = (
    "SELECT coalesce(sum(rows_released), 0) FROM row_counts"
    " WHERE licence_id = ? AND day = ? AND writer <> ?"
)


def shanghai_day(now_ms: int) -> int:
    """Return the number of the day in Asia/Shanghai, counted from 1970-01-01.

    Args:
        now_ms: Unix milliseconds.
    """
    return (now_ms // 1000 + _SHANGHAI_S) // _DAY_S


class LicenceQuotas:
    """Both limits, as the road of a request asks about them. Thread-safe.

    Each process counts under a writer's name of its own, drawn at its start. What it let go
    itself it knows without waiting for the database; what the others and its predecessors let
    go it reads there.
    """

    def __init__(
        self,
        connection: Reader,
        *,
        calls_per_second: int,
        rows_per_day: int,
        rate: CallRate | None = None,
        places: Callable[[], int] = lambda: 1,
    ) -> None:
        """Use a reading connection of the state as its own.

        Args:
            connection: See `gateway.store.state.State.connect`.
            calls_per_second: The node's limit, for licences that state none.
            rows_per_day: The node's limit, for licences that state none.
            rate: Counts calls, together with other processes; alone when it is None.
            places: From how many directories the state is served now.
        """
        self._connection = connection
        self._calls_per_second = calls_per_second
        self._rows_per_day = rows_per_day
        self._calls = CallRate() if rate is None else rate
        self._places = places
        self._writer = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._taken: dict[tuple[str, int], int] = {}
        self._others: OrderedDict[tuple[str, int], tuple[int, int]] = OrderedDict()
        self._pruned_day = 0

    def check(self, licence: Licence | None, now_ms: int) -> None:
        """Count one call; without a licence the decision refuses it anyway.

        Args:
            licence: The licence that the request rests on.
            now_ms: Unix milliseconds.

        Raises:
            ExhaustedError: `RATE_LIMIT`.
        """
        if licence is not None:
            limit = licence.quotas.calls_per_second or self._calls_per_second
            self._calls.take(licence.licence_id, limit / self._places(), now_ms / 1000)

    def take_rows(self, licence: Licence | None, rows: int, now_ms: int) -> None:
        """Take rows that are about to leave from the day's quota.

        What is taken and never leaves stays taken until the process ends: never too much.

        Args:
            licence: The licence that the request rests on.
            rows: Rows about to leave.
            now_ms: Unix milliseconds.

        Raises:
            ExhaustedError: `ROW_QUOTA`, and nothing is taken.
        """
        if licence is None or rows == 0:
            return
        limit = licence.quotas.rows_per_day or self._rows_per_day
        with self._lock:
            used = self._used(licence.licence_id, now_ms)
            if used + rows > limit:
                raise ExhaustedError(
                    "ROW_QUOTA",
                    "the licence's rows for this day are used up",
                    hints=(f"at most {limit} rows a day; the day ends at 24:00 +08:00",),
                )
            self._take(licence.licence_id, shanghai_day(now_ms), rows)

    def used_rows(self, licence_id: str, now_ms: int) -> int:
        """Return the rows of this day, those about to leave here included."""
        with self._lock:
            return self._used(licence_id, now_ms)

    def count_row(self, licence_id: str, rows: int, now_ms: int) -> Row:
        """Return released rows as a row for the journal; see `count_rows`."""
        values = (licence_id, shanghai_day(now_ms), self._writer, rows)
        return Row(_INTO_COUNTS, values, _ADD_TO_COUNTS, adds=True)

    def count_rows(self, tx: Statements, licence_id: str, rows: int, now_ms: int) -> None:
        """Keep released rows, in the transaction of their outcome.

        Args:
            tx: The transaction.
            licence_id: Whose quota.
            rows: Rows that left.
            now_ms: Unix milliseconds, as when they were taken.
        """
        day = shanghai_day(now_ms)
        tx.execute(
            f"{_INTO_COUNTS} (?, ?, ?, ?) {_ADD_TO_COUNTS}",
            (licence_id, day, self._writer, rows),
        )
        if day != self._pruned_day:
            self._pruned_day = day
            tx.execute("DELETE FROM row_counts WHERE day < ?", (day - _KEPT_DAYS,))

    def _used(self, licence_id: str, now_ms: int) -> int:
        day = shanghai_day(now_ms)
        return self._of_others(licence_id, day, now_ms) + self._taken.get((licence_id, day), 0)

    def _of_others(self, licence_id: str, day: int, now_ms: int) -> int:
        """Return what other writers let go, at most a quarter of a second old."""
        key = (licence_id, day)
        read_at, rows = self._others.get(key, (0, 0))
        if not 0 <= now_ms - read_at < _OTHERS_LIVE_MS:
            rows = self._read_others(licence_id, day)
            self._others.pop(key, None)
            self._others[key] = (now_ms, rows)
            if len(self._others) > _REMEMBERED_LICENCES:
                self._others.popitem(last=False)
        return rows

    def _read_others(self, licence_id: str, day: int) -> int:
        """Read what other writers let go.

        Raises:
            UnavailableError: `AUDIT_UNAVAILABLE`; without the count nothing leaves.
        """
        try:
            found = self._connection.execute(_OTHERS, (licence_id, day, self._writer)).fetchone()
        except AuditError:
            raise UnavailableError(
                "AUDIT_UNAVAILABLE", "the gateway's state can't be read now"
            ) from None
        return int(found[0])

    def _take(self, licence_id: str, day: int, rows: int) -> None:
        """Add rows to a day; a request may still count on the day before, none on older ones."""
        key = (licence_id, day)
        if key not in self._taken:
            self._taken = {
                known: count for known, count in self._taken.items() if known[1] >= day - 1
            }
        self._taken[key] = self._taken.get(key, 0) + rows
