"""The key that signs notices: drawn at the first start, its public half in the log for ever.

Whoever replaces the file makes the next start log the new key; the old ones stay known, since old
notices stay valid.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import entries
from audit.journal import Transaction
from gateway.identity.keyfiles import (
    KeyFileError,
    new_document_key,
    read_document_key,
    write_private_key,
)
from gateway.registry.act import CONSOLE
from gateway.registry.documents import key_id
from gateway.store.migration import Statements

PURPOSE = "notice"


@dataclass(frozen=True, slots=True)
class NoticeKey:
    """A key that signs or signed notices.

    Args:
        key_id: JWK thumbprint.
        public_key: 32 bytes, Ed25519.
        index: Log index of the entry that announced it.
        since: Unix seconds of that.
    """

    key_id: str
    public_key: bytes
    index: int
    since: int


def open_notice_key(path: Path) -> Ed25519PrivateKey:
    """Return the notice key, drawn now when there is none.

    Raises:
        KeyFileError: `BAD_FILE_MODE` or `BAD_KEY`.
    """
    if not path.exists():
        try:
            write_private_key(path, new_document_key())
        except KeyFileError as error:  # another process of this node was quicker
            if error.code != "FILE_EXISTS":
                raise
    return read_document_key(path)


def announce_notice_key(
    tx: Transaction, key: Ed25519PrivateKey, *, node: str, party: str, now: int
) -> None:
    """Log a notice key that the log doesn't know yet."""
    identity = key_id(key.public_key())
    row = tx.execute("SELECT 1 FROM notice_keys WHERE key_id = ?", (identity,)).fetchone()
    if row is not None:
        return
    appended = tx.append(
        entries.key_changed(
            time=now,
            node=node,
            actor=CONSOLE,
            party=party,
            purpose=PURPOSE,
            key=identity,
            status="ACTIVE",
        )
    )
    tx.execute(
        "INSERT INTO notice_keys (key_id, public_key, log_index, since) VALUES (?, ?, ?, ?)",
        (identity, key.public_key().public_bytes_raw(), appended.index, now),
    )


def notice_keys(state: Statements) -> tuple[NoticeKey, ...]:
    """Return every key that ever signed notices, the oldest first."""
    rows = state.execute(
        "SELECT key_id, public_key, log_index, since FROM notice_keys ORDER BY log_index"
    ).fetchall()
    return tuple(NoticeKey(*row) for row in rows)
