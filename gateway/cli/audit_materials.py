"""What lies beside the log and belongs into an evidence pack: inputs, policies, documents."""

import base64
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.entry_form import raw_digest
from audit.pack import Content
from audit.store import Reader
from gateway.cli.console import Session
from gateway.decision.history import input_of
from gateway.decision.keeping import kept
from gateway.domain.errors import XinguanError

_DOCUMENTS = {
    "licence_activated": "SELECT document FROM licences WHERE log_index = ?",
    "policy_approved": "SELECT document FROM policy_approvals WHERE log_index = ?",
    "border_registered": "SELECT document FROM border_statements WHERE registered_index = ?",
}


def add_materials(opened: Session, connection: Reader, content: Content) -> None:
    """Add whatever the entries of a pack name by digest; what is not there is told.

    Args:
        opened: The open deployment.
        connection: Its state.
        content: The pack under way.
    """
    for index, body in sorted(content.entries.items()):
        entry: dict[str, Any] = json.loads(body)  # Any: values of a JSON object
        _add(content, content.inputs, index, entry.get("input"), lambda d: input_of(connection, d))
        _add(content, content.bundles, index, entry.get("bundle"), lambda d: kept(connection, d))
        _add(content, content.compiled, index, entry.get("wasm"), lambda d: kept(connection, d))
        # A statement of the border that approvals put in effect has no document.
        if entry["kind"] in _DOCUMENTS and "document" in entry:
            _add_document(connection, content, index, entry)
        if entry["kind"] == "consent_registered":
            content.missing.append(f"entry {index}: the consent names its subject and stays sealed")
    for name, key in opened.deployment.authority_keys().items():
        content.keys[name] = _jwk(key)
    signers = connection.execute("SELECT key_id, public_key FROM document_keys").fetchall()
    named = {json.loads(body).get("signer") for body in content.entries.values()}
    for name, raw in signers:
        if name in named:
            content.keys[name] = _jwk(Ed25519PublicKey.from_public_bytes(bytes(raw)))
    content.keys = {name: key for name, key in content.keys.items() if name in named}


def _add(
    content: Content,
    files: dict[str, bytes],
    index: int,
    digest: str | None,
    read: Callable[[str], bytes],
) -> None:
    if digest is None:
        return
    name = raw_digest(digest).hex()
    if name in files:
        return
    try:
        files[name] = read(name)
    except XinguanError as error:
        content.missing.append(f"entry {index}: {error.code}: {error.message}")


def _add_document(connection: Reader, content: Content, index: int, entry: dict[str, Any]) -> None:
    row = connection.execute(_DOCUMENTS[entry["kind"]], (index,)).fetchone()
    if row is None:
        content.missing.append(f"entry {index}: its signed document is not kept")
        return
    text = entry["document"]
    name = text if entry["kind"] == "licence_activated" else raw_digest(text).hex()
    content.documents[name] = row[0].encode()


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    x = base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode()
    return {"crv": "Ed25519", "kty": "OKP", "x": x}
