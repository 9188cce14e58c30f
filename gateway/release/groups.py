"""Whether an answer under pseudonyms would single somebody out (DESIGN, pseudonyms; R43).

What is counted are subjects that have something to show among what would be released now. A
withheld record and one that doesn't exist count alike, so the refusal says no more than the
answer itself would. The decision stays the policy's: it is told the two numbers.

What a bank was shown is kept for as long as its pseudonyms stay the same, which is for ever; it is
sealed, under labels that neither the bank nor a reader of the database can compute.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.journal import Journal, Transaction
from audit.store import Reader
from gateway.domain.errors import ExhaustedError
from gateway.domain.facts import NO_GROUP, Facts
from gateway.release.partition import MOST_PRODUCTS, Partition, first_letters
from gateway.release.portfolio import Subjects
from gateway.release.pseudonym import ConsumerKeys, Pseudonymiser
from gateway.snapshot.bitmap import Flags, Rows
from gateway.snapshot.index import expand_runs
from gateway.snapshot.snapshot import Snapshot

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_NONCE: Final = 12
_TAG: Final = b"xinguan/portfolio-groups/v1\n"
MOST_SUBJECTS: Final = 8_000_000  # that one bank may ever ask about under pseudonyms
Select = Callable[[Rows], Rows]


@dataclass(frozen=True, slots=True)
class Standing:
    """How an answer stands to the minimum of its licence.

    Args:
        known: Subjects that have something to show.
        smallest: Fewest subjects that could be told apart by it, see `partition`.
        party_id: The bank.
        version: Version of its groups that this was found from.
        after: Its groups afterwards, or None when the answer leaves them as they are.
    """

    known: int
    smallest: int
    party_id: str = ""
    version: int = 0
    after: Partition | None = None


def counts(facts: Facts) -> bool:
    """Return whether a request has to be counted before it is answered.

    Whoever may see codes hides nobody behind a pseudonym: there the minimum is of what is asked.
    """
    licence = facts.licence
    grant = None if licence is None else licence.grants.get(facts.product.name)
    return grant is not None and grant.pseudonymous and grant.minimum_subjects > 1


def shown_of(snapshot: Snapshot, subjects: Any, now: int, select: Select) -> Flags:
    """Return which subjects have a row that may leave.

    Args:
        snapshot: Where they are looked up.
        subjects: Arrow column, sorted, each once.
        now: Unix seconds.
        select: Keeps the rows that the policy lets leave.
    """
    rows, owner = expand_runs(*snapshot.runs(subjects))
    if (rows[1:] < rows[:-1]).any():  # a copy for use abroad is sorted by other names
        order = np.argsort(rows)
        rows, owner = rows[order], owner[order]
    shared = snapshot.shareable(rows, now) if len(rows) else np.zeros(0, np.bool_)
    rows, owner = rows[shared], owner[shared]
    kept = select(rows)
    if len(kept) != len(rows):
        owner = owner[np.searchsorted(rows, kept)]
    found = np.zeros(len(subjects), np.bool_)
    found[owner] = True
    return found


class Groups:
    """What each bank was shown under pseudonyms. Thread-safe.

    Args:
        journal: Writes the state.
        reader: A reading connection, used by this object alone.
        keys: Name to keys that no consumer's pseudonyms are made with.
    """

    def __init__(
        self, journal: Journal, reader: Reader, keys: Callable[[str], ConsumerKeys]
    ) -> None:
        self._journal = journal
        self._reader = reader
        self._keys = keys
        self._lock = threading.Lock()

    def standing(self, facts: Facts, snapshot: Snapshot, now: int, select: Select) -> Standing:
        """Return how an answer would stand to the minimum; blocks.

        Args:
            facts: The request, and the licence that it rests on.
            snapshot: What it would be answered from.
            now: Unix seconds.
            select: Keeps the rows that the policy lets leave.

        Raises:
            ExhaustedError: `PORTFOLIO_QUOTA` when a bank has asked about too many subjects.
        """
        request, party_id = facts.request, facts.caller.party.party_id
        version, before = self._read(party_id)
        if not request.subjects:
            if not before.shown_of(facts.product.name):
                return Standing(0, NO_GROUP)
            return Standing(0, self._rest(before, facts, snapshot, now, select))
        subjects = _column(request.subjects)
        found = shown_of(snapshot, subjects, now, select)
        labels = self._labels(party_id, subjects)
        order = np.argsort(labels)
        cut = before.cut(labels[order], found[order], facts.product.name)
        after = cut.partition
        if len(after.labels) > MOST_SUBJECTS or len(after.products) > MOST_PRODUCTS:
            raise ExhaustedError(
                "PORTFOLIO_QUOTA", "the party has asked about as many subjects as it may"
            )
        smallest = min(cut.smallest, self._rest(after, facts, snapshot, now, select))
        return Standing(
            int(found.sum()), smallest, party_id, version, after if cut.changed else None
        )

    async def take(self, standing: Standing) -> bool:
        """Keep the groups as an answer leaves them, before it is given.

        Returns:
            False when another answer came between; then it must be looked at anew.
        """
        after, version = standing.after, standing.version
        if after is None:
            return True
        party_id = standing.party_id
        nonce = os.urandom(_NONCE)
        bound = _bound(party_id, version + 1)
        sealed = nonce + self._seal(party_id).encrypt(nonce, after.encode(), bound)

        def write(tx: Transaction) -> bool:
            query = "SELECT version FROM portfolio_groups WHERE party_id = ?"
            row = tx.execute(query, (party_id,)).fetchone()
            if (0 if row is None else int(row[0])) != version:
                return False
            tx.execute(
                "INSERT INTO portfolio_groups (party_id, version, sealed) VALUES (?, ?, ?)"
                " ON CONFLICT (party_id) DO UPDATE SET version = excluded.version,"
                " sealed = excluded.sealed",
                (party_id, version + 1, sealed),
            )
            return True

        return await self._journal.submit(write)

    def _rest(
        self, groups: Partition, facts: Facts, snapshot: Snapshot, now: int, select: Select
    ) -> int:
        """Return of how many subjects the bank was shown nothing; `NO_GROUP` for none.

        They would be told apart by an answer about the whole product.
        """
        shared = np.flatnonzero(snapshot.shareable_slice(0, snapshot.rows, now))
        rest = snapshot.subjects.among(select(shared))
        rest -= groups.shown_of(facts.product.name)
        return rest if rest > 0 else NO_GROUP

    def _read(self, party_id: str) -> tuple[int, Partition]:
        query = "SELECT version, sealed FROM portfolio_groups WHERE party_id = ?"
        with self._lock:
            row = self._reader.execute(query, (party_id,)).fetchone()
        if row is None:
            return 0, Partition.empty()
        version, sealed = int(row[0]), bytes(row[1])
        bound = _bound(party_id, version)
        plain = self._seal(party_id).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
        return version, Partition.decode(plain)

    def _labels(self, party_id: str, subjects: Any) -> Any:
        return first_letters(Pseudonymiser(self._secret(party_id)).column(subjects))

    def _seal(self, party_id: str) -> AESGCM:
        return AESGCM(self._secret(party_id).digest)

    def _secret(self, party_id: str) -> ConsumerKeys:
        return self._keys(f"portfolio-groups:{party_id}")


def _column(subjects: Sequence[str]) -> Any:
    made: Any = (
        subjects.column if isinstance(subjects, Subjects) else pa.array(subjects, pa.string())
    )
    column = made.unique()
    return column.take(pc.sort_indices(column))


def _bound(party_id: str, version: int) -> bytes:
    return _TAG + f"{party_id}\n{version}".encode()
