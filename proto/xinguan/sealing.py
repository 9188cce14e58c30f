"""Opening answers that were encrypted to the caller's key (JWE, RFC 7516).

The records of a batch stand in a JWE in compact form: ECDH-ES with A256KW, A256GCM. Inside is a
`SealedBatch`, which names its request and its batch; what it holds is what an answer that isn't
encrypted holds, byte for byte, so the digest of the evidence is checked as ever.
"""

import json

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from xinguan.v1 import exchange_pb2

ALGORITHM, ENCRYPTION, TYPE = "ECDH-ES+A256KW", "A256GCM", "xinguan-batch+jwe"


class _Registry(jwe.JWERegistry):
    """One algorithm of each kind; batches are larger than the library's own limits."""

    max_ciphertext_length = 256 << 20


REGISTRY = _Registry(algorithms=[ALGORITHM, ENCRYPTION])


class SealedAnswerError(ValueError):
    """An encrypted answer that this key does not open, or that was changed or exchanged."""


class DecryptionKey:
    """A caller's private key, with which its answers are opened."""

    def __init__(self, jwk: str | bytes) -> None:
        """Read a private JWK: EC or OKP (X25519).

        Raises:
            SealedAnswerError: It is no such key.
        """
        try:
            stated = json.loads(jwk)
            self._key = (
                ECKey.import_key(stated) if stated["kty"] == "EC" else OKPKey.import_key(stated)
            )
        except (ValueError, TypeError, KeyError, JoseError):
            raise SealedAnswerError("not a private key for ECDH in JWK form") from None
        if not self._key.is_private:
            raise SealedAnswerError("the key is public; answers are opened by the private one")

    @classmethod
    def generate(cls) -> "DecryptionKey":
        """Return a new key on P-256."""
        return cls(json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))

    def public_jwk(self) -> str:
        """Return the half that the gateway's operator registers."""
        return json.dumps(self._public(), sort_keys=True)

    def private_jwk(self) -> str:
        """Return the half that stays with its owner."""
        return json.dumps(self._key.as_dict(private=True), sort_keys=True)

    def open(self, batch: exchange_pb2.Batch, request_id: str) -> exchange_pb2.Batch:
        """Return a batch with its records in it.

        Args:
            batch: As it came, with a JWE.
            request_id: Of the decision that the answer states.

        Raises:
            SealedAnswerError: This key does not open it, or it is another request's or batch's.
        """
        try:
            opened = jwe.decrypt_compact(batch.jwe, self._key, registry=REGISTRY)
            inside = exchange_pb2.SealedBatch.FromString(opened.plaintext or b"")
            typ = opened.headers().get("typ")
        except Exception:  # noqa: BLE001 - whatever the library says of a forgery, it is refused
            raise SealedAnswerError(
                "this key does not open the batch, or the batch was changed"
            ) from None
        if typ != TYPE:
            raise SealedAnswerError("the encrypted batch is of another type")
        if inside.request_id != request_id or inside.sequence != batch.sequence:
            raise SealedAnswerError("the encrypted batch belongs to another answer")
        plain = exchange_pb2.Batch()
        plain.CopyFrom(batch)
        plain.ClearField("jwe")
        plain.arrow_ipc = inside.arrow_ipc
        plain.arrow_schema = inside.arrow_schema
        plain.digest = inside.digest
        plain.typed_rows.extend(inside.typed_rows)
        return plain

    def _public(self) -> dict[str, object]:
        stated = self._key.as_dict(private=False)
        return {name: stated[name] for name in ("kty", "crv", "x", "y") if name in stated}
