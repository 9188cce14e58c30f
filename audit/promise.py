"""The signed promise that travels with an answer: this entry has this index.

It is given before the tree that contains the entry is published. A receipt (`audit.proof`)
that shows another leaf at the index proves, with the promise, that the log cheated. One
signature may cover several entries: of a small answer its outcome and, with it, its intent.
"""

from base64 import b64encode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import ProofError


def promise_text(origin: str, index: int, leaf_hash: bytes, *also: tuple[int, bytes]) -> bytes:
    """Write the bytes that a promise signs.

    Args:
        origin: Origin line of the log.
        index: Index of the entry.
        leaf_hash: RFC 6962 leaf hash, 32 bytes.
        *also: Index and leaf hash of further entries under the same signature, in order.
    """
    lines = [f"{at}\n{b64encode(leaf).decode()}\n" for at, leaf in ((index, leaf_hash), *also)]
    return f"xinguan/promise/v1\n{origin}\n{''.join(lines)}".encode()


def sign_promise(
    key: Ed25519PrivateKey, origin: str, index: int, leaf_hash: bytes, *also: tuple[int, bytes]
) -> bytes:
    """Sign a promise.

    Args:
        key: The log's signing key.
        origin: Origin line of the log.
        index: Index of the durable entry.
        leaf_hash: Its leaf hash, 32 bytes.
        *also: Index and leaf hash of further durable entries.

    Returns:
        An Ed25519 signature, 64 bytes.
    """
    return key.sign(promise_text(origin, index, leaf_hash, *also))


def verify_promise(
    key: Ed25519PublicKey,
    origin: str,
    index: int,
    leaf_hash: bytes,
    signature: bytes,
    *also: tuple[int, bytes],
) -> None:
    """Check a promise.

    Raises:
        ProofError: The log's key did not sign this.
    """
    try:
        key.verify(signature, promise_text(origin, index, leaf_hash, *also))
    except InvalidSignature as error:
        raise ProofError("the promise was not signed by the log's key") from error
