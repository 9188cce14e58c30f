"""Policies that were ever in force, kept by their digests for as long as there is a log.

A decision is made again with the very bytes that made it: the bundle (sources and data, what an
OPA server reads) and its compiled form (what the embedded engine runs). Both are written in the
transaction of the entry that activates them, so there is no activation without them.
"""

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from typing import Final

from audit.journal import Transaction
from audit.store import Reader
from gateway.decision.bundle import Bundle
from gateway.domain.errors import ConflictError, NotFoundError

BUNDLE: Final = "BUNDLE"
WASM: Final = "WASM"
_MAX_DATA_BYTES: Final = 16 << 20


def wasm_digest(bundle: Bundle) -> str:
    """Return the digest of a bundle's compiled form, hex."""
    return hashlib.sha256(bundle.wasm).hexdigest()


def is_kept(tx: Transaction, digest: str) -> bool:
    """Say whether a bundle or a compiled policy is kept."""
    found = tx.execute("SELECT 1 FROM policy_artefacts WHERE digest = ?", (digest,)).fetchone()
    return found is not None


def keep(tx: Transaction, bundle: Bundle) -> None:
    """Keep a bundle and its compiled form, unless they are kept already.

    Raises:
        ConflictError: `BUNDLE_TAMPERED` when the file of the bundle has another digest by now.
    """
    archive = bundle.archive.read_bytes()
    if hashlib.sha256(archive).hexdigest() != bundle.digest:
        raise ConflictError("BUNDLE_TAMPERED", "the bundle changed while the gateway started")
    for digest, kind, body in (
        (bundle.digest, BUNDLE, archive),
        (wasm_digest(bundle), WASM, bundle.wasm),
    ):
        tx.execute(
            "INSERT INTO policy_artefacts (digest, kind, body) VALUES (?, ?, ?)"
            " ON CONFLICT (digest) DO NOTHING",
            (digest, kind, body),
        )


def kept(connection: Reader, digest: str) -> bytes:
    """Return a kept bundle or compiled policy.

    Raises:
        NotFoundError: `BUNDLE_MISSING`: it is not in the state.
        ConflictError: `BUNDLE_TAMPERED`: what is kept there has another digest.
    """
    row = connection.execute(
        "SELECT body FROM policy_artefacts WHERE digest = ?", (digest,)
    ).fetchone()
    if row is None:
        raise NotFoundError("BUNDLE_MISSING", "the policy that decided is not kept")
    body = bytes(row[0])
    if hashlib.sha256(body).hexdigest() != digest:
        raise ConflictError("BUNDLE_TAMPERED", "the kept policy has another digest than the log")
    return body


def compiled_of(connection: Reader, bundle: str, policy: int | None) -> str:
    """Return the digest of the compiled form that an activation tells of.

    Args:
        connection: Any connection to the state database.
        bundle: Digest of the bundle, hex.
        policy: Index of its activation, where an entry cites it; else the newest that tells.

    Raises:
        NotFoundError: `COMPILED_MISSING`: no activation of the bundle tells of one.
    """
    rows: list[tuple[int, str]] = connection.execute(
        "SELECT log_index, compiled FROM policy_compiled WHERE bundle = ? ORDER BY log_index DESC",
        (bundle,),
    ).fetchall()
    for index, compiled in rows:
        if policy is None or index == policy:
            return compiled
    raise NotFoundError("COMPILED_MISSING", "no entry names the compiled form of this policy")


def read_archive(archive: bytes) -> tuple[bytes, str]:
    """Return the data document and the revision of a bundle's archive.

    Raises:
        ConflictError: `BUNDLE_TAMPERED`: it is no bundle of ours.
    """
    try:
        with (
            gzip.open(io.BytesIO(archive)) as plain,
            tarfile.open(fileobj=io.BytesIO(plain.read(_MAX_DATA_BYTES))) as tar,
        ):
            member = tar.extractfile("/data.json")
            data = b"" if member is None else member.read()
        return data, json.loads(data)["bundle"]["revision"]
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, LookupError) as error:
        raise ConflictError("BUNDLE_TAMPERED", "the kept policy can't be read") from error
