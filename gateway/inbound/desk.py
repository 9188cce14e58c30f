"""The desk where documents from abroad are handed in, and where they are asked after again.

    admit     each document is checked and kept, or refused with its reason: in = kept + refused
    refresh   each kept document is checked again as it lies, against the register and its list now

What ended is withdrawn first, through the gate, and only then is the new snapshot served. One desk
at a time works on a deployment, in whatever process.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from audit import entries
from audit.commitment import Opening, commit
from audit.errors import AuditUnavailableError
from audit.journal import Transaction
from audit.openings import OpeningStore
from gateway.credential.key_binding import Binding
from gateway.domain.errors import UnavailableError
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.domain.product import Product
from gateway.inbound import records
from gateway.inbound.checking import (
    Checked,
    Checker,
    Register,
    Status,
    check_valid,
    without_binding,
)
from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.outcomes import Admitted, Handed, Outcome, Refreshed
from gateway.inbound.records import State as RecordState
from gateway.inbound.records import Stored
from gateway.inbound.refreshing import Found, ask_again
from gateway.inbound.serving_rows import DocumentSource
from gateway.inbound.status import Standing
from gateway.inbound.vault import Vault
from gateway.inbound.withdrawing import end
from gateway.ingest.loading import Loaded, load_product
from gateway.registry import issuers
from gateway.registry.act import Act
from gateway.repair.decision import Verdict
from gateway.repair.publish import Publisher
from gateway.snapshot.library import SnapshotLibrary
from gateway.store.migration import Statements
from gateway.store.state import State

_T = TypeVar("_T")
_KEY_TAG = b"xinguan/foreign-record/v1\0"
_SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Desk:
    """What handing in and asking again need.

    Args:
        state: The open state.
        library: The snapshots.
        publisher: Ends records, through the gate of whoever serves.
        openings: Keeps what opens commitments.
        vault: Seals what the state keeps of documents.
        product: The contract of `foreign_credit_report`.
        unit: Name of the unit that admits.
        folder: Where one desk at a time is held, and what was refused is listed.
    """

    state: State
    library: SnapshotLibrary
    publisher: Publisher
    openings: OpeningStore
    vault: Vault
    product: Product
    unit: str
    folder: Path

    async def admit(
        self,
        handed: Sequence[Handed],
        checker: Callable[[Register], Checker],
        act: Act,
        *,
        binding: Binding | None = None,
    ) -> Admitted:
        """Check documents, keep those that hold, and serve them.

        Args:
            handed: The documents.
            checker: Makes the checker for a state of the register.
            act: The circumstances.
            binding: What holders bound their presentations to.

        Raises:
            UnavailableError: `AUDIT_UNAVAILABLE`, or `REPLICA_UNCONFIRMED` when what a newer
                document replaces may still be served somewhere.
        """
        with self._alone():
            outcomes: list[Outcome] = []
            older: list[Stored] = []
            kept = 0
            asked = checker(self._register(act.now))
            for one in handed:
                try:
                    key, replaced = await self._keep(one, asked, act, binding)
                except ForeignDocumentError as refused:
                    outcomes.append(Outcome(one.name, "", refused.code, refused.message))
                    continue
                outcomes.append(Outcome(one.name, key))
                older.extend(replaced)
                kept += 1
            await self._withdraw(older, _SUPERSEDED, act)
            refused_count = len(handed) - kept
            loaded = self._serve(act, refused_count) if kept else None
            return Admitted(tuple(outcomes), len(older), loaded)

    async def refresh(
        self, checker: Callable[[Register], Checker], act: Act, *, issuer: str = ""
    ) -> Refreshed:
        """Check every kept document again; what holds no more is withdrawn when this returns.

        Args:
            checker: Makes the checker for a state of the register.
            act: The circumstances.
            issuer: Only the documents of this issuer.

        Raises:
            UnavailableError: As `admit`.
        """
        with self._alone():
            stored = self._read(lambda tx: records.living(tx, self.vault, issuer))
            asked = checker(self._register(act.now))
            # An admission that broke off leaves an older document beside its newer one.
            older = records.superseded(stored)
            found: dict[str, Found] = {}
            told: list[tuple[Stored, Status]] = []
            for one in stored:
                if one.key in older:
                    await end(
                        self.publisher, self.product, one.key, Verdict.WITHDRAWN, _SUPERSEDED, act
                    )
                    found[one.key] = Found.WITHDRAWN
                    continue
                answer = self._read(partial(ask_again, checker=asked, stored=one, now=act.now))
                found[one.key] = answer.found
                if answer.status is not None:
                    told.append((one, answer.status))
                if answer.verdict is not None:
                    await end(
                        self.publisher, self.product, one.key, answer.verdict, answer.ground, act
                    )
            index = await self._durably(lambda tx: _note(tx, found, told, act))
            return Refreshed(found, index, self._serve(act, 0))

    def _register(self, now: int) -> Register:
        """Return the register as it stands; each issuer is read once."""

        @lru_cache(maxsize=1_024)
        def find(issuer: str) -> issuers.Registration | None:
            return self._read(lambda tx: issuers.in_effect(tx, issuer, now))

        return find

    async def _keep(
        self,
        one: Handed,
        asked: Checker,
        act: Act,
        binding: Binding | None,
    ) -> tuple[str, Sequence[Stored]]:
        """Check and keep one document; return its key and what it replaces."""
        checked = asked.document(one.presentation, act.now, binding=binding)
        status = asked.status(checked, act.now)
        if status.standing is not Standing.VALID:
            # Remembered before it is refused: an older list must not let it in afterwards.
            await self._durably(
                lambda tx: records.note_list(tx, status.source, checked.issuer.issuer)
            )
        check_valid(status.standing)
        key = record_key(checked)
        opening = Opening("record", key.encode(), os.urandom(32))

        def job(tx: Transaction) -> Sequence[Stored]:
            # The register once more, in the transaction: it may have changed since it was read.
            asked_now = issuers.in_effect(tx, checked.issuer.issuer, act.now)
            if asked_now != checked.registration:
                raise ForeignDocumentError(
                    "FOREIGN_ISSUER", "its issuer's registration changed meanwhile"
                )
            known = older_ones(tx, self.vault, checked, status)
            appended = tx.append(
                entries.foreign_admitted(
                    time=act.now,
                    node=act.node,
                    actor=act.actor,
                    product=FOREIGN_PRODUCT,
                    issuer=checked.issuer.issuer,
                    registration=checked.registration.approved_index or 0,
                    document=checked.presented.digest,
                    record=commit(opening),
                    status=status.source.digest,
                    table=checked.mapped.table,
                )
            )
            self.openings.record(tx, appended.index, {"record": opening}, ())
            records.note_list(tx, status.source, checked.issuer.issuer)
            document = without_binding(one.presentation)
            records.insert(
                tx, self.vault, _stored(key, checked, status, document, act, appended.index)
            )
            return [old for old in known if old.state is not RecordState.WITHDRAWN]

        return key, await self._durably(job)

    async def _withdraw(self, stored: Sequence[Stored], ground: str, act: Act) -> None:
        for old in stored:
            await end(self.publisher, self.product, old.key, Verdict.WITHDRAWN, ground, act)
            await self._durably(partial(_mark_withdrawn, key=old.key))

    def _serve(self, act: Act, quarantined: int) -> Loaded:
        """Make what is kept and fresh the snapshot that is served."""
        living = self._read(lambda tx: records.living(tx, self.vault))
        older = records.superseded(living)
        stored = [one for one in living if one.fresh_until > act.now and one.key not in older]
        return load_product(
            self.state,
            self.library,
            self.product,
            DocumentSource(self.product, stored, self.unit),
            act,
            quarantined=quarantined,
            as_of=min((one.status_as_of for one in stored), default=act.now),
        )

    def _read(self, job: Callable[..., _T]) -> _T:
        connection = self.state.connect()
        try:
            return job(connection)
        finally:
            connection.close()

    async def _durably(self, job: Callable[[Transaction], _T]) -> _T:
        try:
            return await self.state.submit(job)
        except AuditUnavailableError:
            raise UnavailableError(
                "AUDIT_UNAVAILABLE", "the audit log can't be written; nothing changed"
            ) from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the desk: two of them could serve a snapshot without each other's documents."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _mark_withdrawn(tx: Transaction, key: str) -> None:
    records.mark(tx, key, RecordState.WITHDRAWN)


def older_ones(
    state: Statements, vault: Vault, checked: Checked, status: Status
) -> Sequence[Stored]:
    """Return what was admitted about the firm before, once nothing of it is newer.

    Raises:
        ForeignDocumentError: `FOREIGN_STATUS_STALE` or `FOREIGN_OLDER`.
    """
    records.check_newest_list(state, status.source)
    issuer, subject = checked.issuer.issuer, checked.mapped.subject
    known = records.of_subject(state, vault, issuer, checked.vct, subject)
    # By what else its holder shows of it, the same document can seem another firm's.
    kept = records.is_kept(state, record_key(checked))
    if kept or (known and known[0].issued_at >= checked.issued_at):
        raise ForeignDocumentError(
            "FOREIGN_OLDER", "a newer or equal document about the firm was admitted before"
        )
    return known


def record_key(checked: Checked) -> str:
    """Return the key of a document's record: the document's own, never again another's."""
    digest = hashlib.sha256(_KEY_TAG + checked.presented.digest)
    return f"FCR-{digest.hexdigest()[:40]}"


def _stored(
    key: str, checked: Checked, status: Status, document: str, act: Act, index: int
) -> Stored:
    issuer = checked.issuer
    return Stored(
        key=key,
        issuer=issuer.issuer,
        vct=checked.vct,
        subject=checked.mapped.subject,
        issued_at=checked.issued_at,
        digest=checked.presented.digest.hex(),
        document=document,
        content=checked.mapped.row
        | {
            "issuer_name": issuer.name,
            "issuer_kind": issuer.kind.value,
            "issuer_jurisdiction": issuer.jurisdiction,
            "agreement_id": issuer.agreement.agreement_id,
            "onward_use": issuer.agreement.onward_use,
            "valid_until": checked.valid_until,
        },
        status_uri=status.reference.uri,
        status_entry=status.reference.index,
        status_as_of=status.source.issued_at,
        fresh_until=min(checked.valid_until, status.source.fresh_until),
        state=RecordState.ACTIVE,
        admitted_at=act.now,
        index=index,
    )


def _note(
    tx: Transaction, found: dict[str, Found], told: Sequence[tuple[Stored, Status]], act: Act
) -> int:
    """Log what came of asking again, and keep it; return the log index."""
    count = {what: sum(1 for one in found.values() if one is what) for what in Found}
    appended = tx.append(
        entries.foreign_refreshed(
            time=act.now,
            node=act.node,
            actor=act.actor,
            product=FOREIGN_PRODUCT,
            confirmed=count[Found.CONFIRMED],
            withdrawn=count[Found.WITHDRAWN],
            held=count[Found.HELD],
            stale=count[Found.STALE],
        )
    )
    for one, status in told:
        # Whatever it said: after a list that suspends, an older one says nothing any more.
        records.note_list(tx, status.source, one.issuer)
        if found[one.key] is not Found.CONFIRMED:
            continue
        ends = int(str(one.content["valid_until"]))
        records.confirm(
            tx,
            one.key,
            as_of=status.source.issued_at,
            fresh_until=min(ends, status.source.fresh_until),
            index=appended.index,
        )
    for key, what in found.items():
        if what in {Found.WITHDRAWN, Found.HELD}:
            records.mark(tx, key, RecordState(what.value))
    return appended.index
