"""A witness (C2SP tlog-witness 1.0.0): it cosigns only trees that extend what it saw before.

It keeps one row per log in its own database: the newest tree that it cosigned. The checks, the
comparison with that row and its replacement are one transaction that holds the database's write
lock, and the transaction is on the disk before anything is signed. So two requests at once, two
processes on one database, or a crash at any moment can't make it vouch for two histories.

    400  malformed, or old is larger than the checkpoint
    404  the origin is unknown
    403  no trusted key signed it, or a trusted key's signature does not hold
    409  old is not what this witness saw last; the body says what is
    422  the proof does not hold; also: the same size with another root
    200  cosignature lines
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.checkpoint import parse_text
from audit.cosignature import CosignatureSigner
from audit.errors import AuditUnavailableError, NoteError, ProofError
from audit.merkle import EMPTY_ROOT, verify_consistency
from audit.note import Verifier, open_note, split_note
from audit.witness_protocol import (
    NOTE_TYPE,
    SIZE_TYPE,
    AddCheckpoint,
    origin_hash,
    parse_request,
)

_BUSY_S: Final = 5.0
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_PRIVATE_MODE: Final = 0o600
_SCHEMA: Final = """
BEGIN;
CREATE TABLE witness_schema
    (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
INSERT INTO witness_schema VALUES (1, 1);
CREATE TABLE witness_log
    (origin TEXT NOT NULL, vkey TEXT NOT NULL, PRIMARY KEY (origin, vkey));
CREATE TABLE witness_seen
    (origin TEXT PRIMARY KEY, origin_hash TEXT NOT NULL UNIQUE,
     size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL);
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP.

    Args:
        status: Status code.
        body: Bytes of the body.
        content_type: Media type of the body.
    """

    status: int
    body: bytes
    content_type: str = NOTE_TYPE


def make_memory(path: Path) -> None:
    """Make the empty database of a new witness, which its owner alone can read from the start.

    Only a witness that never cosigned anything may have one: nothing else ever makes it.

    Args:
        path: Where; nothing may stand there.

    Raises:
        AuditUnavailableError: Something stands there, or it can't be made.
    """
    try:
        os.close(os.open(path, _NEW_FILE, _PRIVATE_MODE))
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
    except (OSError, sqlite3.Error) as error:
        raise AuditUnavailableError("the witness's database can't be made") from error


class Witness:
    """One witness; its methods block and may be called from several threads and processes.

    Args:
        path: Its database, from `make_memory`. It must never be restored from a backup, nor
            made anew when it is lost: an older row, or none, would let it vouch for a second
            history.
        signer: Its key.
        clock: Unix seconds.

    Raises:
        AuditUnavailableError: The database is missing or can't be opened, or a newer program
            made it.
    """

    def __init__(self, path: Path, signer: CosignatureSigner, clock: Callable[[], int]) -> None:
        self._signer = signer
        self._clock = clock
        self._turn = threading.Lock()
        try:
            self._connection, version = _open(path)
        except sqlite3.Error as error:
            raise AuditUnavailableError("the witness's database can't be opened") from error
        if version != 1:
            self._connection.close()
            raise AuditUnavailableError("the witness's database has another version")

    @property
    def verifier_key(self) -> str:
        """The key that others put into their policies."""
        return self._signer.verifier_key

    def add_log(self, vkey: str) -> str:
        """Witness a log from now on; a second key of one origin is trusted beside the first.

        Returns:
            The origin.

        Raises:
            NoteError: The verifier key is malformed.
            AuditUnavailableError: It can't be kept.
        """
        origin = Verifier.parse(vkey).name
        with self._turn:
            try:
                self._connection.execute(
                    "INSERT INTO witness_log (origin, vkey) VALUES (?, ?)"
                    " ON CONFLICT (origin, vkey) DO NOTHING",
                    (origin, vkey),
                )
            except sqlite3.Error as error:
                raise AuditUnavailableError("the witness's database can't be written") from error
        return origin

    def logs(self) -> list[tuple[str, int]]:
        """List the origins that it witnesses, with the size last cosigned (0: none yet)."""
        with self._turn:
            rows = self._connection.execute(
                "SELECT DISTINCT witness_log.origin, COALESCE(size, 0) FROM witness_log"
                " LEFT JOIN witness_seen ON witness_seen.origin = witness_log.origin"
                " ORDER BY witness_log.origin"
            ).fetchall()
        return [(str(origin), int(size)) for origin, size in rows]

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer `POST add-checkpoint`.

        Args:
            body: Of the request.

        Raises:
            AuditUnavailableError: The database failed; nothing was signed.
        """
        try:
            asked = parse_request(body)
            text, _ = split_note(asked.note)
            origin, _, _ = parse_text(text, check_empty=False)
        except NoteError:
            return _plain(400, "the request is malformed")
        with self._turn:
            try:
                # The write lock is taken before the row is read, or two could check the same one.
                self._connection.execute("BEGIN IMMEDIATE")
                answer = self._decide(asked, origin, text)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise AuditUnavailableError("the witness's database can't be written") from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        if answer is not None:
            return answer
        # Only now, after the disk has it, does a signature come into being.
        return Answer(200, self._signer.cosign(text, self._clock()).encode())

    def latest(self, hashed_origin: str) -> bytes | None:
        """Return the newest cosigned checkpoint, by the hash of its origin, or None."""
        with self._turn:
            row = self._connection.execute(
                "SELECT note FROM witness_seen WHERE origin_hash = ?", (hashed_origin,)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        """Close the database."""
        with self._turn:
            self._connection.close()

    def _decide(self, asked: AddCheckpoint, origin: str, text: str) -> Answer | None:
        """Do the steps of the specification in their order; None means cosign."""
        # (1) the origin is known
        rows = self._connection.execute("SELECT vkey FROM witness_log WHERE origin = ?", (origin,))
        keys = [Verifier.parse(row[0]) for row in rows.fetchall()]
        if not keys:
            return _plain(404, "this origin is not known here")
        # (2) a trusted key signed it
        try:
            open_note(asked.note, keys)
        except NoteError:
            return _plain(403, "no trusted key signed this checkpoint")
        # (3) old is not larger than the checkpoint
        _, size, root = parse_text(text, check_empty=False)
        if asked.old > size:
            return _plain(400, "old is larger than the checkpoint")
        # (4) old is what was cosigned last
        row = self._connection.execute(
            "SELECT size, root FROM witness_seen WHERE origin = ?", (origin,)
        ).fetchone()
        seen, seen_root = (0, EMPTY_ROOT) if row is None else (int(row[0]), bytes(row[1]))
        if asked.old != seen:
            return Answer(409, f"{seen}\n".encode(), SIZE_TYPE)
        # (5) the tree extends what was cosigned last
        try:
            _check_extends(asked, size, root, seen_root)
        except ProofError:
            return _plain(422, "the proof does not lead from the old tree to this one")
        # (6) it is on record before it is signed
        self._connection.execute(
            "INSERT INTO witness_seen (origin, origin_hash, size, root, note)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
            " size = excluded.size, root = excluded.root, note = excluded.note",
            (origin, origin_hash(origin), size, root, asked.note),
        )
        return None


def _open(path: Path) -> tuple[sqlite3.Connection, int]:
    """Open a database that is there; return the version of its tables too.

    Raises:
        sqlite3.Error: It isn't there, or holds no witness's memory.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",  # never made: see `make_memory`
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        asked = "SELECT coalesce(max(version), 0) FROM witness_schema"
        version = int(connection.execute(asked).fetchone()[0])
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection, version


def _check_extends(asked: AddCheckpoint, size: int, root: bytes, seen_root: bytes) -> None:
    """Check the step from the old tree; every tree extends the empty one, without a proof.

    Raises:
        ProofError: It does not hold.
    """
    if asked.old == 0:
        if asked.proof or (size == 0 and root != EMPTY_ROOT):
            raise ProofError("the step from the empty tree needs no proof")
        return
    verify_consistency(asked.old, size, asked.proof, seen_root, root)


def _plain(status: int, text: str) -> Answer:
    return Answer(status, f"{text}\n".encode())
