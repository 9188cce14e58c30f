"""Portfolios: the subjects that a bank asks about again and again, sent once and kept sealed.

A handle is an id and a secret. The content is AES-256-GCM under a key derived from the node's
ticket key and the secret, bound to the party, its key, the id and the expiry; so the database
alone, or the database with the node's keys, opens none, and another party's handle neither.
Portfolios lie in the state, so that every worker and replica finds them, and go when they expire.
"""

import asyncio
import hashlib
import hmac
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
import pyarrow as pa
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.errors import AuditUnavailableError
from audit.journal import Journal, Transaction
from audit.store import Reader
from gateway.domain.errors import ExhaustedError, NotFoundError
from gateway.domain.vocabulary import SubjectKind
from gateway.release.memory import give_back

SUBJECT, OBSERVED_ON, CONSENT = "subject", "observed_on", "consent"
# Subjects looked at together. A portion is cut by subjects, not by the rows that they have:
# otherwise the number of batches would tell of rows that are withheld.
PORTION_SUBJECTS = 2_048
ENDPOINT_PORTIONS = 4  # that an endpoint has at least, so that few are not read through many
SWEEP_S = 60
_SUBJECTS_AT_HAND = 250_000  # of portfolios that are open, over all; the newest is at any size
_log = structlog.get_logger(__name__)
_HANDLE = re.compile(r"pf1\.([0-9a-f]{32})([0-9a-f]{64})")
_KEY_TAG = b"xinguan/portfolio-key/v1\0"
_SEAL_TAG = b"xinguan/portfolio/v1\n"
_NONCE = 12
_KIND = b"xinguan.subject_kind"
_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places


def portion_count(subjects: int) -> int:
    """Return in how many portions so many subjects are looked at."""
    return -(-subjects // PORTION_SUBJECTS)


def portion_places(first: int, last: int) -> range:
    """Return the places of the subjects of some portions; the last one may be shorter."""
    return range(first * PORTION_SUBJECTS, last * PORTION_SUBJECTS)


class Subjects(Sequence[str]):
    """The subjects of a portfolio as a column; texts are made of those that are looked at.

    A million of them as texts would take a hundred megabytes in every process that reads them.

    Args:
        column: The subjects, each once.
    """

    __slots__ = ("column",)

    def __init__(self, column: Any) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(self.column[place].to_pylist())
        return str(self.column[place].as_py())

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), PORTION_SUBJECTS):
            yield from self[first : first + PORTION_SUBJECTS]


@dataclass(frozen=True)
class Portfolio:
    """An uploaded portfolio.

    Args:
        kind: Kind of its subjects.
        rows: Columns `subject` (canonical) and, where given, `observed_on` (date32) and
            `consent`; each subject once, or once for each date; in an order that nobody outside
            knows, see `shuffled`.
    """

    kind: SubjectKind
    rows: pa.Table

    @cached_property
    def subjects(self) -> Subjects:
        """The subjects, each once, in the order in which they are looked at."""
        column: Any = self.rows.column(SUBJECT)
        return Subjects(column.unique() if self.observed else column.combine_chunks())

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of what was uploaded, whatever the order of its rows."""
        rows: Any = self.rows
        rows = rows.sort_by([(name, "ascending") for name in rows.column_names])
        ordered = Portfolio(self.kind, rows.combine_chunks())
        return hashlib.sha256(ordered.encoded()).digest()

    def made_ready(self) -> None:
        """Work out what is asked for again and again; a million subjects take a second."""
        _ = self.subjects, self.digest, self.consents

    @property
    def consent(self) -> str:
        """The one consent that every row rests on, or empty."""
        return next(iter(self.consents)) if len(self.consents) == 1 else ""

    @property
    def observed(self) -> bool:
        """True when rows say as of when they are asked about."""
        return OBSERVED_ON in self.rows.column_names

    @cached_property
    def consents(self) -> frozenset[str]:
        """Every consent that a row rests on; `""` stands for a row without one."""
        if CONSENT not in self.rows.column_names:
            return frozenset()
        distinct = self.rows.column(CONSENT).unique().to_pylist()
        return frozenset(each or "" for each in distinct)

    @classmethod
    def shuffled(cls, kind: SubjectKind, rows: pa.Table) -> "Portfolio":
        """Return a portfolio in a fresh random order.

        In the caller's own order a batch of pseudonyms would stand for subjects that the caller
        can name; in this one a batch stands for any of the portfolio.
        """
        subjects: Any = rows.column(SUBJECT).combine_chunks()
        codes = subjects.dictionary_encode()
        # Subjects are shuffled, not rows: one that is observed on many days would come early.
        places = np.random.default_rng().permutation(len(codes.dictionary))
        order = np.argsort(places[codes.indices.to_numpy()], kind="stable")
        return cls(kind, rows.take(order).combine_chunks())

    def encoded(self) -> pa.Buffer:
        """Return it as an Arrow IPC stream."""
        sink = pa.BufferOutputStream()
        rows = self.rows.replace_schema_metadata({_KIND: self.kind.value.encode()})
        with _arrow.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        return sink.getvalue()

    @classmethod
    def decode(cls, encoded: bytes) -> "Portfolio":
        """Return what `encoded` wrote."""
        rows = pa.ipc.open_stream(pa.py_buffer(encoded)).read_all()
        kind = SubjectKind((rows.schema.metadata or {})[_KIND].decode())
        return cls(kind, rows.replace_schema_metadata(None))


@dataclass(frozen=True, slots=True)
class Kept:
    """A portfolio that is kept: its handle, its size and when it goes."""

    handle: str
    subjects: int
    expires_at: int


class _Holder(NamedTuple):
    """What opens a portfolio: its handle, and whose it is."""

    handle: str
    party_id: str
    fingerprint: str


class Portfolios:
    """Keeps portfolios in the state. Thread-safe.

    Args:
        journal: Writes the state.
        reader: A reading connection, used by this object alone.
        key: 32 bytes, the node's ticket key.
        life_s: Seconds that a portfolio is kept.
        per_party: Greatest number that a party keeps at once.
        clock_s: Unix seconds.
    """

    def __init__(
        self,
        journal: Journal,
        reader: Reader,
        key: bytes,
        *,
        life_s: int,
        per_party: int,
        clock_s: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._reader = reader
        self._key = key
        self._life_s = life_s
        self._per_party = per_party
        self._clock_s = clock_s
        self._lock = threading.Lock()
        # What was opened lately, so that the endpoints of one reading share it; oldest first.
        self._opened: OrderedDict[_Holder, Portfolio] = OrderedDict()

    async def keep(self, portfolio: Portfolio, party_id: str, fingerprint: str) -> Kept:
        """Seal and keep a portfolio; durable when it returns.

        Raises:
            ExhaustedError: `PORTFOLIO_QUOTA`.
        """
        now = self._clock_s()
        expires_at = now + self._life_s
        handle_id, secret, nonce = os.urandom(16).hex(), os.urandom(32), os.urandom(_NONCE)
        bound = _bound(handle_id, party_id, fingerprint, expires_at)
        seal = self._seal(secret)
        sealed = await asyncio.to_thread(
            lambda: nonce + seal.encrypt(nonce, memoryview(portfolio.encoded()).cast("B"), bound)
        )
        count = len(portfolio.subjects)
        row = (handle_id, party_id, count, expires_at, sealed)

        def write(tx: Transaction) -> bool:
            tx.execute("DELETE FROM portfolios WHERE expires_at <= ?", (now,))
            query = "SELECT count(*) FROM portfolios WHERE party_id = ?"
            found = tx.execute(query, (party_id,)).fetchone()
            if found is not None and found[0] >= self._per_party:
                return False
            tx.execute(
                "INSERT INTO portfolios (portfolio_id, party_id, subjects, expires_at, sealed)"
                " VALUES (?, ?, ?, ?, ?)",
                row,
            )
            return True

        if not await self._journal.submit(write):
            raise ExhaustedError("PORTFOLIO_QUOTA", "the party keeps as many as it may")
        return Kept(f"pf1.{handle_id}{secret.hex()}", count, expires_at)

    def open(self, handle: str, party_id: str, fingerprint: str) -> Portfolio:
        """Return a portfolio, made ready; blocks.

        Raises:
            NotFoundError: `PORTFOLIO_UNKNOWN`: there is none, it is over, or another party or key
                asks; which of them is not told.
        """
        match = _HANDLE.fullmatch(handle)
        if match is None:
            raise _unknown()
        holder = _Holder(handle, party_id, fingerprint)
        with self._lock:
            opened = self._opened.get(holder)
            # Whether it is kept still is asked each time; its content only when it isn't at hand.
            query = f"SELECT expires_at{'' if opened else ', sealed'} FROM portfolios"
            row = self._reader.execute(f"{query} WHERE portfolio_id = ?", (match[1],)).fetchone()
        if row is None or self._clock_s() >= row[0]:
            raise _unknown()
        if opened is None:
            sealed, bound = memoryview(row[1]), _bound(match[1], party_id, fingerprint, row[0])
            try:
                seal = self._seal(bytes.fromhex(match[2]))
                opened = Portfolio.decode(seal.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound))
            except InvalidTag:
                raise _unknown() from None
            opened.made_ready()
            give_back()  # it sorted a copy
        self._remember(holder, opened)
        return opened

    def _remember(self, holder: "_Holder", portfolio: Portfolio) -> None:
        with self._lock:
            self._opened[holder] = portfolio
            self._opened.move_to_end(holder)
            held = sum(len(each.subjects) for each in self._opened.values())
            while held > _SUBJECTS_AT_HAND and len(self._opened) > 1:
                held -= len(self._opened.popitem(last=False)[1].subjects)

    async def delete(self, handle: str, party_id: str, fingerprint: str) -> None:
        """Delete a portfolio of the caller.

        Raises:
            NotFoundError: `PORTFOLIO_UNKNOWN`, as for `open`.
        """
        self.open(handle, party_id, fingerprint)
        match = _HANDLE.fullmatch(handle)
        portfolio_id = "" if match is None else match[1]

        def write(tx: Transaction) -> None:
            tx.execute("DELETE FROM portfolios WHERE portfolio_id = ?", (portfolio_id,))

        await self._journal.submit(write)

    async def sweep_always(self) -> None:
        """Sweep every minute until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
            except AuditUnavailableError as error:
                _log.error("sweep_failed", type=type(error).__name__)

    async def sweep(self) -> None:
        """Delete what has expired."""
        now = self._clock_s()
        query = "SELECT count(*) FROM portfolios WHERE expires_at <= ?"
        with self._lock:
            self._opened.clear()
            due = self._reader.execute(query, (now,)).fetchone()
        if due is None or not due[0]:
            return  # most of the time: nothing to write

        def write(tx: Transaction) -> None:
            tx.execute("DELETE FROM portfolios WHERE expires_at <= ?", (now,))

        await self._journal.submit(write)

    def _seal(self, secret: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._key, _KEY_TAG + secret, "sha256"))


def _bound(portfolio_id: str, party_id: str, fingerprint: str, expires_at: int) -> bytes:
    return _SEAL_TAG + f"{portfolio_id}\n{party_id}\n{fingerprint}\n{expires_at}".encode()


def _unknown() -> NotFoundError:
    return NotFoundError("PORTFOLIO_UNKNOWN", "no such portfolio of this party and key is kept")
