"""The notices of each receiver, as they are read: by a cursor, or as one list to purge."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gateway.repair.recall.notice import LIST_SCHEMA, decode_list
from gateway.store.migration import Statements

_PAGE = 64
_UNANSWERED = "('OPEN', 'ESCALATED', 'PROPOSED', 'OBJECTED')"
_COLUMNS = "notice, notice_id, document, kind, status, product, deliveries, issued_at, due_at"


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as its receiver gets it.

    Args:
        index: Log index of its entry, which is the cursor of a watch.
        notice_id: Its id.
        document: The signed notice, compact.
        kind: STOP_USE, SUSPEND_USE or RESUME_USE.
        status: Where it stands.
        product: Product of the record.
        deliveries: Batches that held it.
        issued_at: Unix seconds.
        due_at: Unix seconds.
    """

    index: int
    notice_id: str
    document: str
    kind: str
    status: str
    product: str
    deliveries: int
    issued_at: int
    due_at: int


class NoticeBoard:
    """Reads notices for streams that wait for them. Used by one event loop.

    The newest number is asked for once for all streams, and not more often than `EVERY_S`: a
    thousand idle streams cost what one costs.
    """

    EVERY_S = 0.2

    def __init__(self, state: Statements) -> None:
        """Keep a reading connection of the board's own."""
        self.open = True  # cleared when the server stops, so that streams end before it waits
        self._state = state
        self._newest = -1
        self._ask_again_at = 0.0

    def newest(self) -> int:
        """Return the index of the newest notice of any receiver, at most `EVERY_S` old."""
        now = time.monotonic()
        if now >= self._ask_again_at:
            row = self._state.execute("SELECT max(notice) FROM recall_notices").fetchone()
            self._newest = -1 if row[0] is None else int(row[0])
            self._ask_again_at = now + self.EVERY_S
        return self._newest

    def after(self, party_id: str, cursor: int) -> list[Notice]:
        """Return the next notices to a party after a cursor, oldest first; a page at most.

        Indexes are given and committed in one order, so nothing can appear before a cursor.
        """
        rows = self._state.execute(
            f"SELECT {_COLUMNS} FROM recall_notices WHERE party_id = ? AND notice > ?"
            " ORDER BY notice LIMIT ?",
            (party_id, cursor, _PAGE),
        ).fetchall()
        return [Notice(*row) for row in rows]


def purge_list(state: Statements, party_id: str, *, everything: bool = False) -> pa.Table:
    """Return every row that a party was told to purge or to suspend and has not answered for.

    Args:
        state: Reads the state.
        party_id: The receiver.
        everything: Also what it has answered for.
    """
    which = "" if everything else f" AND status IN {_UNANSWERED}"
    rows = state.execute(
        "SELECT notice_id, kind, product, due_at, rows_list FROM recall_notices"
        f" WHERE party_id = ? AND kind <> 'RESUME_USE'{which} ORDER BY notice",
        (party_id,),
    ).fetchall()
    parts = [_with_notice(*row) for row in rows]
    return pa.concat_tables(parts) if parts else PURGE_SCHEMA.empty_table()


def encode_table(table: pa.Table) -> bytes:
    """Return a table as an Arrow IPC stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


_ABOUT: Sequence["pa.Field[Any]"] = (
    pa.field("notice_id", pa.string(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("product", pa.string(), nullable=False),
    pa.field("due_at", pa.timestamp("s", "UTC"), nullable=False),
)
PURGE_SCHEMA = pa.schema([*_ABOUT, *LIST_SCHEMA], metadata={b"xinguan.purge-list": b"v1"})


def _with_notice(notice_id: str, kind: str, product: str, due_at: int, listed: bytes) -> pa.Table:
    table = decode_list(listed)
    count = table.num_rows
    words = [pa.array([text] * count, pa.string()) for text in (notice_id, kind, product)]
    due = pa.array([due_at] * count, pa.timestamp("s", "UTC"))
    return pa.Table.from_arrays([*words, due, *table.columns], schema=PURGE_SCHEMA)
