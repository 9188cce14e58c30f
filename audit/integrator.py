"""The integrator: it turns sequenced entries into tiles and publishes signed checkpoints.

    (1) lease       only one integrator; its token fences all that follows
    (2) recovery    the directory must hold what the database says was signed
    (3) files       bundles, then tiles: written, synced, never changed
    (4) re-reading  every new file is read back and hashed anew, by another route
    (5) head        tree state on the disk, head with its signature in the database
    (6) witnesses   they are asked about the durable head; no lock is held meanwhile
    (7) checkpoint  the signed note is published; only now do others see the new tree

After a start nothing is signed before the witnesses have confirmed the head of the last run,
so that a restored state finds out that it is one. A crash between any two steps leaves files
that nobody refers to, and the next pass writes the same bytes again. The head in the database
is the only authority on what was signed, and must never be restored from a backup that is
older than the directory: that is refused.
"""

import json
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from audit.checkpoint import Checkpoint, sign_checkpoint
from audit.durable import DurableFiles, SyncFailedError, locked
from audit.edge import Edge, Growth, grow
from audit.errors import (
    AuditUnavailableError,
    ForkClaimedError,
    LeaseLostError,
    LogCorruptError,
    LogMismatchError,
    NoteError,
)
from audit.journal import Journal
from audit.lease import Head, drop_lease, fenced, read_head, take_lease, write_head
from audit.merkle import leaf_hash
from audit.note import Signer
from audit.reader import CHECKPOINT, WITNESSED, LogReader, unverified_checkpoint
from audit.sequence import next_index, read_bodies
from audit.tiles import ENTRIES, TILE_WIDTH, encode_bundle, levels, tile_counts, tile_path
from audit.transaction import Transaction
from audit.witnessing import Witnessing

LEASE_S: Final = 30
# Bounds memory and the time of one pass: at 700 bytes an entry this is about 12 MB.
MAX_ENTRIES: Final = 16_384
_STATE: Final = ".state"
_LOCK: Final = ".state/lock"
_TREE_STATE: Final = ".state/treeState"
_PRUNED_AT_ONCE: Final = 10_000


class Integrator:
    """Publishes the log of one state database into one directory.

    Its methods block and may run in a thread of their own; they take turns.

    Args:
        journal: The writer of the state database.
        directory: The log's directory; made when missing.
        origin: Name of the log, which is also the name of the signer's key.
        signer: Signs checkpoints.
        clock: Gives unix seconds; used for the lease only.
        lease_s: After how many seconds without a pass another integrator may take over.
        witnesses: Who is asked to cosign; None for a log without witnesses.

    Raises:
        NoteError: The signer's name is not the origin.
        AuditUnavailableError: The database cannot be read or the directory not be made.
    """

    def __init__(
        self,
        journal: Journal,
        directory: Path,
        origin: str,
        signer: Signer,
        clock: Callable[[], int],
        *,
        lease_s: int = LEASE_S,
        witnesses: Witnessing | None = None,
    ) -> None:
        if signer.name != origin:
            raise NoteError("the key of a log bears the log's name")
        self._journal = journal
        self._directory = directory
        self._origin = origin
        self._signer = signer
        self._clock = clock
        self._lease_s = lease_s
        self._witnesses = witnesses
        self._holder = uuid.uuid4().hex
        self._token = 0
        # The lease is prolonged after a third of its term, not at every pass.
        self._renewed = self._renew_from = 0
        self._edge: Edge | None = None
        self._head = Head()
        self._turn = threading.Lock()
        self._poisoned = self._behind = False
        try:
            (directory / _STATE).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AuditUnavailableError("the log's directory cannot be made") from error
        self._connection = journal.connect()

    def integrate_once(self) -> Checkpoint:
        """Integrate what was committed, at most 16,384 entries, and publish the checkpoint.

        Returns:
            The published checkpoint; the same as before when nothing was new.

        Raises:
            LeaseHeldError: Another integrator is at work.
            LeaseLostError: Another integrator took over meanwhile.
            LogMismatchError: Directory and database tell different histories.
            LogCorruptError: What was read back is not what was written, or an entry in the
                database does not have its hash any more.
            AuditUnavailableError: The disk or the database failed; try again later.
        """
        with self._turn:
            if self._poisoned:
                raise AuditUnavailableError("the disk failed; the integrator must be restarted")
            try:
                return self._pass()
            except SyncFailedError:
                self._poisoned = True
                raise
            except OSError as error:
                self._edge = None
                raise AuditUnavailableError("the log's directory cannot be written") from error
            except BaseException:
                # Whatever is remembered may not be what is on the disk: recover next time.
                self._edge = None
                raise

    def meet_witnesses(self) -> None:
        """Ask the witnesses about what was signed last; nothing new is signed, no lease is taken.

        Raises:
            ForkClaimedError: A witness has seen what this node's history does not contain.
            AuditUnavailableError: Their quorum did not answer, or the database failed.
        """
        if self._witnesses is None:
            return
        with self._turn:
            head = self._journal.run(read_head)
            while True:
                try:
                    self._witnesses.meet(self._presented(head))
                except ForkClaimedError:
                    # Another node of this log may have gone further meanwhile: that is no fork.
                    before, head = head, self._journal.run(read_head)
                    if head.size == before.size:
                        raise
                else:
                    return

    def integrate_all(self) -> Checkpoint:
        """Integrate until everything that was committed at the start is published.

        Raises:
            AuditError: As `integrate_once`.
        """
        wanted = next_index(self._connection)
        checkpoint = self.integrate_once()
        while checkpoint.size < wanted:
            checkpoint = self.integrate_once()
        return checkpoint

    def prune(self) -> int:
        """Delete the rows of published entries from the database; the log keeps them.

        Returns:
            Number of rows deleted.

        Raises:
            AuditError: As `integrate_once`, whose work is done first.
        """
        self.integrate_once()
        with self._turn:
            size, deleted = self._head.size, 0
            while count := self._journal.run(lambda tx: self._delete_some(tx, size)):
                deleted += count
            return deleted

    def close(self) -> None:
        """Give up the lease, so that another integrator need not wait for its end."""
        with self._turn:
            self._journal.run(lambda tx: drop_lease(tx, self._holder))
            self._connection.close()

    def _pass(self) -> Checkpoint:
        edge = self._recovered()
        if self._witnesses is not None and not self._witnesses.met:
            self._witnesses.meet(self._presented(self._head))
        rows = read_bodies(self._connection, edge.size, edge.size + MAX_ENTRIES)
        if not rows and self._head.checkpoint:
            if self._witnesses is not None and (self._behind or self._witnesses.due()):
                self._publish_witnessed(self._witnesses, grown=self._behind)
            return unverified_checkpoint(self._head.checkpoint)
        for expected, (index, leaf, body) in enumerate(rows, edge.size):
            if index != expected or leaf_hash(body) != leaf:
                raise LogCorruptError("the sequencer lost or changed it", expected)
        growth = grow(edge, [row[1] for row in rows], [row[2] for row in rows])
        root = growth.edge.root()
        self._write(growth)
        self._reread(edge, growth, root)
        self._publish(sign_checkpoint(self._origin, growth.edge.size, root, [self._signer]))
        self._edge = growth.edge
        self._drop_partials(edge.size, growth.edge.size)
        return unverified_checkpoint(self._head.checkpoint)

    # --- (1) lease and (2) recovery ---

    def _recovered(self) -> Edge:
        now = self._clock()
        if self._edge is None or not self._renew_from > now >= self._renewed:
            token, head = self._journal.run(
                lambda tx: (take_lease(tx, self._holder, now, self._lease_s), read_head(tx))
            )
            self._renewed, self._renew_from = now, now + self._lease_s // 3
            if self._edge is None or token != self._token or head != self._head:
                self._token, self._head = token, head
                self._edge = self._recover()
        return self._edge

    def _recover(self) -> Edge:
        head = self._head
        if next_index(self._connection) < head.size:
            raise LogMismatchError("more entries were signed than the database ever had")
        published = self._published()
        if published is not None:
            if published.size > head.size or not head.checkpoint:
                raise LogMismatchError("the directory is ahead of the database")
            if published.size == head.size and published.root != head.root:
                raise LogMismatchError("the directory holds another tree of the same size")
        edge = self._read_edge(head)
        # A crash may have come between signing and publishing, or between the files of a
        # publication. Witnesses are asked first: nobody may have seen yet what was signed then.
        self._behind = self._witnesses is not None and bool(head.checkpoint)
        if self._witnesses is None and (published is None or published.size < head.size):
            self._publish_note(head)
        return edge

    def _published(self) -> Checkpoint | None:
        path = self._directory / CHECKPOINT
        if not path.exists():
            return None
        try:
            return unverified_checkpoint(path.read_bytes())
        except NoteError as error:
            raise LogMismatchError("the published checkpoint is malformed") from error

    def _read_edge(self, head: Head) -> Edge:
        reader = LogReader(self._directory)
        try:
            partial = tuple(_partial(reader, head.size, level) for level in levels(head.size))
            number, width = tile_counts(head.size, 0)
            entries = tuple(reader.bundle(number, head.size)) if width else ()
        except LogCorruptError as error:
            raise LogMismatchError("the directory lacks part of what was signed") from error
        edge = Edge(head.size, partial, entries)
        leaves = partial[0] if partial else ()
        if edge.root() != head.root or tuple(map(leaf_hash, entries)) != leaves:
            raise LogMismatchError("the directory does not hold the tree that was signed")
        return edge

    # --- (3) files and (4) re-reading ---

    def _write(self, growth: Growth) -> None:
        with DurableFiles(self._directory, self._directory / _STATE) as files:
            for number, entries in growth.bundles.items():
                name = tile_path(ENTRIES, number, len(entries))
                self._write_one(files, name, encode_bundle(entries))
            files.sync()
            for (level, number), hashes in growth.tiles.items():
                self._write_one(files, tile_path(level, number, len(hashes)), b"".join(hashes))
            files.sync()

    def _write_one(self, files: DurableFiles, name: str, data: bytes) -> None:
        if not files.create(name, data):
            # Other bytes stand there: torn by a crash of the machine before anything was
            # signed over them. Fenced, nobody can have signed them meanwhile either.
            self._journal.run(
                lambda tx: fenced(tx, self._token, self._head, lambda: files.replace(name, data))
            )

    def _reread(self, before: Edge, growth: Growth, root: bytes) -> None:
        """Hash what the disk gives back, leaf by leaf, and compare with what was computed."""
        size = growth.edge.size
        reader = LogReader(self._directory)
        tree = before.range()
        for number in growth.bundles:
            leaves = [leaf_hash(entry) for entry in reader.bundle(number, size)]
            if leaves != reader.tile(0, number, size):
                raise LogCorruptError("what was read back is not what was written")
            for leaf in leaves[max(before.size - number * TILE_WIDTH, 0) :]:
                tree.push(leaf)
        for (level, number), hashes in growth.tiles.items():
            if reader.tile(level, number, size) != list(hashes):
                raise LogCorruptError("what was read back is not what was written")
        if tree.size != size or tree.root() != root:
            raise LogCorruptError("two computations of the root differ")

    # --- (5) head, (6) witnesses and (7) checkpoint ---

    def _publish(self, checkpoint: Checkpoint) -> None:
        head = Head(checkpoint.size, checkpoint.root, checkpoint.note)
        state = {"size": head.size, "root": head.root.hex()}

        def sign_over(tx: Transaction) -> None:
            fenced(
                tx, self._token, self._head,
                lambda: self._replace(_TREE_STATE, json.dumps(state).encode()),
            )  # fmt: skip
            write_head(tx, head)

        self._journal.run(sign_over)
        self._head = head
        if self._witnesses is None:
            self._publish_note(head)
        else:
            self._publish_witnessed(self._witnesses, grown=True)

    def _presented(self, head: Head) -> Checkpoint:
        """Return what witnesses are shown of a head: what was signed already, or no entry at all.

        Every tree extends the empty one, so that signing it can never be part of a fork.
        """
        if head.checkpoint:
            return unverified_checkpoint(head.checkpoint)
        return sign_checkpoint(self._origin, 0, head.root, [self._signer])

    def _publish_witnessed(self, witnesses: Witnessing, *, grown: bool) -> None:
        """Ask the witnesses about the head, then publish it with what they gave."""
        cosigned, quorum = witnesses.cosign(unverified_checkpoint(self._head.checkpoint))
        if cosigned == self._head.checkpoint and not grown:
            return
        head = Head(self._head.size, self._head.root, cosigned)

        def files() -> None:
            self._replace(CHECKPOINT, cosigned)
            if quorum:
                self._replace(WITNESSED, cosigned)

        def publish(tx: Transaction) -> None:
            fenced(tx, self._token, self._head, files)
            write_head(tx, head)

        self._journal.run(publish)
        self._head, self._behind = head, False

    def _publish_note(self, head: Head) -> None:
        if head.checkpoint:
            self._journal.run(lambda tx: fenced(tx, self._token, head, lambda: self._show(head)))

    def _show(self, head: Head) -> None:
        """Replace the published note, never by an older one.

        A database server frees the lock of a session that it takes for dead. Whoever slept here
        with such a session wakes unfenced, so the directory has a lock of its own.
        """
        with locked(self._directory / _LOCK):
            published = self._published()
            if published is not None and published.size > head.size:
                raise LeaseLostError("another integrator went on")
            self._replace(CHECKPOINT, head.checkpoint)

    def _replace(self, name: str, data: bytes) -> None:
        with DurableFiles(self._directory, self._directory / _STATE) as files:
            files.replace(name, data)
            files.sync()

    def _drop_partials(self, before: int, after: int) -> None:
        """Delete the partial files of tiles that are full now; best effort, readers know."""
        for level in levels(after):
            for number in range(tile_counts(before, level)[0], tile_counts(after, level)[0]):
                for kind in (level, ENTRIES) if level == 0 else (level,):
                    folder = self._directory / f"{tile_path(kind, number)}.p"
                    shutil.rmtree(folder, ignore_errors=True)

    def _delete_some(self, tx: Transaction, size: int) -> int:
        row = tx.execute("SELECT token FROM audit_lease").fetchone()
        if row is None or row[0] != self._token:
            raise LeaseLostError("another integrator took over")
        return tx.execute(
            "DELETE FROM audit_entry WHERE position IN (SELECT position FROM audit_entry"
            " WHERE position <= ? ORDER BY position LIMIT ?)",
            (size, _PRUNED_AT_ONCE),
        ).rowcount


def _partial(reader: LogReader, size: int, level: int) -> tuple[bytes, ...]:
    number, width = tile_counts(size, level)
    return tuple(reader.tile(level, number, size)) if width else ()
