"""A feed in a change table of PostgreSQL: the provincial platform appends, the gateway reads.

The table's definition is in docs/feeds.md. A reader that only remembered the greatest number it
has seen would lose rows: numbers are given out at insertion and become visible at commit, so a
lower one can appear after a higher one was read. So each row carries the id of its transaction,
and a page holds only rows of transactions before the oldest one that is still running, in the
order of transaction and number. What is not settled yet isn't read yet, and nothing is lost.

A database that was restored to an earlier moment gives out transaction ids again; that is
noticed, since its present id lies before the one that was read.
"""

import json
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from gateway.domain.errors import XinguanError
from gateway.identity.keyfiles import read_private
from gateway.repair.feed import MAX_CONTENT_BYTES, FeedError, FeedItem, ItemKind, Page

_BORDERS = (
    "SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() s"
)
_ROWS = (
    "SELECT written_by::text, position, kind, left(document, {longest})"
    " FROM {table}"
    " WHERE (written_by, position) > (%s::text::xid8, %s)"
    " AND written_by < %s::text::xid8"
    " ORDER BY written_by, position LIMIT %s"
)
_KINDS = {kind.value: kind for kind in (ItemKind.DECISION, ItemKind.ASSURANCE)}


class TableFeed:
    """Reads a change table; its connection is kept between reads, and new after a fault."""

    def __init__(self, dsn: str, table: str, *, timeout_ms: int) -> None:
        """Take how to reach it; nothing is opened yet.

        Args:
            dsn: Connection string of libpq.
            table: Name of the table, with or without its schema.
            timeout_ms: Longest time of one statement.
        """
        self._dsn = dsn
        self._timeout_ms = timeout_ms
        self._rows = sql.SQL(_ROWS).format(
            table=sql.Identifier(*table.split(".")), longest=sql.Literal(MAX_CONTENT_BYTES + 1)
        )
        self._connection: psycopg.Connection[Any] | None = None

    def read(self, position: str, limit: int) -> Page:
        """Return up to `limit` rows after a position.

        Raises:
            FeedError: `FEED_UNREADABLE`, or `FEED_REWOUND` when the database went back.
        """
        transaction, number = _parse(position)
        try:
            connection = self._open()
            with connection.transaction():
                border, newest = connection.execute(_BORDERS).fetchone() or ("0", "0")
                if int(newest) < transaction:
                    raise FeedError("FEED_REWOUND", "the database lies before what was read")
                rows = connection.execute(
                    self._rows, (str(transaction), number, border, limit)
                ).fetchall()
        except psycopg.Error:
            self.close()
            # The driver's words may hold the address, a name or a value; none of them leaves.
            raise FeedError("FEED_UNREADABLE", "the change table can't be read") from None
        items = tuple(_item(row) for row in rows)
        return Page(items, items[-1].position if items else position, at_end=len(items) < limit)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> "psycopg.Connection[Any]":
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=max(1, self._timeout_ms // 1000),
                application_name="xinguan-feed",
                options=(
                    f"-c statement_timeout={self._timeout_ms} -c default_transaction_read_only=on"
                ),
            )
        return self._connection


def read_dsn(file: Path | None, variable: str, environment: dict[str, str]) -> str:
    """Return a connection string from a private file or from the environment.

    Args:
        file: The file, or None.
        variable: Name of the variable where there is no file.
        environment: The process's environment.

    Raises:
        FeedError: `FEED_UNREADABLE` when it isn't there or others may read the file.
    """
    try:
        found = read_private(file).decode() if file is not None else environment.get(variable, "")
    except (XinguanError, UnicodeDecodeError):
        found = ""
    if not found.strip():
        raise FeedError(
            "FEED_UNREADABLE", "the connection string is missing, or its file isn't private (0600)"
        )
    return found.strip()


def _parse(position: str) -> tuple[int, int]:
    if not position:
        return 0, 0
    try:
        known = json.loads(position)
        return int(known["transaction"]), int(known["row"])
    except (ValueError, KeyError, TypeError):
        raise FeedError("FEED_REWOUND", "the position is not one of a table feed") from None


def _item(row: tuple[str, int, str, str | None]) -> FeedItem:
    transaction, number, word, document = row
    position = json.dumps({"row": number, "transaction": int(transaction), "v": 1}, sort_keys=True)
    content = document or ""
    known = word in _KINDS and 0 < len(content) <= MAX_CONTENT_BYTES
    kind = _KINDS[word] if known else ItemKind.BROKEN
    return FeedItem(f"row:{number}", kind, content[:MAX_CONTENT_BYTES], position)
